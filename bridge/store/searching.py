"""What a search term may mean; it builds conditions and runs nothing."""

import re
from collections.abc import Iterator

from sqlalchemy import Column, ColumnElement, func, or_, select

from bridge.store.columns import Words
from bridge.store.ids import as_id
from bridge.store.schema import deliveries, events

#: Columns of text that a term may be the whole or the beginning of.
TEXTS: tuple[Column[str], ...] = (
    deliveries.c.recipient,
    deliveries.c.code,
    deliveries.c.campaign,
    deliveries.c.customer_id,
    deliveries.c.key,
)
#: Between the codes of one delivery.
COMMA = ", "
_IDS = (deliveries.c.id, deliveries.c.event_id)
#: Vendor's ids that business keys hold, and what stands before them there.
_IN_KEYS = {"pub_": "pub:"}
_ID_DIGITS = 32
#: Digits that all ids of some hours share; fewer would find half the ledger.
_LEAST_DIGITS = 8


def matching(term: str) -> ColumnElement[bool]:
    """Make the condition for a delivery that a term means.

    Args:
        term: Whole or beginning of a recipient, a code, a campaign, a customer id, a
            key, or a delivery's or event's id; a publication's or webhook's id. Upper
            and lower case differ.
    """
    texts = [_begins(column, word) for word in words(term) for column in TEXTS]
    further = deliveries.c.code.contains(COMMA + term, autoescape=True)
    return or_(*texts, further, *of_ids(term))


def words(term: str) -> Iterator[str]:
    """List the forms in which a term may stand at the beginning of a column."""
    yield term
    for beginning, before in _IN_KEYS.items():
        if term.startswith(beginning):
            yield before + term


def of_ids(term: str) -> list[ColumnElement[bool]]:
    """Make the conditions that a term is an id, or the beginning of one."""
    known = as_id(term)
    if known is not None:
        return [column == known for column in _IDS]
    webhook = select(events.c.id).where(events.c.transport_key == term)
    found: list[ColumnElement[bool]] = [deliveries.c.event_id.in_(webhook)]
    digits = term.strip().lower().replace("-", "")
    if re.fullmatch(rf"[0-9a-f]{{{_LEAST_DIGITS},{_ID_DIGITS}}}", digits):
        low, high = _id(digits, "0"), _id(digits, "f")
        found += [column.between(low, high) for column in _IDS]
    return found


def _begins(column: Column[str], word: str) -> ColumnElement[bool]:
    # Not LIKE, which is blind to case on SQLite, nor by order, which is the language's
    # on PostgreSQL.
    return func.substr(column, 1, len(word), type_=Words()) == word


def _id(digits: str, filling: str) -> str:
    full = digits.ljust(_ID_DIGITS, filling)
    return f"{full[:8]}-{full[8:12]}-{full[12:16]}-{full[16:20]}-{full[20:]}"
