"""Figures about the program, the same whichever of its processes is asked.

Modules count through the functions and families here, wherever something happens, as
they log; the page for Prometheus is made of what all processes counted.
"""

from bridge.metrics.families import OTHER
from bridge.metrics.names import (
    COMMIT_WEBHOOKS,
    COUNTED_STATES,
    DELIVERIES,
    DEPTH,
    FAMILIES,
    FROM_STORE,
    GATE_STATE,
    LOOK_SECONDS,
    LOOKED_AT,
    OLDEST_DUE_SECONDS,
    REPORTS,
    STORE_UP,
    UPSTREAM_FAILURES,
    WEBHOOKS,
)
from bridge.metrics.noting import attempted, refused, settled, stored
from bridge.metrics.page import page
from bridge.metrics.sharing import share, total

__all__ = [
    "COMMIT_WEBHOOKS",
    "COUNTED_STATES",
    "DELIVERIES",
    "DEPTH",
    "FAMILIES",
    "FROM_STORE",
    "GATE_STATE",
    "LOOKED_AT",
    "LOOK_SECONDS",
    "OLDEST_DUE_SECONDS",
    "OTHER",
    "REPORTS",
    "STORE_UP",
    "UPSTREAM_FAILURES",
    "WEBHOOKS",
    "attempted",
    "page",
    "refused",
    "settled",
    "share",
    "stored",
    "total",
]
