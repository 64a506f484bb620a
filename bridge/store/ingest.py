"""One transaction's webhooks: their events, deliveries and final states."""

from collections.abc import Sequence
from typing import Any, TypeAlias

from sqlalchemy import bindparam, insert, update

from bridge.model import EventStatus, IngestResult, NewDelivery, NewEvent
from bridge.store.customer_limit import enforce_limits
from bridge.store.database import Transaction
from bridge.store.erasure import forgotten_owners
from bridge.store.event_dedupe import decided_columns, write_events
from bridge.store.idempotency import (
    acquire,
    known_keys,
    owned_under_previous_names,
    release,
    transfer,
)
from bridge.store.ingest_state import (
    IngestState,
    answer,
    conflicting_owner,
    is_fully_covered,
    is_publication,
    outcome,
)
from bridge.store.schema import deliveries, delivery_codes, events

_Wanted: TypeAlias = tuple[IngestState, NewDelivery]

_INSERT = insert(deliveries)
_INSERT_CODES = insert(delivery_codes)
_SET_STATUS = (
    update(events)
    .where(events.c.id == bindparam("event_id"))
    .values(
        status=bindparam("now_status"),
        reason=bindparam("now_reason"),
        waits_for=bindparam("now_waits_for"),
    )
)
_CLEAR_PARTIAL = (
    update(events)
    .where(
        events.c.waits_for == bindparam("whole"),
        events.c.status == EventStatus.PARKED.value,
    )
    .values(status=EventStatus.DUPLICATE.value, reason=bindparam("why"), waits_for=None)
)


def ingest(
    tx: Transaction, items: Sequence[tuple[NewEvent, str | None]]
) -> list[IngestResult]:
    """Write events in their order.

    The tables' unique keys decide which event was first, within this transaction as
    between processes; what is looked up afterwards only finds out which that was.

    Args:
        tx: The transaction; nothing is kept unless it commits.
        items: Each with the id of the stored event that is decided again, or None.

    Returns:
        What became of each, in the same order.
    """
    states = [
        IngestState(event=event, event_id=again or event.id) for event, again in items
    ]
    write_events(tx, states)
    deciding = [one for one in states if one.is_open]
    _write_deliveries(tx, deciding)
    _cover(tx, [one for one in deciding if one.event.already_covered_by])
    _conclude(tx, deciding)
    return [answer(one) for one in states]


def _write_deliveries(tx: Transaction, states: Sequence[IngestState]) -> None:
    """Make a delivery of each message whose keys were all free."""
    wanted: Sequence[_Wanted] = [
        (state, one) for state in states for one in state.event.deliveries
    ]
    while wanted:
        wanted = _compete(tx, wanted)
    made = [(state, one) for state in states for one in state.made]
    if not made:
        return
    tx.notify_workers = True
    tx.connection.execute(_INSERT, [_row(tx, state, one) for state, one in made])
    codes = [
        {"code": code, "delivery_id": one.id}
        for _, one in made
        for code in dict.fromkeys(one.codes[1:])
    ]
    if codes:
        tx.connection.execute(_INSERT_CODES, codes)
    for state in states:
        state.held = enforce_limits(tx, state.made)


def _compete(tx: Transaction, wanted: Sequence[_Wanted]) -> Sequence[_Wanted]:
    """Let the keys decide, in order, which is sent and which was sent before.

    Returns:
        Those that have to compete again: behind one that freed its keys.
    """
    several = [one for _, one in wanted]
    owners = acquire(tx, several) | owned_under_previous_names(tx, several)
    pairs = [(one.route, key) for one in several for key, _ in one.keys]
    owners |= forgotten_owners(tx, pairs)
    losers: list[tuple[NewDelivery, str]] = []
    rest: Sequence[_Wanted] = ()
    for index, (state, delivery) in enumerate(wanted):
        winner = conflicting_owner(delivery, owners)
        if winner is None:
            state.made.append(delivery)
        elif is_publication(delivery) and not is_fully_covered(delivery, owners):
            state.partially_sent_by.append(winner)
            release(tx, delivery)
            rest = wanted[index + 1 :]
            break
        else:
            state.winners.append(winner)
            losers.append((delivery, winner))
            # Those behind it that share a key with it lose to the same winner.
            for key, _ in delivery.keys:
                if owners.get((delivery.route, key)) == delivery.id:
                    owners[delivery.route, key] = winner
    transfer(tx, losers)
    return rest


def _row(tx: Transaction, state: IngestState, delivery: NewDelivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "event_id": state.event_id,
        "route": delivery.route,
        "destination": delivery.destination,
        "endpoint": delivery.endpoint,
        "key": delivery.key,
        "recipient": delivery.recipient,
        "customer_id": delivery.customer_id,
        "code": ", ".join(delivery.codes),
        "campaign": delivery.campaign,
        "due_at": tx.now,
        "age_started_at": tx.now,
        "expires_at": delivery.expires_at,
        "created_at": tx.now,
        "updated_at": tx.now,
    }


def _cover(tx: Transaction, states: Sequence[IngestState]) -> None:
    """Find what needs no delivery, as its message was sent in another way."""
    pairs = [pair for one in states for pair in one.event.already_covered_by]
    owners = known_keys(tx, pairs) if pairs else {}
    for state in states:
        covering = [one for one in state.event.already_covered_by if one in owners]
        state.winners += [owners[pair] for pair in covering]


def _conclude(tx: Transaction, states: Sequence[IngestState]) -> None:
    """Give each event its final status, and clear the partial ones now sent whole."""
    changed: list[dict[str, Any]] = []
    for state in states:
        state.result = result = outcome(state)
        if state.is_known:
            _rewrite(tx, state)
        if state.is_known or state.winners or result.status is not state.event.status:
            changed.append(_status_row(state, result))
    if changed:
        tx.connection.execute(_SET_STATUS, changed)
    whole = [
        {"whole": one.key, "why": f"sent whole by delivery {one.id}"}
        for state in states
        for one in state.made
        if is_publication(one)
    ]
    if whole:
        tx.connection.execute(_CLEAR_PARTIAL, whole)


def _rewrite(tx: Transaction, state: IngestState) -> None:
    """Put a new decision on an old row."""
    # It came with a body again, whether or not the old one was kept.
    columns = decided_columns(state.event) | {"redacted_at": None}
    again = update(events).where(events.c.id == state.event_id)
    tx.connection.execute(again.values(columns))


def _status_row(state: IngestState, result: IngestResult) -> dict[str, Any]:
    waits = state.event.waits_for if result.status is EventStatus.PARKED else None
    return {
        "event_id": state.event_id,
        "now_status": result.status.value,
        "now_reason": result.reason,
        "now_waits_for": waits,
    }
