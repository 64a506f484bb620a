"""Circuit breakers, and the pace at a destination: one row each.

Lock order, everywhere: by name, so destinations before routes. `lock` takes several at
once. A circuit breaker that was never touched has no row: it is closed.
"""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from bridge.model import Circuit, CircuitState, route_circuit
from bridge.store.database import Transaction, as_type
from bridge.store.schema import circuits

#: No process reserves slots further ahead, nor pauses a destination for longer.
_FURTHEST_SLOT = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(minutes=16)

_new = insert(circuits)
_SET_NEXT_SLOT = _new.on_conflict_do_update(
    index_elements=[circuits.c.name],
    set_={"next_slot_at": _new.excluded.next_slot_at},
)
#: What a circuit breaker that closes forgets.
_CLEARED: dict[str, Any] = dict.fromkeys(("reason", "opened_at", "probe_at"))
_CLEARED |= {"state": CircuitState.CLOSED.value, "needs_receipt": False}


def read_all(tx: Transaction) -> dict[str, Circuit]:
    """Read every circuit breaker that was ever touched, by name, without locking."""
    rows = tx.connection.execute(select(circuits))
    return {row.name: as_type(row, Circuit) for row in rows}


def lock(tx: Transaction, names: Iterable[str]) -> dict[str, Circuit]:
    """Lock circuit breakers in the one order; they stay as they are until the commit.

    Returns:
        All that were named, by name; one that was never touched is closed.
    """
    ordered = sorted(set(names))
    if not ordered:
        return {}
    if tx.is_concurrent:
        # A row that is not there cannot be locked.
        made = _new.on_conflict_do_nothing()
        tx.connection.execute(made, [{"name": name} for name in ordered])
    rows = select(circuits).where(circuits.c.name.in_(ordered))
    locked = tx.connection.execute(rows.order_by(circuits.c.name).with_for_update())
    found = {row.name: as_type(row, Circuit) for row in locked}
    return {name: found.get(name) or Circuit(name=name) for name in ordered}


def get(tx: Transaction, name: str) -> Circuit:
    """Read and lock one circuit breaker."""
    return lock(tx, [name])[name]


def open(  # noqa: A001 - the field's term
    tx: Transaction,
    name: str,
    reason: str,
    probe_after: timedelta,
    *,
    needs_receipt: bool = False,
) -> bool:
    """Open a circuit breaker because of a configuration error.

    A person's pause stays one. An open one keeps its time and its next probe.

    Args:
        tx: The transaction.
        name: Which one.
        reason: What has to be fixed.
        probe_after: When to probe first.
        needs_receipt: True where an accepted message proves nothing: only a receipt of
            a message sent closes it.

    Returns:
        True where it was closed until now.
    """
    before = get(tx, name)
    if before.state is CircuitState.PAUSED:
        return False
    values: dict[str, Any] = {
        "state": CircuitState.OPEN.value,
        "reason": reason,
        "opened_at": before.opened_at or tx.now,
    }
    if before.state is not CircuitState.OPEN:
        values["probe_at"] = tx.now + probe_after
    if needs_receipt:
        values["needs_receipt"] = True
    _write(tx, name, values)
    return before.is_running


def pause(tx: Transaction, name: str, reason: str) -> None:
    """Stop by hand: it is not probed, and only a person resumes it."""
    values = {
        "state": CircuitState.PAUSED.value,
        "reason": reason,
        "opened_at": get(tx, name).opened_at or tx.now,
        "probe_at": None,
    }
    _write(tx, name, values)


def half_open(tx: Transaction, name: str) -> bool:
    """Let one delivery through an open circuit breaker as a trial.

    Returns:
        True for the one transaction that may send it; False where it is not open, or
        another process was first.
    """
    is_ours = get(tx, name).state is CircuitState.OPEN
    if is_ours:
        _write(tx, name, {"state": CircuitState.HALF_OPEN.value})
    return is_ours


