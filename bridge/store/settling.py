"""What workers say of their claims, written down by the state table."""

from collections.abc import Container, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Integer,
    String,
    bindparam,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

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
#: Attempts kept of one delivery. A message may fail every five minutes for days, each
#: attempt with its payload: how it began and how it stands is what somebody will ask.
KEPT_FIRST, KEPT_LAST = 10, 40

_FIND = (
    select(
        deliveries.c.id,
        deliveries.c.token,
        deliveries.c.status,
        deliveries.c.updated_at,
    )
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
        lane=func.coalesce(bindparam("to_lane", type_=String), deliveries.c.lane),
        due_at=bindparam("to_due"),
        reason=bindparam("why"),
        attempts=deliveries.c.attempts + bindparam("counted"),
        doubts=deliveries.c.doubts + bindparam("doubted"),
        number=func.coalesce(bindparam("made", type_=Integer), deliveries.c.number),
        scheduled_message_id=func.coalesce(
            bindparam("message_id", type_=BigInteger), deliveries.c.scheduled_message_id
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

_THIN = delete(attempts).where(
    attempts.c.delivery_id == bindparam("of_delivery"),
    attempts.c.number > KEPT_FIRST,
    attempts.c.number <= bindparam("up_to"),
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
    usual = [_usual(tx, one) for one in settlements]
    applied = [one.delivery_id for one in settlements]
    known: Container[str] = applied
    if _SETTLE.run(tx.connection, usual) != len(usual):
        rows = {
            row.id: row for row in tx.connection.execute(_FIND, {"wanted": applied})
        }
        late = _late(tx, settlements, rows)
        _SETTLE.run(tx.connection, late)
        is_usual = {one["settled"] for one in usual if _is_done(tx, one, rows)}
        applied = [*is_usual, *(str(one["settled"]) for one in late)]
        known = rows
    note_attempts(
        tx,
        [
            _attempt(one.delivery_id, one.attempt)
            for one in settlements
            if one.attempt is not None and one.delivery_id in known
        ],
    )
    return applied


def note_attempts(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    """Keep attempts, each under its number; of very many the first and the last."""
    _NOTE.run(tx.connection, rows)
    many = [
        {"of_delivery": row["delivery_id"], "up_to": row["number"] - KEPT_LAST}
        for row in rows
        if row["number"] > KEPT_FIRST + KEPT_LAST
    ]
    if many:
        tx.connection.execute(_THIN, many)


def _usual(tx: Tx, settlement: Settlement) -> dict[str, Any]:
    """Make the row of an update of what is still claimed."""
    status = next_status(DeliveryStatus.SENDING, settlement.cause)
    is_counted = settlement.is_counted and settlement.attempt is not None
    return _step(tx, settlement, DeliveryStatus.SENDING, status) | {
        "counted": int(is_counted),
        "doubted": int(status is DeliveryStatus.IN_DOUBT),
    }


def _late(
    tx: Tx, settlements: Sequence[Settlement], rows: Mapping[str, AnyRow]
) -> list[dict[str, Any]]:
    """Make the rows for successes that came after the lease, which counted them."""
    sent = [one for one in settlements if one.cause is Cause.ANSWERED_OK]
    found = [(one, rows.get(one.delivery_id)) for one in sent]
    return [
        _step(
            tx,
            one,
            DeliveryStatus(row.status),
            next_status(DeliveryStatus(row.status), Cause.ANSWERED_LATE),
        )
        | {"counted": 0, "doubted": 0}
        for one, row in found
        if row is not None
        and row.token == one.token
        and row.status in sources(Cause.ANSWERED_LATE)
    ]


def _is_done(tx: Tx, step: Mapping[str, Any], rows: Mapping[str, AnyRow]) -> bool:
    """Tell whether an update of this transaction found its row."""
    row = rows.get(step["settled"])
    return (
        row is not None
        and row.token == step["held_by"]
        and row.status == step["to_status"]
        and row.updated_at == tx.now
    )


def _step(
    tx: Tx, settlement: Settlement, before: DeliveryStatus, after: DeliveryStatus
) -> dict[str, Any]:
    """Make what every row of the update has."""
    goes_on = after in (DeliveryStatus.PENDING, DeliveryStatus.IN_DOUBT)
    keeps_lane = not goes_on or settlement.cause in _KEEPS_LANE
    attempt = settlement.attempt
    return {
        "settled": settlement.delivery_id,
        "held_by": settlement.token,
        "from_status": before.value,
        "to_status": after.value,
        "to_lane": None if keeps_lane else Lane.RETRY.value,
        "to_due": tx.now + (settlement.delay or timedelta(0)) if goes_on else None,
        "why": settlement.reason,
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
