"""Bulk jobs: one action on every delivery that fits a filter, batch by batch.

A job is a row. A delivering process advances it (`bridge.maintenance`), so that shell
and console start and watch the same jobs, and a closed terminal or tab stops none.
"""

from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update

from bridge.model import Action, DeliveryFilter, DeliveryStatus, Trigger
from bridge.store import actions, deliveries
from bridge.store.database import AnyRow, Transaction, as_type
from bridge.store.schema import jobs
from bridge.store.types import NO_ID, as_id, new_id

#: Deliveries of one batch, which is one transaction: webhooks are stored in between.
BATCH = 200
_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A bulk job and how far it is."""

    id: str
    #: `REDELIVER` or `DROP`.
    action: Action
    #: Which deliveries; `limit` and `after` mean nothing here.
    filter: DeliveryFilter
    #: Who started it; written to the audit log for each delivery.
    actor: str
    reason: str | None
    created_at: datetime
    updated_at: datetime
    #: None while it runs.
    ended_at: datetime | None
    #: Deliveries with this id or a later one are done; None before the first batch.
    cursor: str | None
    #: How many deliveries the plan counted.
    planned: int
    done: int
    #: Looked at and left alone: their status no longer allowed it.
    skipped: int


def create(
    tx: Transaction,
    action: Action,
    wanted: DeliveryFilter,
    *,
    actor: str,
    planned: int,
    reason: str | None = None,
) -> str:
    """Start a job; nothing is done before its first batch.

    Args:
        tx: The transaction.
        action: `REDELIVER` or `DROP`.
        wanted: Which deliveries; those stored later are not among them.
        actor: `cli` or an operator's name.
        planned: How many the plan counted, to show how far the job is.
        reason: Kept with each delivery that is dropped.

    Returns:
        The job's id.
    """
    row = {
        "id": new_id(),
        "action": action.value,
        "filter": _written(wanted),
        "actor": actions.cut(actor),
        "reason": actions.cut(reason),
        "created_at": tx.now,
        "updated_at": tx.now,
        "planned": planned,
    }
    tx.connection.execute(insert(jobs), [row])
    tx.notify_workers = True
    return str(row["id"])


def run_batch(tx: Transaction, job_id: str) -> Job | None:
    """Do the next batch of a job and end the job after the last.

    Returns:
        The job as it is then; None where there is none.
    """
    job = find(tx, job_id, lock=True)
    if job is None or job.ended_at is not None:
        return job
    before = min(job.filter.before or job.created_at, job.created_at)
    wanted = replace(job.filter, before=before, limit=BATCH, after=job.cursor)
    seen = deliveries.find_ids(tx, wanted)
    done = _act(tx, job, seen)
    job = replace(
        job,
        done=job.done + len(done),
        skipped=job.skipped + len(seen) - len(done),
        updated_at=tx.now,
        cursor=seen[-1] if seen else job.cursor,
        ended_at=tx.now if len(seen) < BATCH else None,
    )
    changed = ("done", "skipped", "updated_at", "cursor", "ended_at")
    values = {name: getattr(job, name) for name in changed}
    tx.connection.execute(update(jobs).where(jobs.c.id == job.id).values(values))
    return job


def cancel(tx: Transaction, job_id: str) -> bool:
    """Stop a job where it is; what is done stays done. False where it had ended."""
    is_running = jobs.c.id == (as_id(job_id) or NO_ID), jobs.c.ended_at.is_(None)
    ended = update(jobs).where(*is_running).values(ended_at=tx.now, updated_at=tx.now)
    return tx.connection.execute(ended).rowcount == 1


def find(tx: Transaction, job_id: str, *, lock: bool = False) -> Job | None:
    """Find a job by its id; `lock` keeps it until the transaction ends."""
    found = select(jobs).where(jobs.c.id == (as_id(job_id) or NO_ID))
    row = tx.connection.execute(found.with_for_update() if lock else found).first()
    return None if row is None else _job(row)


def newest(tx: Transaction) -> list[Job]:
    """List the last 10 jobs, the newest first."""
    last = select(jobs).order_by(jobs.c.id.desc()).limit(_SHOWN)
    return [*map(_job, tx.connection.execute(last))]


def running(tx: Transaction) -> list[str]:
    """List the ids of the jobs that have not ended, the oldest first."""
    found = select(jobs.c.id).where(jobs.c.ended_at.is_(None)).order_by(jobs.c.id)
    return [*tx.connection.execute(found).scalars()]


def delete_ended(tx: Transaction, before: datetime) -> int:
    """Delete the jobs that ended before a time; a filter may name a person."""
    return tx.connection.execute(delete(jobs).where(jobs.c.ended_at <= before)).rowcount


def erase_searches(tx: Transaction, names: Container[str]) -> None:
    """End the jobs that search for one of these names, and remove their search."""
    for row in tx.connection.execute(select(jobs.c.id, jobs.c.filter)).all():
        if row.filter.get("search", "") in names:
            cancel(tx, row.id)
            kept = {name: one for name, one in row.filter.items() if name != "search"}
            is_it = jobs.c.id == row.id
            tx.connection.execute(
                update(jobs).where(is_it).values(filter=kept, reason=None)
            )


def _act(tx: Transaction, job: Job, ids: list[str]) -> list[str]:
    if job.action is Action.REDELIVER:
        return actions.redeliver(tx, ids, actor=job.actor)
    trigger, reason = Trigger.RESOLVED_DROPPED, job.reason or ""
    return actions.close_many(tx, ids, trigger, reason, actor=job.actor)


#: What a job keeps of a filter, and how each is read again.
_FILTER: dict[str, Callable[[str], Any]] = {
    "status": DeliveryStatus,
    "route": str,
    "search": str,
    "since": datetime.fromisoformat,
    "before": datetime.fromisoformat,
}


def _written(wanted: DeliveryFilter) -> dict[str, str]:
    fields = {name: getattr(wanted, name) for name in _FILTER}
    return {
        name: actions.cut(str(value))
        for name, value in fields.items()
        if value is not None
    }


def _job(row: AnyRow) -> Job:
    read = {name: _FILTER[name](value) for name, value in row.filter.items()}
    return as_type(row, Job, filter=DeliveryFilter(**read))