def defer_probe(
    tx: Transaction, name: str, reason: str | None, delay: timedelta
) -> None:
    """Keep an open circuit breaker open and probe it later; a pause stays as it is."""
    if get(tx, name).state in (CircuitState.OPEN, CircuitState.HALF_OPEN):
        state, probe_at = CircuitState.OPEN.value, tx.now + delay
        _write(tx, name, {"state": state, "reason": reason, "probe_at": probe_at})


def close(tx: Transaction, name: str, *, even_paused: bool = True) -> bool:
    """Close a circuit breaker; the age of what waited there begins anew.

    Args:
        tx: The transaction.
        name: Which one.
        even_paused: False leaves a person's pause alone, as a probe must.

    Returns:
        True where it was not closed.
    """
    before = get(tx, name)
    is_spared = before.state is CircuitState.PAUSED and not even_paused
    if before.is_running or is_spared:
        return False
    _write(tx, name, _CLEARED | {"closed_at": tx.now})
    return True


def rename_route(tx: Transaction, name: str, previous: Sequence[str]) -> None:
    """Let a route whose previous name is stopped be stopped itself."""
    new = route_circuit(name)
    olds = [route_circuit(one) for one in previous if one != name]
    found = lock(tx, [new, *olds])
    for old in olds:
        if not found[old].is_running and found[new].is_running:
            values = {name: getattr(found[old], name) for name in _CLEARED}
            _write(tx, new, values | {"state": found[old].state.value})
            found[new] = found[old]
    tx.connection.execute(delete(circuits).where(circuits.c.name.in_(olds)))


def available_slots(tx: Transaction, name: str, rate: float, horizon: timedelta) -> int:
    """Count the sends that fit between now and the horizon, without locking.

    Args:
        tx: The transaction.
        name: Which circuit breaker's slots.
        rate: Sends a second.
        horizon: How far ahead to look.
    """
    circuit = read_all(tx).get(name) or Circuit(name=name)
    wait = _next_slot(tx, circuit) - tx.now
    if wait > horizon:
        return 0
    return math.floor((horizon - wait).total_seconds() * rate) + 1


def reserve_slots(
    tx: Transaction, name: str, count: int, rate: float
) -> list[timedelta]:
    """Reserve send slots, evenly spaced at so many a second (GCRA).

    An idle time gives no right to a burst. The row is locked until the commit, so that
    all processes together keep the rate.

    Returns:
        How long from now each slot is away, in order.
    """
    if count < 1:
        return []
    slot = _next_slot(tx, get(tx, name))
    # The row is locked from here on; waiting for it took time.
    now = tx.current_time()
    start = max(slot, now)
    interval = timedelta(seconds=1) / rate
    row = {"name": name, "next_slot_at": start + count * interval}
    tx.connection.execute(_SET_NEXT_SLOT, [row])
    return [start - now + index * interval for index in range(count)]


def pause_destination(tx: Transaction, name: str, delay: timedelta) -> None:
    """Send nothing for a while (429); a longer pause that holds already stays."""
    until = tx.now + delay
    before = get(tx, name).paused_until
    if before is None or before < until:
        _write(tx, name, {"paused_until": until})


def set_trial_level(tx: Transaction, name: str, level: int) -> None:
    """Let one delivery at a time through to a destination; 0 ends that."""
    _write(tx, name, {"trial_level": level})


def _next_slot(tx: Transaction, circuit: Circuit) -> datetime:
    limited = (
        (circuit.next_slot_at, _FURTHEST_SLOT),
        (circuit.paused_until, _LONGEST_PAUSE),
    )
    # Further ahead than anything is reserved or paused, it was written before the
    # clock was set back.
    times = [at for at, most in limited if at is not None and at <= tx.now + most]
    return max([tx.now, *times])


def _write(tx: Transaction, name: str, values: dict[str, Any]) -> None:
    tx.notify_workers = True
    statement = insert(circuits).values(name=name, **values)
    tx.connection.execute(
        statement.on_conflict_do_update(index_elements=[circuits.c.name], set_=values)
    )
