"""What workers say of their claims, written down by the state table."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.sqlite import insert

from bridge.model import (
    Attempt,
    Cause,
    DeliveryStatus,
    Lane,
    Settlement,
    next_status,
    sources,
)
from bridge.store.database import AnyRow, Tx
from bridge.store.prepared import Prepared
from bridge.store.schema import attempts, deliveries

#: Causes after which a delivery waits where it stood: nothing was wrong with it.
_KEEPS_LANE = (Cause.UNSENT, Cause.GATE_CLOSED)
_BIGGEST = 2**63 - 1

_FIND = (
    select(deliveries.c.id, deliveries.c.token, deliveries.c.status, deliveries.c.lane)
    .where(deliveries.c.id.in_(bindparam("wanted", expanding=True)))
    .with_for_update()
)
_SETTLE = Prepared(
    update(deliveries)
    .where(
        deliveries.c.id == bindparam("settled"),
        deliveries.c.token == bindparam("held_by"),
        deliveries.c.status == bindparam("from_status"),
    )
    .values(
        status=bindparam("to_status"),
        lane=bindparam("to_lane"),
        due_at=bindparam("to_due"),
        reason=bindparam("why"),
        attempts=deliveries.c.attempts + bindparam("counted"),
        doubts=deliveries.c.doubts + bindparam("doubted"),
        number=func.coalesce(bindparam("made"), deliveries.c.number),
        scheduled_message_id=func.coalesce(
            bindparam("message_id"), deliveries.c.scheduled_message_id
        ),
        updated_at=bindparam("now"),
    )
)
_insert = insert(attempts)
_NOTE = Prepared(
    _insert.on_conflict_do_update(
        index_elements=[attempts.c.delivery_id, attempts.c.number],
        # A worker that came back after all knows better than its lease's end.
        set_={
            column.name: _insert.excluded[column.name]
            for column in attempts.c
            if not column.primary_key
        },
    ),
    *attempts.c.keys(),
)


def settle(tx: Tx, settlements: Sequence[Settlement]) -> list[str]:
    """Write what workers say of their claims.

    A settlement applies only while its claim holds: same token, still `sending`. One
    exception: a success that comes after the lease ran out ends the doubt, and what was
    decided in it. Attempts are kept whether the settlement applied or not, because they
    happened.

    Returns:
        Ids of the deliveries to which a settlement applied.

    Raises:
        TransitionError: A cause has no place after `sending`.
    """
    if not settlements:
        return []
    wanted = [one.delivery_id for one in settlements]
    rows = {row.id: row for row in tx.connection.execute(_FIND, {"wanted": wanted})}
    applied = []
    for one in settlements:
        row = rows.get(one.delivery_id)
        status = None if row is None else _status(row, one)
        if row is not None and status is not None:
            applied.append(_step(tx, one, row, status))
    _SETTLE.run(tx.connection, applied)
    note_attempts(
        tx,
        [
            _attempt(one.delivery_id, one.attempt)
            for one in settlements
            if one.attempt is not None and one.delivery_id in rows
        ],
    )
    return [str(values["settled"]) for values in applied]


def note_attempts(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    """Keep attempts, each under its number."""
    _NOTE.run(tx.connection, rows)


def _status(row: AnyRow, settlement: Settlement) -> DeliveryStatus | None:
    """Find the state a settlement leads to; None where its claim no longer holds."""
    to_sending = next_status(DeliveryStatus.SENDING, settlement.cause)
    if row.token != settlement.token:
        return None
    if row.status == DeliveryStatus.SENDING:
        return to_sending
    is_success = settlement.cause is Cause.ANSWERED_OK
    if is_success and row.status in sources(Cause.ANSWERED_LATE):
        return next_status(DeliveryStatus(row.status), Cause.ANSWERED_LATE)
    return None


def _step(
    tx: Tx, settlement: Settlement, row: AnyRow, status: DeliveryStatus
) -> dict[str, Any]:
    """Make one row of the update."""
    goes_on = status in (DeliveryStatus.PENDING, DeliveryStatus.IN_DOUBT)
    attempt = settlement.attempt
    # The end of the lease has counted the attempt already.
    is_late = row.status != DeliveryStatus.SENDING
    is_counted = settlement.is_counted and attempt is not None and not is_late
    keeps_lane = not goes_on or settlement.cause in _KEEPS_LANE
    return {
        "settled": settlement.delivery_id,
        "held_by": settlement.token,
        "from_status": row.status,
        "to_status": status.value,
        "to_lane": row.lane if keeps_lane else Lane.RETRY.value,
        "to_due": tx.now + (settlement.delay or timedelta(0)) if goes_on else None,
        "why": settlement.reason,
        "counted": int(is_counted),
        "doubted": int(status is DeliveryStatus.IN_DOUBT),
        "made": None if attempt is None else attempt.number,
        "message_id": _storable(settlement.scheduled_message_id),
        "now": tx.now,
    }


def _storable(number: int | None) -> int | None:
    """Leave out a number no database column can hold; it came from outside."""
    return number if number is None or abs(number) <= _BIGGEST else None


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
