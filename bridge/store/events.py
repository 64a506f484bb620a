"""Lists and reads received webhooks (events), and closes parked ones."""

import builtins
from collections.abc import Iterable, Iterator

from sqlalchemy import select, update

from bridge.model import (
    Action,
    Capture,
    Event,
    EventFilter,
    EventStatus,
    StoredEvent,
)
from bridge.store import actions
from bridge.store.database import Transaction, as_type, chunks
from bridge.store.schema import IS_UNUSED, events
from bridge.store.types import NO_ID, as_id

_LISTED = [events.c[name] for name in Event.__dataclass_fields__]


def list(  # noqa: A001 - read as events.list
    tx: Transaction, wanted: EventFilter
) -> builtins.list[Event]:
    """List the newest events that fit, at most `wanted.limit`."""
    found = select(*_LISTED).order_by(events.c.id.desc()).limit(wanted.limit)
    if wanted.status is not None:
        found = found.where(events.c.status == wanted.status.value)
        if wanted.status is not EventStatus.STORED:
            found = found.where(IS_UNUSED)
    if wanted.since is not None:
        found = found.where(events.c.received_at >= wanted.since)
    if wanted.after is not None:
        found = found.where(events.c.id < (as_id(wanted.after) or NO_ID))
    return [as_type(row, Event) for row in tx.connection.execute(found)]


def get(tx: Transaction, event_id: str) -> StoredEvent | None:
    """Read one event with its body; None where there is none."""
    found = select(events).where(events.c.id == (as_id(event_id) or NO_ID))
    row = tx.connection.execute(found).first()
    if row is None:
        return None
    return StoredEvent(event=as_type(row, Event), capture=as_type(row, Capture))


def captures(
    tx: Transaction, event_ids: Iterable[str]
) -> Iterator[tuple[str, Capture]]:
    """Yield the ids of events and their webhooks as received, without headers."""
    columns = events.c.id, events.c.source, events.c.endpoint, events.c.body
    for chunk in chunks(dict.fromkeys(event_ids)):
        found = select(*columns).where(events.c.id.in_(chunk))
        for row in tx.connection.execute(found):
            yield row.id, as_type(row, Capture)


def redacted(tx: Transaction, event_ids: Iterable[str]) -> set[str]:
    """Find which of these events have lost their body, headers and payloads."""
    found: set[str] = set()
    for chunk in chunks(event_ids):
        gone = events.c.id.in_(chunk), events.c.redacted_at.is_not(None)
        found.update(tx.connection.execute(select(events.c.id).where(*gone)).scalars())
    return found


def dismiss(tx: Transaction, event_id: str, actor: str, reason: str) -> bool:
    """Close a parked event: it becomes `ignored` with the reason, and is audited.

    Returns:
        False where no parked event has this id; nothing is changed then.
    """
    known = as_id(event_id) or NO_ID
    parked = EventStatus.PARKED.value
    closed = update(events).where(events.c.id == known, events.c.status == parked)
    closed = closed.values(
        status=EventStatus.IGNORED.value, reason=actions.cut(reason), waits_for=None
    )
    if tx.connection.execute(closed).rowcount != 1:
        return False
    actions.record(tx, actor, Action.DISMISS, [(known, parked)], reason)
    return True
