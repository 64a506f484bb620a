"""Delivering: due deliveries are claimed, sent at their slots and settled.

One scheduler in a delivering process. It decides nothing itself: `attempt`, `retry`,
`circuit_policy` and `verification` decide, `store` writes. The package runs on gevent's
hub; its process must be monkey-patched, or a call would stop all others.
"""

from bridge.delivery.attempt import Attempts
from bridge.delivery.in_doubt_resolver import InDoubtResolver
from bridge.delivery.scheduler import Scheduler
from bridge.delivery.sender_pool import SenderPool
from bridge.delivery.verification import Verifier

__all__ = ["Attempts", "InDoubtResolver", "Scheduler", "SenderPool", "Verifier"]
