"""Words by which deliveries are found, noted down some time after they arrived.

A part holds the words of a thousand deliveries that arrived one after the other. A
search looks into each part, the newest first, and walks over what is in none yet.
"""

from collections.abc import Iterator, Sequence

from sqlalchemy import Column, ColumnElement, and_, delete, func, insert, or_, select

from bridge.store.database import AnyRow, Tx
from bridge.store.ids import as_id
from bridge.store.schema import CHUNK, catalogue, catalogue_parts, deliveries
from bridge.store.searching import COMMA, TEXTS, words

#: Deliveries of one part.
PART = 1_000
#: Characters of a word that are kept: an index's entry may not be of any length.
_LONGEST = 100
#: Behind every word that begins as the one before: no byte of UTF-8 is higher.
_LAST = b"\xff"
#: Parts looked into at first; then four times as many each time.
_FIRST_LOOK = 2
_GROWTH = 4

_NEWEST = select(catalogue_parts).order_by(catalogue_parts.c.number.desc()).limit(1)


def end(tx: Tx) -> str:
    """Name the newest delivery that is in the catalogue; `""` where none is."""
    newest = tx.connection.execute(_NEWEST).first()
    return "" if newest is None else str(newest.last)


def next_rows(tx: Tx, margin_ends: str) -> list[AnyRow]:
    """Read what the next part is made of; nothing while that is too little.

    Args:
        tx: A transaction that reads.
        margin_ends: Ids from here on may still get neighbours before them.
    """
    found = (
        select(deliveries.c.id, *TEXTS)
        .where(deliveries.c.id < margin_ends)
        .order_by(deliveries.c.id)
        .limit(PART)
    )
    last = as_id(end(tx))
    if last is not None:
        found = found.where(deliveries.c.id > last)
    rows = list(tx.connection.execute(found))
    return rows if len(rows) == PART else []


def note(tx: Tx, after: str, margin_ends: str) -> bool:
    """Write the next part, unless somebody else has meanwhile.

    Args:
        tx: A transaction that writes. It reads the rows again: who was forgotten since
            they were counted is not in them any more.
        after: The catalogue's end when the rows were counted.
        margin_ends: As for `next_rows`.
    """
    newest = tx.connection.execute(_NEWEST).first()
    rows = next_rows(tx, margin_ends)
    if not rows or after != ("" if newest is None else newest.last):
        return False
    number = 1 if newest is None else newest.number + 1
    part = {"number": number, "last": rows[-1].id}
    tx.connection.execute(insert(catalogue_parts), [part])
    pairs = sorted({(word, row.id) for row in rows for word in _words(row)})
    entries = [
        {"part": number, "word": word, "delivery_id": one} for word, one in pairs
    ]
    if entries:
        tx.connection.execute(insert(catalogue), entries)
    return True


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
