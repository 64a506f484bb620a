"""Mending by hand: what is put back in the queue, and what is closed."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, bindparam, exists, null, select, update

from bridge.errors import TransitionError
from bridge.model import Cause, DeliveryStatus, Lane, next_status, sources
from bridge.store import deeds
from bridge.store.database import Tx
from bridge.store.deeds import Action, By
from bridge.store.ids import as_id
from bridge.store.prepared import Prepared
from bridge.store.schema import CHUNK, deliveries, events

_FIND = (
    select(deliveries.c.id, deliveries.c.status)
    .where(deliveries.c.id.in_(bindparam("wanted", expanding=True)))
    .with_for_update()
)
#: Nothing could be made of it any more.
_IS_WHOLE = ~exists().where(
    events.c.id == deliveries.c.event_id, events.c.blanked_at.is_not(None)
)
_one = update(deliveries).where(
    deliveries.c.id == bindparam("mended"),
    deliveries.c.status == bindparam("from_status"),
)
_REDELIVER = Prepared(
    _one.values(
        status=DeliveryStatus.PENDING.value,
        lane=Lane.FRESH.value,
        due_at=bindparam("now"),
        token=null(),
        attempts=0,
        doubts=0,
        aging_since=bindparam("now"),
        scheduled_message_id=null(),
        reason=null(),
        updated_at=bindparam("now"),
    )
)
_CLOSE = Prepared(
    _one.values(
        status=bindparam("to_status"),
        due_at=null(),
        reason=bindparam("why"),
        updated_at=bindparam("now"),
    )
)
#: What closes a delivery, and how that is called.
_CLOSING = {
    Cause.RESOLVED_SENT: Action.RESOLVE_SENT,
    Cause.RESOLVED_DROPPED: Action.DROP,
}


def redeliver(tx: Tx, ids: Sequence[str], *, by: By, force: bool = False) -> list[str]:
    """Put deliveries back in the queue, as if new; attempts and keys stay.

    Args:
        tx: The transaction.
        ids: Which ones.
        by: Who does it.
        force: True also for those that went well, or wait, or are in doubt.

    Returns:
        Those that were put back; the state table forbids the others, or their event
        is blanked.
    """
    cause = Cause.REDELIVER_FORCED if force else Cause.REDELIVER
    found = _standing(tx, ids, cause, _IS_WHOLE)
    rows = [_row(tx, one, status) for one, status in found]
    _run(tx, _REDELIVER, rows)
    tx.is_news = True
    deeds.note(tx, by, Action.REDELIVER, found)
    return [one for one, _ in found]


def close(
    tx: Tx, ids: Sequence[str], cause: Cause, reason: str, *, by: By
) -> list[str]:
    """Close held or dead deliveries by hand.

    Args:
        tx: The transaction.
        ids: Which ones.
        cause: `RESOLVED_SENT` or `RESOLVED_DROPPED`.
        reason: In plain words, kept.
        by: Who does it.

    Returns:
        Those that were closed; the state table forbids the others.
    """
    found = _standing(tx, ids, cause)
    rows = [
        _row(tx, one, status)
        | {
            "to_status": next_status(DeliveryStatus(status), cause).value,
            "why": reason,
        }
        for one, status in found
    ]
    _run(tx, _CLOSE, rows)
    deeds.note(tx, by, _CLOSING[cause], found, reason)
    return [one for one, _ in found]


def resolve(tx: Tx, delivery_id: str, cause: Cause, reason: str, *, by: By) -> None:
    """Close one held or dead delivery by hand.

    Raises:
        TransitionError: There is no such delivery, or its state forbids it.
    """
    if close(tx, [delivery_id], cause, reason, by=by):
        return
    known = as_id(delivery_id)
    found = select(deliveries.c.status).where(deliveries.c.id == known)
    before = None if known is None else tx.connection.execute(found).scalar()
    if before is None:
        raise TransitionError(f"there is no delivery {delivery_id}")
    next_status(DeliveryStatus(before), cause)


def _standing(
    tx: Tx, ids: Sequence[str], cause: Cause, *conditions: ColumnElement[bool]
) -> list[tuple[str, str]]:
    """Find those a cause may strike, in the given order, with their states."""
    allowed = {status.value for status in sources(cause)}
    known = list(dict.fromkeys(one for one in map(as_id, ids) if one is not None))
    found: dict[str, str] = {}
    for start in range(0, len(known), CHUNK):
        wanted = {"wanted": known[start : start + CHUNK]}
        rows = tx.connection.execute(_FIND.where(*conditions), wanted)
        found |= {row.id: row.status for row in rows if row.status in allowed}
    return [(one, found[one]) for one in known if one in found]


def _row(tx: Tx, delivery_id: str, status: str) -> dict[str, Any]:
    return {"mended": delivery_id, "from_status": status, "now": tx.now}


def _run(tx: Tx, statement: Prepared, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        statement.run(tx.connection, rows)
