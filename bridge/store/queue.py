"""The queue: what is due is claimed, what came back is settled."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import Select, Update, bindparam, func, select, union_all, update

from bridge.model import Capture, Cause, Claim, DeliveryStatus, Lane, next_status
from bridge.store import routes_waiting
from bridge.store.database import AnyRow, Tx
from bridge.store.schema import deliveries, events
from bridge.store.settling import note_attempts, settle

_PENDING = DeliveryStatus.PENDING.value
_SENDING = DeliveryStatus.SENDING.value
_IN_DOUBT = DeliveryStatus.IN_DOUBT.value

#: Why a delivery is in doubt whose worker never came back.
VANISHED = "its worker vanished; whether it was sent is unknown"
ORPHANED = "route no longer configured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A delivery whose outcome is unknown and whose time for a decision has come."""

    delivery_id: str
    token: str
    route: str
    #: Unknown outcomes since the count last began.
    doubts: int


_EXPIRED = (
    select(
        deliveries.c.id,
        deliveries.c.token,
        deliveries.c.number,
        deliveries.c.updated_at,
    )
    .where(
        deliveries.c.status == _SENDING,
        deliveries.c.due_at <= bindparam("now"),
    )
    .with_for_update(skip_locked=True)
)
_EXPIRE = (
    update(deliveries)
    .where(
        deliveries.c.id == bindparam("expired"),
        deliveries.c.token == bindparam("held_by"),
        deliveries.c.status == _SENDING,
    )
    .values(
        status=_IN_DOUBT,
        due_at=bindparam("to_due"),
        updated_at=bindparam("now"),
        reason=VANISHED,
        attempts=deliveries.c.attempts + 1,
        number=deliveries.c.number + 1,
        doubts=deliveries.c.doubts + 1,
    )
)
_DOUBTFUL = (
    select(deliveries.c.id, deliveries.c.token, deliveries.c.route, deliveries.c.doubts)
    .where(
        deliveries.c.status == _IN_DOUBT,
        deliveries.c.due_at <= bindparam("now"),
    )
    .order_by(deliveries.c.due_at)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_DECIDE = (
    update(deliveries)
    .where(
        deliveries.c.id == bindparam("decided"),
        deliveries.c.status == _IN_DOUBT,
    )
    .values(
        status=bindparam("to_status"),
        due_at=bindparam("to_due"),
        lane=Lane.RETRY.value,
        reason=bindparam("why"),
        updated_at=bindparam("now"),
    )
)
_HOLD = (
    update(deliveries)
    .where(
        deliveries.c.status.in_([_PENDING, _IN_DOUBT]),
        deliveries.c.due_at.is_not(None),
        deliveries.c.route.in_(bindparam("orphans", expanding=True)),
    )
    .values(
        status=next_status(DeliveryStatus.PENDING, Cause.UNUSABLE).value,
        due_at=None,
        reason=ORPHANED,
        updated_at=bindparam("now"),
    )
)
_RENAME = (
    update(deliveries)
    .where(
        deliveries.c.due_at.is_not(None),
        deliveries.c.route.in_(bindparam("formerly", expanding=True)),
    )
    .values(route=bindparam("new_route"))
)
_NEXT_MOVING = select(func.min(deliveries.c.due_at)).where(
    deliveries.c.status.in_([_SENDING, _IN_DOUBT]), deliveries.c.due_at.is_not(None)
)


class Queue:
    """Hands out deliveries under a lease, and takes back what became of them."""

    #: Write what workers say of their claims (see `settling.settle`).
    settle = staticmethod(settle)

    def claim(
        self,
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
        rows = tx.connection.execute(_claiming(len(routes)), values).all()
        if not rows:
            return []
        wanted = list({row.event_id for row in rows})
        values = {f"id_{index}": one for index, one in enumerate(wanted)}
        found = tx.connection.execute(_bodies(len(wanted)), values)
        bodies = {row.id: row for row in found}
        claims = [_claim(row, bodies[row.event_id], token, tx.now) for row in rows]
        return sorted(claims, key=lambda claim: claim.delivery_id)

    def expire_leases(self, tx: Tx, patience: timedelta = timedelta(0)) -> list[str]:
        """Put in doubt what is still claimed after its lease; return the ids.

        Args:
            tx: The round's transaction.
            patience: How long to wait for a late word of the worker before anything is
                decided.
        """
        rows = tx.connection.execute(_EXPIRED, {"now": tx.now}).all()
        if not rows:
            return []
        tx.connection.execute(
            _EXPIRE,
            [
                {
                    "expired": row.id,
                    "held_by": row.token,
                    "to_due": tx.now + patience,
                    "now": tx.now,
                }
                for row in rows
            ],
        )
        note_attempts(
            tx,
            [
                {
                    "delivery_id": row.id,
                    "number": row.number + 1,
                    "started_at": row.updated_at,
                    "duration_us": 0,
                    "outcome": "unknown",
                    "status": None,
                    "code": None,
                    "reason": VANISHED,
                    "request_id": None,
                    "payload": None,
                }
                for row in rows
            ],
        )
        return [row.id for row in rows]

    def doubtful(self, tx: Tx, limit: int) -> list[Doubt]:
        """List deliveries in doubt that are due for a decision, longest due first."""
        rows = tx.connection.execute(_DOUBTFUL, {"now": tx.now, "most": limit})
        return [
            Doubt(
                delivery_id=row.id,
                token=row.token or "",
                route=row.route,
                doubts=row.doubts,
            )
            for row in rows
        ]

    def decide_doubt(
        self,
        tx: Tx,
        delivery_id: str,
        cause: Cause,
        delay: timedelta | None,
        reason: str | None,
    ) -> bool:
        """Decide on a delivery in doubt; False when it no longer is.

        Args:
            tx: The round's transaction.
            delivery_id: Which one.
            cause: A cause that may strike in doubt.
            delay: Wait before the next send or check; None for none.
            reason: In plain words.

        Raises:
            TransitionError: The cause has no place in doubt.
        """
        status = next_status(DeliveryStatus.IN_DOUBT, cause)
        goes_on = status in (DeliveryStatus.PENDING, DeliveryStatus.IN_DOUBT)
        due = tx.now + (delay or timedelta(0)) if goes_on else None
        done = tx.connection.execute(
            _DECIDE,
            {
                "decided": delivery_id,
                "to_status": status.value,
                "to_due": due,
                "why": reason,
                "now": tx.now,
            },
        )
        return done.rowcount == 1

    def hold_orphans(self, tx: Tx, routes: Sequence[str]) -> int:
        """Hold what waits for a route that is not among those named; count them."""
        orphans = routes_waiting.names(tx) - set(routes)
        if not orphans:
            return 0
        values = {"orphans": sorted(orphans), "now": tx.now}
        return tx.connection.execute(_HOLD, values).rowcount

    def rename(self, tx: Tx, route: str, formerly: Sequence[str]) -> None:
        """Let what waits under earlier names of a route wait under its name."""
        tx.connection.execute(_RENAME, {"new_route": route, "formerly": list(formerly)})

    def next_due(self, tx: Tx, routes: Sequence[str]) -> datetime | None:
        """Tell when there is something to do next, for these routes or in doubt.

        A time that is past means that something is due now.
        """
        times = [tx.connection.execute(_NEXT_MOVING).scalar()]
        if routes:
            values = {f"route_{i}": name for i, name in enumerate(routes)}
            times.append(
                tx.connection.execute(_next_pending(len(routes)), values).scalar()
            )
        return min((time for time in times if time is not None), default=None)


@lru_cache(maxsize=64)
def _claiming(count: int) -> Update:
    """Make the claim for so many routes.

    One limited look into the index for each route, then the longest due of those: what
    waits at a closed gate is never touched, and no route's backlog is read whole.
    """
    looks = [_due_at_route(f"route_{index}").subquery() for index in range(count)]
    due = union_all(*(select(one.c.id, one.c.due_at) for one in looks)).subquery()
    chosen = select(due.c.id).order_by(due.c.due_at).limit(bindparam("most"))
    return (
        update(deliveries)
        .where(deliveries.c.id.in_(chosen), deliveries.c.status == _PENDING)
        .values(
            status=_SENDING,
            due_at=bindparam("lease_end"),
            token=bindparam("held_by"),
            updated_at=bindparam("now"),
        )
        .returning(
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


@lru_cache(maxsize=64)
def _next_pending(count: int) -> Select[Any]:
    looks = [
        select(func.min(deliveries.c.due_at).label("due_at")).where(
            deliveries.c.status == _PENDING,
            deliveries.c.route == bindparam(f"route_{index}"),
            deliveries.c.lane == lane.value,
            deliveries.c.due_at.is_not(None),
        )
        for index in range(count)
        for lane in Lane
    ]
    return select(func.min(union_all(*looks).subquery().c.due_at))


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
