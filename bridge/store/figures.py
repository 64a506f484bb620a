"""How many deliveries wait, where, and since when: what metrics and alerts ask."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Integer, bindparam, case, func, literal_column, select

from bridge.model import DeliveryStatus, Gate
from bridge.store.columns import Utc
from bridge.store.database import Database, Tx
from bridge.store.gates import Gates
from bridge.store.schema import IS_TROUBLED, deliveries

Count = Mapping[tuple[str, DeliveryStatus], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The store at one moment."""

    at: datetime
    #: Deliveries by route and state, but for the states that end well: those only
    #: grow, and counting them would take ever longer.
    deliveries: Count
    #: When the oldest pending delivery of each route is or was due.
    due: Mapping[str, datetime]
    #: Dead deliveries that died after the time asked for.
    died: int
    #: Every gate that was ever touched.
    gates: Mapping[str, Gate]

    def count(self, status: DeliveryStatus) -> int:
        """Count the deliveries in a state, all routes together."""
        return sum(n for (_, found), n in self.deliveries.items() if found is status)

    def overdue(self, route: str) -> timedelta:
        """Tell how long the oldest due delivery of a route has been due."""
        due = self.due.get(route, self.at)
        return max(self.at - due, timedelta(0))


_WAITING = (
    select(
        deliveries.c.status,
        deliveries.c.route,
        func.count().label("number"),
        func.min(deliveries.c.due_at).label("due"),
    )
    .where(deliveries.c.due_at.is_not(None))
    .group_by(deliveries.c.status, deliveries.c.route)
)
_IS_RECENT = deliveries.c.updated_at > bindparam("since", type_=Utc)
_TROUBLED = (
    select(
        deliveries.c.status,
        deliveries.c.route,
        func.count().label("number"),
        func.sum(case((_IS_RECENT, 1), else_=literal_column("0", Integer))).label(
            "recent"
        ),
    )
    .where(IS_TROUBLED)
    .group_by(deliveries.c.status, deliveries.c.route)
)


def count(database: Database, within: timedelta) -> Figures:
    """Count what has not ended well, reading indexes only.

    Args:
        database: Where.
        within: How long ago a delivery may have died to be among `died`.

    Raises:
        StoreUnavailable: The database cannot be read.
    """
    with database.read() as tx:
        return _count(tx, tx.now - within)


def _count(tx: Tx, since: datetime) -> Figures:
    waiting = tx.connection.execute(_WAITING).all()
    troubled = tx.connection.execute(_TROUBLED, {"since": since}).all()
    counts = {
        (row.route, DeliveryStatus(row.status)): int(row.number)
        for row in (*waiting, *troubled)
    }
    pending, dead = DeliveryStatus.PENDING, DeliveryStatus.DEAD
    return Figures(
        at=tx.now,
        deliveries=counts,
        due={row.route: row.due for row in waiting if row.status == pending},
        died=sum(int(row.recent) for row in troubled if row.status == dead),
        gates=Gates().read(tx),
    )
