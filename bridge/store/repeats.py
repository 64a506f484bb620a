"""Events as they come in, and those that came before."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Select, bindparam, select, update
from sqlalchemy.dialects.postgresql import insert

from bridge.model import Arrival, EventStatus, Stored
from bridge.store.cases import UNUSED, Case
from bridge.store.database import AnyRow, Tx
from bridge.store.keyring import Pair, owners_of
from bridge.store.prepared import Prepared
from bridge.store.schema import CHUNK, deliveries, events

#: How long a hashed transport key recognises a repeat: the sender repeats for 24 hours.
HASHED_FOR = timedelta(hours=25)

_INSERT = Prepared(
    insert(events).on_conflict_do_nothing(index_elements=[events.c.transport_key]),
    "id",
    "transport_key",
    "is_hashed",
    "received_at",
    "kind",
    "event_type",
    "door",
    "status",
    "reason",
    "waits_for",
    "headers",
    "body",
)
_FORGET_HASHES = (
    update(events)
    .where(
        events.c.transport_key.in_(bindparam("wanted", expanding=True)),
        events.c.is_hashed,
        events.c.received_at <= bindparam("oldest"),
    )
    .values(transport_key=None)
)
_known = select(
    events.c.id,
    events.c.transport_key,
    events.c.status,
    events.c.reason,
    events.c.received_at,
).with_for_update()
_FIND_BY_KEY = _known.where(
    events.c.transport_key.in_(bindparam("wanted", expanding=True))
)
_FIND_BY_ID = _known.where(events.c.id.in_(bindparam("wanted", expanding=True)))
_COUNT_REPEAT = (
    update(events)
    .where(events.c.id == bindparam("repeated"))
    .values(repeats=events.c.repeats + 1, repeated_at=bindparam("at"))
)
_MADE = (
    select(deliveries.c.event_id, deliveries.c.id)
    .where(deliveries.c.event_id.in_(bindparam("wanted", expanding=True)))
    .order_by(deliveries.c.id)
)


def write_events(tx: Tx, cases: Sequence[Case]) -> None:
    """Insert what is new; find the rows of what is not, and answer what was used."""
    rows = _rows_decided_again(tx.connection, cases)
    new = [case for case in cases if case.event_id == case.arrival.id]
    known = _insert(tx, new)
    first: dict[str, Case] = {}
    for case in cases:
        row = rows.get(case.event_id) or known.get(case.arrival.transport_key)
        if row is not None and row.id != case.arrival.id:
            _recognise(case, row, first.get(row.id))
        first.setdefault(case.event_id, case)
    _answer_used(tx, [case for case in cases if case.stored is not None])


def decided_columns(arrival: Arrival) -> dict[str, Any]:
    """List what a decision fills, the first one as every later one."""
    return {
        "kind": arrival.kind,
        "event_type": arrival.event_type,
        "door": arrival.capture.door,
        "status": arrival.status.value,
        "reason": arrival.reason,
        "waits_for": arrival.waits_for,
        "headers": dict(arrival.capture.headers),
        "body": arrival.capture.body,
    }


def _rows_decided_again(
    connection: Connection, cases: Sequence[Case]
) -> dict[str, AnyRow]:
    """Find the events that are decided again; one that is gone comes as new."""
    wanted = {case.event_id for case in cases if case.event_id != case.arrival.id}
    rows = {row.id: row for row in _select(connection, _FIND_BY_ID, wanted)}
    for case in cases:
        if case.event_id not in rows:
            case.event_id = case.arrival.id
    return rows


def _insert(tx: Tx, cases: Sequence[Case]) -> dict[str, AnyRow]:
    """Insert events; where some were known, return all their rows by transport key."""
    hashed = [one.arrival.transport_key for one in cases if one.arrival.is_hashed]
    if hashed:
        oldest = {"oldest": tx.now - HASHED_FOR, "wanted": hashed}
        tx.connection.execute(_FORGET_HASHES, oldest)
    rows = [
        {
            "id": one.arrival.id,
            "transport_key": one.arrival.transport_key,
            "is_hashed": one.arrival.is_hashed,
            "received_at": tx.now,
            **decided_columns(one.arrival),
        }
        for one in cases
    ]
    # In one order everywhere: two transactions with the same webhooks would otherwise
    # wait for each other.
    rows.sort(key=itemgetter("transport_key"))
    if _INSERT.run(tx.connection, rows) == len(rows):
        return {}
    wanted = {one.arrival.transport_key for one in cases}
    found = {
        row.transport_key: row for row in _select(tx.connection, _FIND_BY_KEY, wanted)
    }
    ids = [(found[one.arrival.transport_key].id, one.arrival.id) for one in cases]
    repeats = [{"repeated": one, "at": tx.now} for one, own in ids if one != own]
    tx.connection.execute(_COUNT_REPEAT, repeats)
    return found


def _recognise(case: Case, row: AnyRow, first: Case | None) -> None:
    """Note that a case's event is an earlier one."""
    case.event_id = row.id
    case.decider = first
    case.is_known = first is None
    if case.is_known and row.status not in UNUSED:
        came = f"came before, at {row.received_at:%Y-%m-%d %H:%M:%S} UTC"
        case.stored = Stored(
            event_id=row.id,
            status=EventStatus.DUPLICATE,
            reason=row.reason or came,
            deliveries=(),
        )


def _answer_used(tx: Tx, cases: Sequence[Case]) -> None:
    """Name the deliveries that an event made, or those that had told it before."""
    made: dict[str, list[str]] = {}
    for row in _select(tx.connection, _MADE, {case.event_id for case in cases}):
        made.setdefault(row.event_id, []).append(row.id)
    for case in cases:
        ids = made.get(case.event_id)
        if ids is None:
            # A set would lose the order in which the rewards were told.
            ids = list(dict.fromkeys(owners_of(tx, _pairs(case.arrival)).values()))
        if case.stored is not None:
            case.stored = replace(case.stored, deliveries=tuple(ids))


def _pairs(arrival: Arrival) -> list[Pair]:
    """List every route and key under which an arrival may have been told before."""
    return [
        *arrival.covered_by,
        *((one.route, key) for one in arrival.deliveries for key, _ in one.keys),
    ]


def _select(
    connection: Connection, statement: Select[*tuple[Any, ...]], wanted: Iterable[str]
) -> list[AnyRow]:
    several = sorted(wanted)
    found: list[AnyRow] = []
    for start in range(0, len(several), CHUNK):
        values = {"wanted": several[start : start + CHUNK]}
        found += connection.execute(statement, values)
    return found
