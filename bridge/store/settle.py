"""Results of attempts, written by the state table; a claim's token decides."""

from collections.abc import Container, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Integer, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from bridge.model import (
    Attempt,
    AttemptResult,
    DeliveryStatus,
    Trigger,
    next_status,
    sources,
)
from bridge.store.database import AnyRow, Transaction, chunks
from bridge.store.schema import attempts, deliveries
from bridge.store.types import SafeText

#: Attempts kept of one delivery, the first and the last. A message may fail every five
#: minutes for days, each attempt with its payload.
KEPT_FIRST, KEPT_LAST = 10, 40

_SETTLE = (
    update(deliveries)
    .where(
        deliveries.c.id == bindparam("settled"),
        deliveries.c.token == bindparam("held_by"),
        deliveries.c.status == bindparam("from_status"),
    )
    .values(
        status=bindparam("to_status"),
        due_at=bindparam("to_due"),
        reason=bindparam("why"),
        attempts=deliveries.c.attempts + bindparam("counted"),
        unknown_outcomes=deliveries.c.unknown_outcomes + bindparam("unknown"),
        attempt_no=func.coalesce(
            bindparam("made", type_=Integer), deliveries.c.attempt_no
        ),
        message_id=func.coalesce(
            bindparam("sent_as", type_=SafeText), deliveries.c.message_id
        ),
        updated_at=bindparam("now"),
    )
)
_insert = insert(attempts)
_NOTE = _insert.on_conflict_do_update(
    index_elements=[attempts.c.delivery_id, attempts.c.number],
    # A worker that came back after all knows better than the end of its lease.
    set_={
        column.name: _insert.excluded[column.name]
        for column in attempts.c
        if not column.primary_key
    },
)
_THIN = delete(attempts).where(
    attempts.c.delivery_id == bindparam("of_delivery"),
    attempts.c.number > KEPT_FIRST,
    attempts.c.number <= bindparam("up_to"),
)


def settle(tx: Transaction, results: Sequence[AttemptResult]) -> list[str]:
    """Write what became of claims.

    A result applies only while its claim holds: same token, still `sending`. One
    exception: a success that comes after the lease expired settles the delivery, and
    what was decided meanwhile. Attempts are kept whether the result applied or not,
    because they happened.

    Returns:
        Ids of the deliveries to which a result applied.

    Raises:
        TransitionError: A trigger has no place after `sending`.
    """
    if not results:
        return []
    usual = [_usual(tx, one) for one in results]
    applied = [one.claim.delivery_id for one in results]
    known: Container[str] = applied
    if tx.connection.execute(_SETTLE, usual).rowcount != len(usual):
        rows = _rows(tx, applied)
        late = _late(tx, results, rows)
        if late:
            tx.connection.execute(_SETTLE, late)
        on_time = [str(one["settled"]) for one in usual if _is_done(tx, one, rows)]
        applied = [*dict.fromkeys(on_time), *(str(one["settled"]) for one in late)]
        known = rows
    note_attempts(
        tx,
        [
            _attempt(one.claim.delivery_id, one.attempt)
            for one in results
            if one.attempt is not None and one.claim.delivery_id in known
        ],
    )
    return applied


def note_attempts(tx: Transaction, rows: Sequence[dict[str, Any]]) -> None:
    """Keep attempts, each under its number; of very many the first and the last."""
    if rows:
        tx.connection.execute(_NOTE, rows)
    many = [
        {"of_delivery": row["delivery_id"], "up_to": row["number"] - KEPT_LAST}
        for row in rows
        if row["number"] > KEPT_FIRST + KEPT_LAST
    ]
    if many:
        tx.connection.execute(_THIN, many)


def _rows(tx: Transaction, ids: Sequence[str]) -> dict[str, AnyRow]:
    """Read, and lock, how deliveries are now."""
    columns = (
        deliveries.c.id,
        deliveries.c.token,
        deliveries.c.status,
        deliveries.c.updated_at,
    )
    found: dict[str, AnyRow] = {}
    for some in chunks(sorted(set(ids))):
        rows = select(*columns).where(deliveries.c.id.in_(some)).with_for_update()
        found |= {row.id: row for row in tx.connection.execute(rows)}
    return found


def _usual(tx: Transaction, result: AttemptResult) -> dict[str, Any]:
    """Make the row of an update of what is still claimed."""
    status = next_status(DeliveryStatus.SENDING, result.trigger)
    is_counted = result.is_counted and result.attempt is not None
    return _step(tx, result, DeliveryStatus.SENDING, status) | {
        "counted": int(is_counted),
        "unknown": int(status is DeliveryStatus.IN_DOUBT),
    }


def _late(
    tx: Transaction, results: Sequence[AttemptResult], rows: Mapping[str, AnyRow]
) -> list[dict[str, Any]]:
    """Make the rows for successes that came after the lease, which counted them."""
    sent = [one for one in results if one.trigger is Trigger.ANSWERED_OK]
    found = [(one, rows.get(one.claim.delivery_id)) for one in sent]
    return [
        _step(
            tx,
            one,
            DeliveryStatus(row.status),
            next_status(DeliveryStatus(row.status), Trigger.ANSWERED_LATE),
        )
        | {"counted": 0, "unknown": 0}
        for one, row in found
        if row is not None
        and row.token == one.claim.token
        and row.status in sources(Trigger.ANSWERED_LATE)
    ]


def _is_done(
    tx: Transaction, step: Mapping[str, Any], rows: Mapping[str, AnyRow]
) -> bool:
    """Tell whether an update of this transaction found its row."""
    row = rows.get(step["settled"])
    return (
        row is not None
        and row.token == step["held_by"]
        and row.status == step["to_status"]
        and row.updated_at == tx.now
    )


def _step(
    tx: Transaction,
    result: AttemptResult,
    before: DeliveryStatus,
    after: DeliveryStatus,
) -> dict[str, Any]:
    """Make what every row of the update has."""
    goes_on = after in (DeliveryStatus.PENDING, DeliveryStatus.IN_DOUBT)
    return {
        "settled": result.claim.delivery_id,
        "held_by": result.claim.token,
        "from_status": before.value,
        "to_status": after.value,
        "to_due": tx.now + (result.delay or timedelta(0)) if goes_on else None,
        "why": result.reason,
        "made": None if result.attempt is None else result.attempt.number,
        "sent_as": result.message_id,
        "now": tx.now,
    }


def _attempt(delivery_id: str, attempt: Attempt) -> dict[str, Any]:
    return {
        "delivery_id": delivery_id,
        "number": attempt.number,
        "started_at": attempt.started_at,
        "duration_us": attempt.duration // timedelta(microseconds=1),
        "outcome": attempt.outcome,
        "status": attempt.status,
        "code": attempt.code,
        "reason": attempt.reason,
        "request_id": attempt.request_id,
        "payload": attempt.payload,
    }
