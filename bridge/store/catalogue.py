"""Words by which deliveries are found, noted down some time after they arrived.

A part holds the words of a thousand deliveries that arrived one after the other; the
newest grows to that, some deliveries at a time. A search looks into each part, the
newest first, and walks over what is in none yet.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Select,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from bridge.store.database import AnyRow, Tx
from bridge.store.ids import NO_ID, as_id
from bridge.store.prepared import Prepared
from bridge.store.schema import CHUNK, catalogue, catalogue_parts, deliveries
from bridge.store.searching import COMMA, TEXTS, words

#: Deliveries of one part.
PART = 1_000
#: Deliveries noted in one transaction: it keeps who writes waiting for 6 ms, where a
#: whole part at once did for 100.
STEP = 50
#: Characters of a word that are kept: an index's entry may not be of any length.
_LONGEST = 100
#: Behind every word that begins as the one before: no byte of UTF-8 is higher.
_LAST = b"\xff"
#: Parts looked into at first; then four times as many each time.
_FIRST_LOOK = 2
_GROWTH = 4

_NOTE = Prepared(insert(catalogue), "part", "word", "delivery_id")
_NEWEST = select(catalogue_parts).order_by(catalogue_parts.c.number.desc()).limit(1)
#: The same, read by one at a time of those who note and those who forget.
_NEWEST_ALONE = _NEWEST.with_for_update()


def end(tx: Tx) -> str:
    """Name the newest delivery that is in the catalogue; `""` where none is."""
    newest = tx.connection.execute(_NEWEST).first()
    return "" if newest is None else str(newest.last)


def is_due(tx: Tx, margin_ends: str) -> bool:
    """Tell whether there is enough to note.

    Args:
        tx: A transaction that reads.
        margin_ends: Ids from here on may still get neighbours before them.
    """
    following = _following(select(deliveries.c.id), end(tx), margin_ends)
    enough = following.limit(1).offset(STEP - 1)
    return tx.connection.execute(enough).first() is not None


def note(tx: Tx, margin_ends: str) -> bool:
    """Let the newest part grow, or begin one, if there still is enough to note.

    Args:
        tx: A transaction that writes.
        margin_ends: As for `is_due`.

    Returns:
        True where something was noted.
    """
    tx.connection.execute(_NEWEST_ALONE)
    found = _following(select(deliveries.c.id, *TEXTS), end(tx), margin_ends)
    rows = list(tx.connection.execute(found))
    if len(rows) < STEP:
        return False
    number = _place(tx, rows[-1].id)
    pairs = sorted({(word, row.id) for row in rows for word in _words(row)})
    entries = [
        {"part": number, "word": word, "delivery_id": one} for word, one in pairs
    ]
    _NOTE.run(tx.connection, entries)
    return True


def _following(rows: Select[Any], after: str, margin_ends: str) -> Select[Any]:
    """List as many deliveries behind one as are noted at once."""
    is_behind = deliveries.c.id > (as_id(after) or NO_ID)
    following = rows.where(is_behind, deliveries.c.id < margin_ends)
    return following.order_by(deliveries.c.id).limit(STEP)


def _place(tx: Tx, last: str) -> int:
    """Have the newest part, or if it is full the next, reach to a delivery."""
    newest = tx.connection.execute(_NEWEST).first()
    if newest is not None and _size(tx, newest) < PART:
        grown = update(catalogue_parts).values(last=last)
        tx.connection.execute(grown.where(catalogue_parts.c.number == newest.number))
        return int(newest.number)
    number = 1 if newest is None else int(newest.number) + 1
    tx.connection.execute(insert(catalogue_parts).values(number=number, last=last))
    return number


def _size(tx: Tx, part: AnyRow) -> int:
    """Count the deliveries of a part that are still there."""
    before = select(catalogue_parts.c.last).where(
        catalogue_parts.c.number == part.number - 1
    )
    first = tx.connection.scalar(before) or NO_ID
    theirs = select(func.count()).where(
        deliveries.c.id > first, deliveries.c.id <= part.last
    )
    return tx.connection.scalar(theirs) or 0


def find(tx: Tx, term: str, before: str | None) -> Iterator[list[str]]:
    """Find deliveries with a word that begins as a term does.

    Args:
        tx: A transaction that reads.
        term: The term.
        before: Only deliveries older than this one.

    Yields:
        Ids that may fit, a number of parts together, the newest part first.
    """
    known = None if before is None else as_id(before)
    if known is None:
        part = tx.connection.scalar(select(func.max(catalogue_parts.c.number))) or 0
    else:
        part = _part_of(tx, known)
    look = _FIRST_LOOK
    is_meant = or_(*(_begins(catalogue.c.word, _key(word)) for word in words(term)))
    while part > 0:
        low = max(0, part - look)
        # Each part by its number: a range of parts would be walked, not looked into.
        is_there = catalogue.c.part.in_(range(part, low, -1))
        found = select(catalogue.c.delivery_id).where(is_there, is_meant)
        yield list(tx.connection.execute(found).scalars())
        part, look = low, min(look * _GROWTH, CHUNK)


def forget(tx: Tx, delivery_ids: Sequence[str]) -> None:
    """Remove every word of some deliveries."""
    # Who is noting their words just now is waited for.
    tx.connection.execute(_NEWEST_ALONE)
    parts: dict[int, list[str]] = {}
    for one in delivery_ids:
        parts.setdefault(_part_of(tx, one), []).append(one)
    for part, several in parts.items():
        for start in range(0, len(several), CHUNK):
            is_one = catalogue.c.delivery_id.in_(several[start : start + CHUNK])
            gone = delete(catalogue).where(catalogue.c.part == part, is_one)
            tx.connection.execute(gone)


def _part_of(tx: Tx, delivery_id: str) -> int:
    """Number the part in which a delivery is, or would be."""
    older = select(func.max(catalogue_parts.c.number)).where(
        catalogue_parts.c.last < delivery_id
    )
    return (tx.connection.scalar(older) or 0) + 1


def _begins(column: Column[bytes], key: bytes) -> ColumnElement[bool]:
    return and_(column >= key, column < key + _LAST)


def _words(row: AnyRow) -> Iterator[bytes]:
    _, recipient, code, *others = row
    for text in (recipient, *code.split(COMMA), code, *others):
        if text:
            yield _key(text)


def _key(word: str) -> bytes:
    return word[:_LONGEST].encode("utf-8", "replace")
