"""The queue: what is due is claimed under a lease; waiting deliveries are moved."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    Update,
    and_,
    bindparam,
    delete,
    func,
    or_,
    select,
    union_all,
    update,
)

from bridge.model import (
    Capture,
    Claim,
    DeliveryStatus,
    Trigger,
    destination_circuit,
    next_status,
    route_circuit,
)
from bridge.store.database import AnyRow, Transaction, chunks
from bridge.store.schema import circuits, deliveries, events, leases
from bridge.store.settle import settle

__all__ = [
    "FRESH_FOR",
    "claim",
    "closed_times",
    "hold_unrouted",
    "is_sending",
    "preview_claim",
    "rename_route",
    "reset_far_future",
    "settle",
]

#: How long a delivery that was never attempted counts as fresh after it became due.
FRESH_FOR = timedelta(seconds=5)
#: Why a delivery is held whose route is gone.
UNROUTED = "route no longer configured"
#: The longest wait before an attempt or a probe: a quarter of an hour is the most that
#: a destination may ask for.
_LONGEST_WAIT = timedelta(minutes=16)
#: What is left of a lease that is absurdly long: a worker that is alive settles within
#: this time.
_REST_OF_LEASE = timedelta(minutes=2)

_PENDING = DeliveryStatus.PENDING.value
_SENDING = DeliveryStatus.SENDING.value
_IN_DOUBT = DeliveryStatus.IN_DOUBT.value

_IS_ACTIVE = deliveries.c.due_at.is_not(None)
#: What an attempt needs of the delivery.
_OF_DELIVERY = (
    deliveries.c.id,
    deliveries.c.event_id,
    deliveries.c.route,
    deliveries.c.destination,
    deliveries.c.endpoint,
    deliveries.c.key,
    deliveries.c.recipient,
    deliveries.c.token,
    deliveries.c.attempts,
    deliveries.c.attempt_no,
    deliveries.c.unknown_outcomes,
    deliveries.c.age_started_at,
    deliveries.c.expires_at,
)
#: What an attempt needs of the event; the headers stay where they are.
_EVENTS = select(
    events.c.id,
    events.c.received_at,
    events.c.repeats,
    events.c.source,
    events.c.endpoint.label("event_endpoint"),
    events.c.body,
).where(events.c.id.in_(bindparam("wanted", expanding=True)))
_CLOSED = select(circuits.c.name, circuits.c.closed_at).where(
    circuits.c.closed_at.is_not(None)
)


def claim(  # noqa: PLR0913 - the values of one statement
    tx: Transaction,
    routes: Sequence[str],
    *,
    is_fresh: bool,
    limit: int,
    lease: timedelta,
    token: str,
    destination: str | None = None,
) -> list[Claim]:
    """Claim what is due, the longest due first.

    Args:
        tx: The transaction.
        routes: Names of the routes that may send now.
        is_fresh: True for deliveries never attempted and due within the last 5 s;
            False for all others: retries and the backlog.
        limit: Most deliveries to claim.
        lease: How long the claim holds; afterwards the outcome counts as unknown.
        token: Names the claim when it is settled.
        destination: Where they are sent now, which is kept: a route's destination may
            have changed since. None for the one stored.

    Returns:
        The claims, oldest delivery first. Their `age_started_at` leaves out the time
        before a circuit breaker of theirs last closed.
    """
    if not routes or limit < 1:
        return []
    values: dict[str, Any] = {
        f"route_{number}": route for number, route in enumerate(routes)
    }
    values |= {"most": limit, "now": tx.now, "edge": tx.now - FRESH_FOR}
    values |= {"lease_end": tx.now + lease, "held_by": token, "to": destination}
    statement = _claiming(len(routes), is_fresh, tx.is_concurrent)
    rows = tx.connection.execute(statement, values).all()
    return sorted(_claims(tx, rows), key=lambda one: one.delivery_id)


def preview_claim(tx: Transaction, delivery_id: str) -> Claim | None:
    """Show a delivery as its next claim would, to see what an attempt would send.

    Nothing is claimed: no token holds it.
    """
    found = select(*_OF_DELIVERY).where(deliveries.c.id == delivery_id)
    claims = _claims(tx, tx.connection.execute(found).all())
    return claims[0] if claims else None


def is_sending(tx: Transaction, routes: Sequence[str]) -> bool:
    """Tell whether any worker holds a delivery of these routes."""
    found = select(deliveries.c.id).where(
        deliveries.c.status == _SENDING, deliveries.c.route.in_(routes), _IS_ACTIVE
    )
    return tx.connection.execute(found.limit(1)).first() is not None


def hold_unrouted(tx: Transaction, routes: Sequence[str]) -> int:
    """Hold what waits for a route that is not among those named; count them.

    What is being sent stays as it is: it is settled, or found in doubt and then held.
    """
    held = (
        update(deliveries)
        .where(
            deliveries.c.status.in_([_PENDING, _IN_DOUBT]),
            deliveries.c.route.not_in(routes),
            _IS_ACTIVE,
        )
        .values(
            status=next_status(DeliveryStatus.PENDING, Trigger.UNUSABLE).value,
            due_at=None,
            reason=UNROUTED,
            updated_at=tx.now,
        )
    )
    return tx.connection.execute(held).rowcount


def rename_route(tx: Transaction, name: str, previous: Sequence[str]) -> None:
    """Move what waits under previous names of a route to its name."""
    if previous:
        moved = update(deliveries).where(deliveries.c.route.in_(previous), _IS_ACTIVE)
        tx.connection.execute(moved.values(route=name))


def reset_far_future(tx: Transaction) -> int:
    """After the clock went back: make due now what is due over 16 minutes ahead.

    Concerns deliveries that wait, leases of claims, probes of circuit breakers,
    heartbeats and named leases. A delivery in doubt stays: checked too early it could
    be sent twice.

    Returns:
        How many deliveries it changed.
    """
    furthest = tx.now + _LONGEST_WAIT
    changed = 0
    for status, due in ((_PENDING, tx.now), (_SENDING, tx.now + _REST_OF_LEASE)):
        late = update(deliveries).where(
            deliveries.c.status == status, deliveries.c.due_at > furthest
        )
        changed += tx.connection.execute(late.values(due_at=due)).rowcount
    probes = update(circuits).where(circuits.c.probe_at > furthest)
    tx.connection.execute(probes.values(probe_at=tx.now))
    tx.connection.execute(delete(leases).where(leases.c.expires_at > furthest))
    return changed


def closed_times(tx: Transaction) -> dict[str, datetime]:
    """Read when circuit breakers last closed, by name."""
    return {row.name: row.closed_at for row in tx.connection.execute(_CLOSED)}


def age_start(row: AnyRow, closed: dict[str, datetime]) -> datetime:
    """Tell when a delivery's age begins: what waited at an open circuit has not aged.

    Args:
        row: With `age_started_at`, `route` and `destination`.
        closed: When circuit breakers last closed, as `closed_times` reads them.
    """
    names = destination_circuit(row.destination), route_circuit(row.route)
    start: datetime = row.age_started_at
    return max([start, *(closed[name] for name in names if name in closed)])


@lru_cache(maxsize=64)
def _claiming(routes: int, is_fresh: bool, is_concurrent: bool) -> Update:
    """Make the claim for so many routes; building it takes longer than running it.

    One limited look into the index for each route, then the longest due of those: what
    waits behind an open circuit breaker is never touched, and no route's backlog is
    read whole.
    """
    looks = [_due_on_route(number, is_fresh=is_fresh) for number in range(routes)]
    if is_concurrent:
        # What another worker has locked it is claiming itself: the look goes past it.
        looks = [one.with_for_update(skip_locked=True) for one in looks]
    due = union_all(*(select(one.subquery()) for one in looks)).cte("looks")
    oldest = select(due.c.id).order_by(due.c.due_at).limit(bindparam("most"))
    # Apart from the update, because a look made again for a row would find other rows.
    chosen = oldest.cte("due")
    return (
        update(deliveries)
        .where(
            deliveries.c.id.in_(select(chosen.c.id)), deliveries.c.status == _PENDING
        )
        .values(
            status=_SENDING,
            due_at=bindparam("lease_end"),
            token=bindparam("held_by"),
            destination=func.coalesce(
                bindparam("to", type_=String), deliveries.c.destination
            ),
            updated_at=bindparam("now"),
        )
        .returning(*_OF_DELIVERY)
    )


def _due_on_route(number: int, *, is_fresh: bool) -> Select[tuple[str, datetime]]:
    waiting = deliveries.alias()
    due, edge = waiting.c.due_at, bindparam("edge", type_=deliveries.c.due_at.type)
    kind: ColumnElement[bool] = or_(due <= edge, waiting.c.attempts > 0)
    if is_fresh:
        kind = and_(due > edge, waiting.c.attempts == 0)
    return (
        select(waiting.c.id, due)
        .where(
            waiting.c.status == _PENDING,
            waiting.c.route == bindparam(f"route_{number}"),
            due <= bindparam("now"),
            kind,
        )
        .order_by(due)
        .limit(bindparam("most"))
    )


def _claims(tx: Transaction, rows: Sequence[AnyRow]) -> list[Claim]:
    if not rows:
        return []
    found = _events(tx, {row.event_id for row in rows})
    closed = closed_times(tx)
    return [
        _claim(row, found[row.event_id], tx.now, age_start(row, closed))
        for row in rows
        if row.event_id in found
    ]


def _events(tx: Transaction, ids: Iterable[str]) -> dict[str, AnyRow]:
    found: dict[str, AnyRow] = {}
    for some in chunks(ids):
        rows = tx.connection.execute(_EVENTS, {"wanted": some})
        found |= {row.id: row for row in rows}
    return found


def _claim(
    row: AnyRow, event: AnyRow, now: datetime, age_started_at: datetime
) -> Claim:
    return Claim(
        delivery_id=row.id,
        token=row.token or "",
        route=row.route,
        destination=row.destination,
        endpoint=row.endpoint,
        key=row.key,
        recipient=row.recipient,
        attempt_no=row.attempt_no + 1,
        attempts=row.attempts,
        unknown_outcomes=row.unknown_outcomes,
        age_started_at=age_started_at,
        expires_at=row.expires_at,
        event_id=row.event_id,
        event_received_at=event.received_at,
        event_repeats=event.repeats,
        capture=Capture(
            body=event.body, source=event.source, endpoint=event.event_endpoint
        ),
        claimed_at=now,
    )
