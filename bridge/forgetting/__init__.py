"""Forgetting a person: everything the ledger holds of one, found and taken out.

What stays is what names nobody: that there was a webhook and a delivery, when, on which
route and how it ended, and hashes of the keys that stop a second message.
"""

from bridge.forgetting.finding import Finder, Findings
from bridge.forgetting.removal import BATCH, Forgetting, Report

__all__ = ["BATCH", "Finder", "Findings", "Forgetting", "Report"]
