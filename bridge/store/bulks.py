"""What is done to many deliveries: batch by batch, each with its place in the run."""

from collections.abc import Container
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update

from bridge.model import Cause, DeliveryStatus
from bridge.store import finding
from bridge.store.answers import DeliveryFilter
from bridge.store.database import AnyRow, Tx
from bridge.store.deeds import Action, By
from bridge.store.ids import new_id
from bridge.store.mending import close, redeliver
from bridge.store.schema import bulks

#: Deliveries of one transaction, so that receivers get their turn between.
BATCH = 200
_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulk:
    """A run over every delivery that fits a filter, as far as it has come."""

    id: str
    #: `REDELIVER` or `DROP`.
    action: Action
    #: As it was asked for, by the names of `DeliveryFilter`.
    filter: DeliveryFilter
    reason: str | None
    created_at: datetime
    updated_at: datetime
    #: None while it goes on.
    ended_at: datetime | None
    #: Deliveries newer than this one are done with.
    cursor: str
    #: How many were to be changed when it began.
    planned: int
    done: int
    #: Left alone because their state had changed.
    passed: int


def begin(
    tx: Tx, action: Action, wanted: DeliveryFilter, planned: int, reason: str | None
) -> str:
    """Write down a run; nothing of it is done yet.

    Args:
        tx: The transaction.
        action: What shall be done.
        wanted: To which deliveries; those that come later are not among them.
        planned: How many there are now.
        reason: Why, for what is dropped.

    Returns:
        The run's id.
    """
    one = new_id()
    row = {
        "id": one,
        "action": action.value,
        "filter": _written(wanted),
        "reason": reason,
        "created_at": tx.now,
        "updated_at": tx.now,
        "cursor": new_id(),
        "planned": planned,
    }
    tx.connection.execute(insert(bulks), [row])
    return one


def step(tx: Tx, bulk_id: str) -> Bulk | None:
    """Do the next batch of a run; who asks twice at once does two batches.

    Returns:
        The run as it is then; None where there is none.
    """
    found = select(bulks).where(bulks.c.id == bulk_id).with_for_update()
    row = tx.connection.execute(found).first()
    if row is None:
        return None
    before = _bulk(row)
    if before.ended_at is not None:
        return before
    done, seen = _batch(tx, before)
    values: dict[str, Any] = {
        "done": before.done + len(done),
        "passed": before.passed + len(seen) - len(done),
        "updated_at": tx.now,
        "cursor": seen[-1] if seen else before.cursor,
        "ended_at": None if seen else tx.now,
    }
    tx.connection.execute(update(bulks).where(bulks.c.id == bulk_id).values(values))
    return find(tx, bulk_id)


def end(tx: Tx, bulk_id: str) -> None:
    """Stop a run where it is; what is done stays done."""
    is_it = bulks.c.id == bulk_id, bulks.c.ended_at.is_(None)
    tx.connection.execute(update(bulks).where(*is_it).values(ended_at=tx.now))


def forget(tx: Tx, names: Container[str]) -> None:
    """End runs that search for somebody, and forget what they searched for."""
    for row in tx.connection.execute(select(bulks.c.id, bulks.c.filter)).all():
        if row.filter.get("search", "") in names:
            end(tx, row.id)
            kept = {name: one for name, one in row.filter.items() if name != "search"}
            is_it = bulks.c.id == row.id
            tx.connection.execute(update(bulks).where(is_it).values(filter=kept))


def find(tx: Tx, bulk_id: str) -> Bulk | None:
    """Find a run."""
    row = tx.connection.execute(select(bulks).where(bulks.c.id == bulk_id)).first()
    return None if row is None else _bulk(row)


def newest(tx: Tx) -> list[Bulk]:
    """List the last runs, the newest first."""
    last = select(bulks).order_by(bulks.c.id.desc()).limit(_SHOWN)
    return [_bulk(row) for row in tx.connection.execute(last)]


def _batch(tx: Tx, bulk: Bulk) -> tuple[list[str], list[str]]:
    """Do one batch; name what was done and what was looked at, the newest first."""
    wanted = replace(bulk.filter, limit=BATCH, after=bulk.cursor)
    seen = finding.ids(tx, wanted)
    if bulk.action is Action.REDELIVER:
        return redeliver(tx, seen, by=By.CONSOLE), seen
    reason = bulk.reason or ""
    cause = Cause.RESOLVED_DROPPED
    return close(tx, seen, cause, reason, by=By.CONSOLE), seen


def _written(wanted: DeliveryFilter) -> dict[str, str]:
    fields = {
        "status": wanted.status,
        "route": wanted.route,
        "search": wanted.search,
        "since": wanted.since and wanted.since.isoformat(),
        "before": wanted.before and wanted.before.isoformat(),
    }
    return {name: str(value) for name, value in fields.items() if value is not None}


def _read(fields: dict[str, str]) -> DeliveryFilter:
    status, since, before = (fields.get(x) for x in ("status", "since", "before"))
    return DeliveryFilter(
        status=None if status is None else DeliveryStatus(status),
        route=fields.get("route"),
        search=fields.get("search"),
        since=None if since is None else datetime.fromisoformat(since),
        before=None if before is None else datetime.fromisoformat(before),
    )


def _bulk(row: AnyRow) -> Bulk:
    return Bulk(
        id=row.id,
        action=Action(row.action),
        filter=_read(row.filter),
        reason=row.reason,
        created_at=row.created_at,
        updated_at=row.updated_at,
        ended_at=row.ended_at,
        cursor=row.cursor,
        planned=row.planned,
        done=row.done,
        passed=row.passed,
    )
