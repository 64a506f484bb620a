"""Rows of events: new ones are inserted, copies of earlier ones are recognised."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Any

from sqlalchemy import Select, bindparam, select, update
from sqlalchemy.dialects.postgresql import insert

from bridge.model import EventStatus, IngestResult, NewEvent
from bridge.store.database import AnyRow, Transaction, chunks
from bridge.store.idempotency import CONTENT_HASH_TTL, Pair, known_keys
from bridge.store.ingest_state import UNDECIDED, IngestState
from bridge.store.schema import deliveries, events

_INSERT = (
    insert(events)
    .on_conflict_do_nothing(index_elements=[events.c.transport_key])
    .execution_options(preserve_rowcount=True)
)
_known = select(
    events.c.id,
    events.c.transport_key,
    events.c.status,
    events.c.reason,
    events.c.received_at,
).with_for_update()
_COUNT_REPEAT = (
    update(events)
    .where(events.c.id == bindparam("repeated"))
    .values(repeats=events.c.repeats + 1, repeated_at=bindparam("at"))
)


def write_events(tx: Transaction, states: Sequence[IngestState]) -> None:
    """Insert new events; find the rows of others, and answer those decided before."""
    known = _rows_decided_again(tx, states)
    by_key = _insert(tx, [one for one in states if one.event_id == one.event.id])
    first: dict[str, IngestState] = {}
    for state in states:
        row = known.get(state.event_id) or by_key.get(state.event.transport_key)
        if row is not None and row.id != state.event.id:
            _recognise(state, row, first.get(row.id))
        first.setdefault(state.event_id, state)
    _answer_decided(tx, [one for one in states if one.result is not None])


def decided_columns(event: NewEvent) -> dict[str, Any]:
    """List what a decision fills, the first one as every later one."""
    return {
        "source": event.capture.source,
        "kind": event.kind,
        "event_type": event.event_type,
        "endpoint": event.capture.endpoint,
        "status": event.status.value,
        "reason": event.reason,
        "waits_for": event.waits_for,
        "headers": dict(event.capture.headers),
        "body": event.capture.body,
    }


def _rows_decided_again(
    tx: Transaction, states: Sequence[IngestState]
) -> dict[str, AnyRow]:
    """Find the events that are decided again; one that is gone is stored as new."""
    wanted = {one.event_id for one in states if one.event_id != one.event.id}
    rows = {row.id: row for row in _select(tx, _known, events.c.id, wanted)}
    for state in states:
        if state.event_id not in rows:
            state.event_id = state.event.id
    return rows


def _insert(tx: Transaction, states: Sequence[IngestState]) -> dict[str, AnyRow]:
    """Insert events; where some were known, return all their rows by transport key."""
    if not states:
        return {}
    _expire_hashes(tx, [one.event for one in states if one.event.is_hashed])
    rows = [
        {
            "id": one.event.id,
            "transport_key": one.event.transport_key,
            "is_hashed": one.event.is_hashed,
            "received_at": tx.now,
            **decided_columns(one.event),
        }
        for one in states
    ]
    # In one order everywhere: two transactions with the same webhooks would otherwise
    # wait for each other.
    rows.sort(key=itemgetter("transport_key"))
    if tx.connection.execute(_INSERT, rows).rowcount == len(rows):
        return {}
    wanted = {one.event.transport_key for one in states}
    found = {
        row.transport_key: row
        for row in _select(tx, _known, events.c.transport_key, wanted)
    }
    ids = [(found[one.event.transport_key].id, one.event.id) for one in states]
    repeats = [{"repeated": one, "at": tx.now} for one, own in ids if one != own]
    if repeats:
        tx.connection.execute(_COUNT_REPEAT, repeats)
    return found


def _expire_hashes(tx: Transaction, hashed: Sequence[NewEvent]) -> None:
    """Free the hashed keys that no longer recognise a repeat."""
    for wanted in chunks(one.transport_key for one in hashed):
        expired = update(events).where(
            events.c.transport_key.in_(wanted),
            events.c.is_hashed,
            events.c.received_at <= tx.now - CONTENT_HASH_TTL,
        )
        tx.connection.execute(expired.values(transport_key=None))


def _recognise(state: IngestState, row: AnyRow, first: IngestState | None) -> None:
    """Note that an event is a copy of an earlier one."""
    state.event_id = row.id
    state.duplicate_of = first
    state.is_known = first is None
    if state.is_known and row.status not in UNDECIDED:
        before = f"received before, at {row.received_at:%Y-%m-%d %H:%M:%S} UTC"
        state.result = IngestResult(
            event_id=row.id,
            status=EventStatus.DUPLICATE,
            reason=row.reason or before,
            deliveries=(),
        )


def _answer_decided(tx: Transaction, states: Sequence[IngestState]) -> None:
    """Name the deliveries that an event made, or those that had its keys before."""
    made: dict[str, list[str]] = {}
    of_events = select(deliveries.c.event_id, deliveries.c.id).order_by(deliveries.c.id)
    wanted = {one.event_id for one in states}
    for row in _select(tx, of_events, deliveries.c.event_id, wanted):
        made.setdefault(row.event_id, []).append(row.id)
    for state in states:
        ids = made.get(state.event_id)
        if ids is None:
            # A set would lose the order of the messages.
            owners = known_keys(tx, _pairs(state.event))
            ids = list(dict.fromkeys(owners.values()))
        if state.result is not None:
            state.result = replace(state.result, deliveries=tuple(ids))


def _pairs(event: NewEvent) -> list[Pair]:
    """List every route and key under which an event may have been sent before."""
    return [
        *event.already_covered_by,
        *((one.route, key) for one in event.deliveries for key, _ in one.keys),
    ]


def _select(
    tx: Transaction, statement: Select[Any], column: Any, wanted: Iterable[str]
) -> list[AnyRow]:
    return [
        row
        for some in chunks(sorted(wanted))
        for row in tx.connection.execute(statement.where(column.in_(some)))
    ]
