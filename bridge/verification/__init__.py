"""Doubts looked into: was it sent?

Iterable is asked what the person was sent through the campaign; `accounting` says what
that means. While anything is in doubt others for the same person and campaign wait, so
what is counted cannot change before the answer is written down.
"""

from collections.abc import Mapping

from bridge.verification.checks import Check, Checked, Conclusion
from bridge.verification.verifier import Verifier

#: Campaigns about which there is a doubt, by the person's name; None stands for all.
Doubted = Mapping[str, frozenset[int | None]]

__all__ = ["Check", "Checked", "Conclusion", "Doubted", "Verifier"]
