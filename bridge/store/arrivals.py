"""One transaction's worth of arrivals: their events, deliveries and final states."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, update

from bridge.model import Arrival, EventStatus, NewDelivery, Stored
from bridge.store.cases import Case, answer, outcome
from bridge.store.database import Tx
from bridge.store.keyring import (
    WHOLE,
    give_keys,
    held_formerly,
    holder,
    is_told,
    owners_of,
    release_keys,
    take_keys,
)
from bridge.store.keys_forgotten import forgotten_owners
from bridge.store.limits import hold_beyond_limits
from bridge.store.prepared import Prepared
from bridge.store.repeats import decided_columns, write_events
from bridge.store.schema import deliveries, events

_INSERT_DELIVERIES = Prepared(
    deliveries.insert(),
    "id",
    "event_id",
    "route",
    "endpoint",
    "key",
    "recipient",
    "customer_id",
    "code",
    "campaign",
    "due_at",
    "aging_since",
    "voucher_expires_at",
    "created_at",
    "updated_at",
)
_DECIDE_AGAIN = update(events).where(events.c.id == bindparam("event_id"))
_SET_STATUS = _DECIDE_AGAIN.values(
    status=bindparam("now_status"),
    reason=bindparam("now_reason"),
    waits_for=bindparam("now_waits_for"),
)
_CLEAR_PARTIAL = (
    update(events)
    .where(
        events.c.waits_for == bindparam("whole"),
        events.c.status == EventStatus.PARKED.value,
    )
    .values(status=EventStatus.DUPLICATE.value, reason=bindparam("why"), waits_for=None)
)


def write_arrivals(
    tx: Tx, arrivals: Sequence[tuple[Arrival, str | None]]
) -> list[Stored]:
    """Write arrivals in their order.

    The tables' unique keys decide who was first, within this transaction as between
    processes; what is looked up afterwards only finds out who that was.

    Args:
        tx: The transaction; nothing is kept unless it commits.
        arrivals: Each with the id of the stored event it decides again, or None.

    Returns:
        What became of each, in the same order.
    """
    cases = [
        Case(arrival=arrival, event_id=again or arrival.id)
        for arrival, again in arrivals
    ]
    write_events(tx, cases)
    deciding = [case for case in cases if case.is_open]
    _write_deliveries(tx, deciding)
    _cover(tx, [case for case in deciding if case.arrival.covered_by])
    _conclude(tx, deciding)
    return [answer(case) for case in cases]


def _write_deliveries(tx: Tx, cases: Sequence[Case]) -> None:
    """Make a delivery of each reward whose keys were all free."""
    wanted = [(case, one) for case in cases for one in case.arrival.deliveries]
    if not wanted:
        return
    _compete(tx, wanted)
    rows = [_row(tx, case, one) for case in cases for one in case.made]
    tx.is_news = bool(rows) or tx.is_news
    _INSERT_DELIVERIES.run(tx.connection, rows)
    for case in cases:
        case.held = hold_beyond_limits(tx, case.made)


def _compete(tx: Tx, wanted: Sequence[tuple[Case, NewDelivery]]) -> None:
    """Let the keys decide, in order, who is told and who was told before."""
    several = [one for _, one in wanted]
    owners = take_keys(tx, several) | held_formerly(tx, several)
    owners |= forgotten_owners(
        tx, [(one.route, key) for one in several for key, _ in one.keys]
    )
    losers: list[tuple[NewDelivery, str]] = []
    for index, (case, delivery) in enumerate(wanted):
        winner = holder(delivery, owners)
        if winner is None:
            case.made.append(delivery)
        elif delivery.key.endswith(WHOLE) and not is_told(delivery, owners):
            case.parted.append(winner)
            release_keys(tx, delivery)
            give_keys(tx, losers)
            # What it let go of is free again for those behind it.
            return _compete(tx, wanted[index + 1 :])
        else:
            case.winners.append(winner)
            losers.append((delivery, winner))
            # Those behind it that share a key with it lose to the same winner.
            owners |= {
                (delivery.route, key): winner
                for key, _ in delivery.keys
                if owners.get((delivery.route, key)) == delivery.id
            }
    return give_keys(tx, losers)


def _row(tx: Tx, case: Case, delivery: NewDelivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "event_id": case.event_id,
        "route": delivery.route,
        "endpoint": delivery.endpoint,
        "key": delivery.key,
        "recipient": delivery.recipient,
        "customer_id": delivery.customer_id,
        "code": ", ".join(delivery.codes),
        "campaign": delivery.campaign,
        "due_at": tx.now,
        "aging_since": tx.now,
        "voucher_expires_at": delivery.voucher_expires_at,
        "created_at": tx.now,
        "updated_at": tx.now,
    }


def _cover(tx: Tx, cases: Sequence[Case]) -> None:
    """Find what needs no delivery, as its reward was told in another way."""
    pairs = [pair for case in cases for pair in case.arrival.covered_by]
    owners = owners_of(tx, pairs) if pairs else {}
    for case in cases:
        covering = [pair for pair in case.arrival.covered_by if pair in owners]
        case.winners += [owners[pair] for pair in covering]


def _conclude(tx: Tx, cases: Sequence[Case]) -> None:
    """Give each event its final status, and clear the partial ones now told whole."""
    changed: list[dict[str, Any]] = []
    for case in cases:
        case.stored = stored = outcome(case)
        if case.is_known:
            _rewrite(tx.connection, case)
        if case.is_known or case.winners or stored.status is not case.arrival.status:
            changed.append(_status_row(case, stored))
    if changed:
        tx.connection.execute(_SET_STATUS, changed)
    whole = [
        {"whole": one.key, "why": f"told whole by delivery {one.id}"}
        for case in cases
        for one in case.made
        if one.key.endswith(WHOLE)
    ]
    if whole:
        tx.connection.execute(_CLEAR_PARTIAL, whole)


def _rewrite(connection: Connection, case: Case) -> None:
    """Put a new decision on an old row."""
    # It came with a body again, whether or not the old one was kept.
    columns = decided_columns(case.arrival) | {"blanked_at": None}
    connection.execute(_DECIDE_AGAIN.values(columns), {"event_id": case.event_id})


def _status_row(case: Case, stored: Stored) -> dict[str, Any]:
    waits = case.arrival.waits_for if stored.status is EventStatus.PARKED else None
    return {
        "event_id": case.event_id,
        "now_status": stored.status.value,
        "now_reason": stored.reason,
        "now_waits_for": waits,
    }
