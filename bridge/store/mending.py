"""Mending by hand: what is put back in the queue, and what is closed."""

from collections.abc import Sequence

from sqlalchemy import bindparam, exists, select, update

from bridge.errors import TransitionError
from bridge.model import Cause, DeliveryStatus, Lane, next_status, sources
from bridge.store.database import Tx
from bridge.store.schema import as_id, deliveries, events

_REDELIVER = update(deliveries).where(
    deliveries.c.id == bindparam("again"),
    deliveries.c.status.in_(bindparam("allowed", expanding=True)),
    # Nothing could be made of it any more.
    ~exists().where(
        events.c.id == deliveries.c.event_id, events.c.blanked_at.is_not(None)
    ),
)
_CLOSE = update(deliveries).where(
    deliveries.c.id == bindparam("closed"),
    deliveries.c.status == bindparam("from_status"),
)


def redeliver(tx: Tx, ids: Sequence[str], *, force: bool = False) -> list[str]:
    """Put deliveries back in the queue, as if new; attempts and keys stay.

    Args:
        tx: The transaction.
        ids: Which ones.
        force: True also for those that went well, or wait, or are in doubt.

    Returns:
        Those that were put back; the state table forbids the others, or their event
        is blanked.
    """
    cause = Cause.REDELIVER_FORCED if force else Cause.REDELIVER
    allowed = sorted(status.value for status in sources(cause))
    statement = _REDELIVER.values(
        status=DeliveryStatus.PENDING.value,
        lane=Lane.FRESH.value,
        due_at=tx.now,
        token=None,
        attempts=0,
        doubts=0,
        aging_since=tx.now,
        scheduled_message_id=None,
        reason=None,
        updated_at=tx.now,
    )
    tx.is_news = True
    known = [one for one in map(as_id, ids) if one is not None]
    return [
        one
        for one in known
        if tx.connection.execute(statement, {"again": one, "allowed": allowed}).rowcount
    ]


def resolve(tx: Tx, delivery_id: str, cause: Cause, reason: str) -> None:
    """Close a held or dead delivery by hand.

    Args:
        tx: The transaction.
        delivery_id: Which one.
        cause: `RESOLVED_SENT` or `RESOLVED_DROPPED`.
        reason: In plain words, kept.

    Raises:
        TransitionError: There is no such delivery, or its state forbids it.
    """
    known = as_id(delivery_id)
    found = select(deliveries.c.status).where(deliveries.c.id == known)
    before = tx.connection.execute(found.with_for_update()).scalar()
    if known is None or before is None:
        raise TransitionError(f"there is no delivery {delivery_id}")
    status = next_status(DeliveryStatus(before), cause)
    tx.connection.execute(
        _CLOSE.values(
            status=status.value, due_at=None, reason=reason, updated_at=tx.now
        ),
        {"closed": known, "from_status": before},
    )
