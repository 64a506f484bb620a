"""Voucherify's publications against the ledger: what is missing, and how to mend it.

Comparing is pure. What is missing is handed to the intake as the webhook that should
have come; it goes in by no other way.
"""

from bridge.reconcile.comparing import compare
from bridge.reconcile.restoring import Restorer
from bridge.reconcile.standing import (
    CLOCKS,
    Comparison,
    Finding,
    Found,
    Missing,
    Window,
)
from bridge.reconcile.unlisted import extras, published_at

__all__ = [
    "CLOCKS",
    "Comparison",
    "Finding",
    "Found",
    "Missing",
    "Restorer",
    "Window",
    "compare",
    "extras",
    "published_at",
]
