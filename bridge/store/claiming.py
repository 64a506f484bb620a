"""The claim: what is due is handed to one worker, under a lease."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import Select, Update, bindparam, select, union_all, update

from bridge.model import Capture, Claim, DeliveryStatus, Lane
from bridge.store.database import AnyRow, Tx
from bridge.store.schema import deliveries, events

_PENDING = DeliveryStatus.PENDING.value
_SENDING = DeliveryStatus.SENDING.value

_TAKE = update(deliveries).values(
    status=_SENDING,
    due_at=bindparam("lease_end"),
    token=bindparam("held_by"),
    updated_at=bindparam("now"),
)
_CLAIMED = (
    deliveries.c.id,
    deliveries.c.event_id,
    deliveries.c.route,
    deliveries.c.endpoint,
    deliveries.c.key,
    deliveries.c.number,
    deliveries.c.attempts,
    deliveries.c.doubts,
    deliveries.c.aging_since,
    deliveries.c.voucher_expires_at,
)


def claim(
    tx: Tx,
    routes: Sequence[str],
    lane: Lane,
    limit: int,
    lease: timedelta,
    token: str,
) -> list[Claim]:
    """Claim what is due, the longest due first.

    Args:
        tx: The round's transaction.
        routes: Names of the routes that may send now.
        lane: Which queue to claim from.
        limit: Most deliveries to claim.
        lease: How long the claim holds; afterwards the outcome counts as unknown.
        token: Names the claim in every later settlement.

    Returns:
        The claims, oldest delivery first.
    """
    if not routes or limit < 1:
        return []
    values: dict[str, Any] = {f"route_{i}": name for i, name in enumerate(routes)}
    values |= {
        "from_lane": lane.value,
        "most": limit,
        "now": tx.now,
        "lease_end": tx.now + lease,
        "held_by": token,
    }
    if tx.is_shared:
        rows = tx.connection.execute(_claiming_shared(len(routes)), values).all()
        claims = [_claim(row, row, token, tx.now) for row in rows]
        return sorted(claims, key=lambda claim: claim.delivery_id)
    rows = tx.connection.execute(_claiming(len(routes)), values).all()
    if not rows:
        return []
    wanted = list({row.event_id for row in rows})
    values = {f"id_{index}": one for index, one in enumerate(wanted)}
    found = tx.connection.execute(_bodies(len(wanted)), values)
    bodies = {row.id: row for row in found}
    claims = [_claim(row, bodies[row.event_id], token, tx.now) for row in rows]
    return sorted(claims, key=lambda claim: claim.delivery_id)


def as_claim(tx: Tx, delivery_id: str) -> Claim | None:
    """Show a delivery as its next claim would, to see what an attempt would send.

    Nothing is claimed: no token holds it.
    """
    found = select(deliveries).where(deliveries.c.id == delivery_id)
    row = tx.connection.execute(found).first()
    if row is None:
        return None
    event = tx.connection.execute(_bodies(1), {"id_0": row.event_id}).first()
    return None if event is None else _claim(row, event, "", tx.now)


@lru_cache(maxsize=64)
def _claiming(count: int) -> Update:
    """Make the claim for so many routes.

    One limited look into the index for each route, then the longest due of those: what
    waits at a closed gate is never touched, and no route's backlog is read whole.
    """
    looks = [_due_at_route(f"route_{index}").subquery() for index in range(count)]
    due = union_all(*(select(one.c.id, one.c.due_at) for one in looks)).subquery()
    chosen = select(due.c.id).order_by(due.c.due_at).limit(bindparam("most"))
    return _TAKE.where(
        deliveries.c.id.in_(chosen), deliveries.c.status == _PENDING
    ).returning(*_CLAIMED)


@lru_cache(maxsize=64)
def _claiming_shared(count: int) -> Update:
    """Make the claim where others claim at the same time, bodies included.

    What another has locked it is taking: the look goes past it. Written apart from the
    change, because a look that were made again for a row would find other rows.
    """
    looks = [
        _due_at_route(f"route_{index}").with_for_update(skip_locked=True).subquery()
        for index in range(count)
    ]
    due = union_all(*(select(one.c.id, one.c.due_at) for one in looks)).cte("due")
    chosen = select(due.c.id).order_by(due.c.due_at).limit(bindparam("most"))
    chosen_ids = chosen.cte("chosen")
    return _TAKE.where(
        deliveries.c.id == chosen_ids.c.id, events.c.id == deliveries.c.event_id
    ).returning(
        *_CLAIMED,
        events.c.received_at,
        events.c.repeats,
        events.c.door,
        events.c.body,
    )


@cache
def _bodies(count: int) -> Select[Any]:
    """Make the look-up of so many events; an expanding `IN` costs more than it finds.

    The headers stay where they are: no attempt needs them.
    """
    ids = [bindparam(f"id_{index}", type_=events.c.id.type) for index in range(count)]
    return select(
        events.c.id,
        events.c.received_at,
        events.c.repeats,
        events.c.door,
        events.c.body,
    ).where(events.c.id.in_(ids))


def _due_at_route(parameter: str) -> Select[Any]:
    waiting = deliveries.alias()
    return (
        select(waiting.c.id, waiting.c.due_at)
        .where(
            waiting.c.status == _PENDING,
            waiting.c.route == bindparam(parameter),
            waiting.c.lane == bindparam("from_lane"),
            waiting.c.due_at <= bindparam("now"),
        )
        .order_by(waiting.c.due_at)
        .limit(bindparam("most"))
    )


def _claim(row: AnyRow, event: AnyRow, token: str, now: datetime) -> Claim:
    return Claim(
        delivery_id=row.id,
        token=token,
        route=row.route,
        endpoint=row.endpoint,
        key=row.key,
        number=row.number + 1,
        attempts=row.attempts,
        doubts=row.doubts,
        aging_since=row.aging_since,
        voucher_expires_at=row.voucher_expires_at,
        event_id=row.event_id,
        event_received_at=event.received_at,
        event_repeats=event.repeats,
        capture=Capture(body=event.body, door=event.door),
        claimed_at=now,
    )
