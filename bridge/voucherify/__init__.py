"""What Voucherify sends: proof, reading, and keys. Pure: no I/O, no clock.

References:
    Voucherify's documentation, "Introduction to webhooks".
"""

from bridge.voucherify.content import data_of
from bridge.voucherify.keys import (
    find_reward,
    is_publication,
    keys_of,
    whole_publication,
)
from bridge.voucherify.parsing import parse
from bridge.voucherify.signature import sign, strip_insignificant, verify
from bridge.voucherify.values import is_absent

__all__ = [
    "data_of",
    "find_reward",
    "is_absent",
    "is_publication",
    "keys_of",
    "parse",
    "sign",
    "strip_insignificant",
    "verify",
    "whole_publication",
]
