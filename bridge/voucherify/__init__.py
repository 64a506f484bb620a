"""What Voucherify sends: proof, reading, and keys. Pure: no I/O, no clock.

References:
    Voucherify's documentation, "Introduction to webhooks".
"""

from bridge.voucherify.content import data_of
from bridge.voucherify.keys import (
    WHOLE,
    find_reward,
    hands_over,
    is_publication,
    keys_of,
    publication_id_of,
    publication_key,
    whole_publication,
)
from bridge.voucherify.mentions import Mention, mentions
from bridge.voucherify.parsing import parse
from bridge.voucherify.signature import sign, strip_insignificant, verify
from bridge.voucherify.values import identifier, is_absent

__all__ = [
    "WHOLE",
    "Mention",
    "data_of",
    "find_reward",
    "hands_over",
    "identifier",
    "is_absent",
    "is_publication",
    "keys_of",
    "mentions",
    "parse",
    "publication_id_of",
    "publication_key",
    "sign",
    "strip_insignificant",
    "verify",
    "whole_publication",
]
