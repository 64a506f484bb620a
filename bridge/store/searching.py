"""What a search term may mean; it builds a condition and runs nothing."""

import re

from sqlalchemy import ColumnElement, func, or_

from bridge.store.columns import Words
from bridge.store.schema import as_id, deliveries

_TEXTS = (
    deliveries.c.recipient,
    deliveries.c.code,
    deliveries.c.campaign,
    deliveries.c.customer_id,
    deliveries.c.key,
)
_IDS = (deliveries.c.id, deliveries.c.event_id)
_ID_DIGITS = 32
#: Digits that all ids of some hours share; fewer would find half the ledger.
_LEAST_DIGITS = 8


def matching(term: str) -> ColumnElement[bool]:
    """Make the condition for a delivery that a term means.

    Args:
        term: Whole or beginning of a recipient, a code, a campaign, a customer id, a
            key, or a delivery's or event's id. Upper and lower case differ.
    """
    known = as_id(term)
    if known is not None:
        # Nothing else looks like this, and only ids are indexed.
        return or_(*(column == known for column in _IDS))
    # Not by comparing: the order of texts is the database's own.
    found: list[ColumnElement[bool]] = [
        func.substr(column, 1, len(term), type_=Words) == term for column in _TEXTS
    ]
    # Codes after the first stand behind a comma.
    found.append(deliveries.c.code.contains(f", {term}", autoescape=True))
    digits = term.strip().lower().replace("-", "")
    if re.fullmatch(rf"[0-9a-f]{{{_LEAST_DIGITS},{_ID_DIGITS}}}", digits):
        low, high = _id(digits, "0"), _id(digits, "f")
        found += [column.between(low, high) for column in _IDS]
    return or_(*found)


def _id(digits: str, filling: str) -> str:
    full = digits.ljust(_ID_DIGITS, filling)
    return f"{full[:8]}-{full[8:12]}-{full[12:16]}-{full[16:20]}-{full[20:]}"
