"""The coordinator of a delivering process: round after round until told to stop.

It decides nothing itself; `dispatch`, `gatekeeper` and `retry` decide, `store` writes.
"""

from bridge.worker.coordinator import Coordinator

__all__ = ["Coordinator"]
