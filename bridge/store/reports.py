"""Reports kept, and the deliveries they speak of; decides nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert

from bridge.model import (
    DeliveryStatus,
    KeptReport,
    Match,
    News,
    Report,
)
from bridge.store.database import AnyRow, Tx
from bridge.store.ids import as_id, new_id
from bridge.store.schema import attempts, deliveries, reports
from bridge.store.sendings import LAST_ATTEMPT, digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a delivery stands that a report speaks of."""

    id: str
    status: DeliveryStatus
    route: str
    #: True where it was put back in the queue by hand after an attempt.
    is_again: bool
    #: When it was stored or put back, at the latest.
    since: datetime
    #: When its last attempt was made; None where there is none yet.
    sent_at: datetime | None


_STANDING = (
    select(
        deliveries.c.id,
        deliveries.c.status,
        deliveries.c.route,
        deliveries.c.number,
        deliveries.c.attempts,
        deliveries.c.aging_since,
        attempts.c.started_at,
    )
    .select_from(deliveries.outerjoin(attempts, LAST_ATTEMPT))
    .where(deliveries.c.id == bindparam("wanted", type_=deliveries.c.id.type))
    .with_for_update(of=deliveries)
)
_WAITING = select(reports).where(
    reports.c.message_id == bindparam("message"), reports.c.delivery_id.is_(None)
)
_KEEP = (
    insert(reports)
    .on_conflict_do_nothing(index_elements=[reports.c.identity])
    .execution_options(preserve_rowcount=True)
)
_ASSIGN = (
    update(reports)
    .where(reports.c.identity == bindparam("known_as"), reports.c.delivery_id.is_(None))
    .values(delivery_id=bindparam("owner"), matched_by=bindparam("by"))
)
_NOTE = (
    update(reports)
    .where(reports.c.identity == bindparam("known_as"))
    .values(became=bindparam("status"))
)
_MOVE = update(deliveries).where(
    deliveries.c.id == bindparam("moved"),
    deliveries.c.status == bindparam("from_status"),
)


class Reports:
    """Keeps what Iterable reports."""

    def keep(
        self, tx: Tx, report: Report, delivery_id: str | None, match: Match | None
    ) -> bool:
        """Keep a report; False for one that was kept before and says nothing new.

        One that was kept without a delivery, and has one now, is new.
        """
        row = {
            "id": new_id(),
            "identity": report.identity,
            "received_at": tx.now,
            "occurred_at": report.occurred_at,
            "event_name": report.event_name,
            "news": report.news.value,
            "reason": report.reason,
            "message_id": report.message_id,
            "campaign_id": report.campaign_id,
            "person": digest(report.email),
            "delivery_id": delivery_id,
            "matched_by": match,
            "became": None,
        }
        if tx.connection.execute(_KEEP, row).rowcount == 1:
            return True
        if delivery_id is None or match is None:
            return False
        return self.assign(tx, report.identity, delivery_id, match)

    def assign(self, tx: Tx, identity: str, delivery_id: str, match: Match) -> bool:
        """Give a report that had no delivery one; False where it has one."""
        values = {"known_as": identity, "owner": delivery_id, "by": match.value}
        return tx.connection.execute(_ASSIGN, values).rowcount == 1

    def note(self, tx: Tx, identity: str, status: DeliveryStatus) -> None:
        """Write down what a delivery became by a report."""
        values = {"known_as": identity, "status": status.value}
        tx.connection.execute(_NOTE, values)

    def waiting(self, tx: Tx, message_id: str) -> list[Report]:
        """List the reports of a message that have no delivery."""
        return [
            Report(
                identity=row.identity,
                event_name=row.event_name,
                news=News(row.news),
                reason=row.reason,
                message_id=row.message_id,
                campaign_id=row.campaign_id,
                occurred_at=row.occurred_at,
            )
            for row in tx.connection.execute(_WAITING, {"message": message_id})
        ]

    def standing(self, tx: Tx, delivery_id: str) -> Standing | None:
        """Look at a delivery, and keep others from moving it before the commit."""
        known = as_id(delivery_id)
        row = tx.connection.execute(_STANDING, {"wanted": known}).first()
        if known is None or row is None:
            return None
        return Standing(
            id=row.id,
            status=DeliveryStatus(row.status),
            route=row.route,
            is_again=row.number != row.attempts,
            since=row.aging_since,
            sent_at=row.started_at,
        )

    def move(
        self, tx: Tx, standing: Standing, status: DeliveryStatus, reason: str
    ) -> bool:
        """Write what a delivery became; False where it is not as it was.

        The worker that may hold it will find its claim gone; the attempt it makes is
        counted here, because its settlement will not be.
        """
        values: dict[str, Any] = {
            "status": status.value,
            "due_at": None,
            "reason": reason,
            "updated_at": tx.now,
        }
        if standing.status is DeliveryStatus.SENDING:
            values["number"] = deliveries.c.number + 1
            values["attempts"] = deliveries.c.attempts + 1
        where = {"moved": standing.id, "from_status": standing.status.value}
        return tx.connection.execute(_MOVE.values(values), where).rowcount == 1


def kept(row: AnyRow) -> KeptReport:
    """Read a row of the table."""
    return KeptReport(
        id=row.id,
        received_at=row.received_at,
        occurred_at=row.occurred_at,
        event_name=row.event_name,
        news=News(row.news),
        reason=row.reason,
        message_id=row.message_id,
        campaign_id=row.campaign_id,
        delivery_id=row.delivery_id,
        match=None if row.matched_by is None else Match(row.matched_by),
        became=None if row.became is None else DeliveryStatus(row.became),
    )


def reports_of(tx: Tx, delivery_id: str) -> list[KeptReport]:
    """List what was reported of a delivery, in the order it came."""
    found = select(reports).where(reports.c.delivery_id == delivery_id)
    return [kept(row) for row in tx.connection.execute(found.order_by(reports.c.id))]


def unmatched(tx: Tx, limit: int, since: datetime | None) -> list[KeptReport]:
    """List reports that fit no delivery, the newest first."""
    found = select(reports).where(*_unmatched(since))
    found = found.order_by(reports.c.id.desc()).limit(limit)
    return [kept(row) for row in tx.connection.execute(found)]


def count_unmatched(tx: Tx, since: datetime | None) -> int:
    """Count the reports that fit no delivery."""
    found = select(func.count()).where(*_unmatched(since))
    return tx.connection.execute(found).scalar() or 0


def _unmatched(since: datetime | None) -> Iterator[ColumnElement[bool]]:
    yield reports.c.delivery_id.is_(None)
    if since is not None:
        yield reports.c.received_at >= since
