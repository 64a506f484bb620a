"""Gates: what may hold deliveries back, and the pace at the destination."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert

from bridge.model import Gate, GateState
from bridge.store.aging import DESTINATION, ROUTE, make_younger
from bridge.store.database import AnyRow, Tx
from bridge.store.prepared import Prepared
from bridge.store.schema import gates

#: Nobody reserves slots further ahead, nor pauses for longer.
_FURTHEST_SLOT = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(minutes=16)

_ALL = select(gates)
# Locked, because what follows depends on it.
_ONE = select(gates).where(gates.c.name == bindparam("wanted")).with_for_update()
_new = insert(gates)
_MAKE = _new.on_conflict_do_nothing()
_TAKE_SLOTS = Prepared(
    _new.on_conflict_do_update(
        index_elements=[gates.c.name],
        set_={"next_slot_at": _new.excluded.next_slot_at},
    ),
    "name",
    "next_slot_at",
)


def gate_of(route: str) -> str:
    """Name a route's gate."""
    return ROUTE + route


class Gates:
    """Opens, closes and paces. A gate nobody ever touched has no row: it is open."""

    def read(self, tx: Tx) -> dict[str, Gate]:
        """Read every gate that was ever touched, by name."""
        return {row.name: _gate(row) for row in tx.connection.execute(_ALL)}

    def get(self, tx: Tx, name: str) -> Gate:
        """Read one gate; nobody else changes it until the transaction ends."""
        return self._one(tx, name)

    def close(
        self,
        tx: Tx,
        name: str,
        reason: str,
        probe_after: timedelta,
        *,
        awaits_proof: bool = False,
    ) -> bool:
        """Close a gate because of a configuration error.

        A person's pause stays one. A closed gate keeps its time and its next probe.

        Args:
            tx: The transaction.
            name: Which gate.
            reason: What is to be mended.
            probe_after: When to ask first whether it is.
            awaits_proof: True where an accepted message proves nothing: it opens by a
                report of one sent.

        Returns:
            True where it was open until now.
        """
        gate = self._one(tx, name)
        if gate.state is GateState.PAUSED:
            return False
        closed_at = gate.closed_at or tx.now
        values: dict[str, Any] = {
            "state": GateState.CLOSED.value,
            "reason": reason,
            "closed_at": closed_at,
        }
        if gate.state is not GateState.CLOSED:
            values["probe_at"] = tx.now + probe_after
        if awaits_proof:
            values["awaits_proof"] = True
        self._write(tx, name, values)
        return gate.state is GateState.OPEN

    def pause(self, tx: Tx, name: str, reason: str) -> None:
        """Close a gate by hand; it is not probed and opens by hand only."""
        closed_at = self._one(tx, name).closed_at or tx.now
        self._write(
            tx,
            name,
            {
                "state": GateState.PAUSED.value,
                "reason": reason,
                "closed_at": closed_at,
                "probe_at": None,
            },
        )

    def probing(self, tx: Tx, name: str) -> None:
        """Let one delivery through a closed gate; others leave it as it is."""
        if self._one(tx, name).state is GateState.CLOSED:
            self._write(tx, name, {"state": GateState.PROBING.value})

    def defer_probe(
        self, tx: Tx, name: str, reason: str | None, delay: timedelta
    ) -> None:
        """Keep a closed gate closed and probe it later; a pause stays as it is."""
        if self._one(tx, name).state in (GateState.CLOSED, GateState.PROBING):
            self._write(
                tx,
                name,
                {
                    "state": GateState.CLOSED.value,
                    "reason": reason,
                    "probe_at": tx.now + delay,
                },
            )

    def open(self, tx: Tx, name: str, *, even_paused: bool = True) -> bool:
        """Open a gate; what waited there has not aged meanwhile.

        Args:
            tx: The transaction.
            name: Which gate.
            even_paused: False leaves a person's pause alone, as a probe must.

        Returns:
            True where it was not open.
        """
        gate = self._one(tx, name)
        is_spared = gate.state is GateState.PAUSED and not even_paused
        if gate.state is GateState.OPEN or is_spared:
            return False
        closed_at = gate.closed_at or tx.now
        self._write(
            tx,
            name,
            {
                "state": GateState.OPEN.value,
                "reason": None,
                "closed_at": None,
                "probe_at": None,
                "awaits_proof": False,
            },
        )
        make_younger(tx, name, closed_at, self.read(tx))
        return True

    def rename(self, tx: Tx, route: str, formerly: Sequence[str]) -> None:
        """Let a route whose earlier name stands closed stand closed itself."""
        for name in formerly:
            old, new = self._one(tx, ROUTE + name), self._one(tx, ROUTE + route)
            if old.state is GateState.OPEN:
                continue
            if new.state is GateState.OPEN:
                values = {
                    "state": old.state.value,
                    "reason": old.reason,
                    "closed_at": old.closed_at,
                    "probe_at": old.probe_at,
                    "awaits_proof": old.awaits_proof,
                }
                self._write(tx, new.name, values)
            tx.connection.execute(delete(gates).where(gates.c.name == old.name))

    def free_slots(
        self,
        tx: Tx,
        rate: float,
        horizon: timedelta,
        among: Mapping[str, Gate] | None = None,
        name: str = DESTINATION,
    ) -> int:
        """Count the sends that fit between now and the horizon at so many a second.

        Args:
            tx: The transaction.
            rate: Sends a second.
            horizon: How far ahead to look.
            among: The gates, where this transaction has read them already.
            name: Which gate's slots.
        """
        wait = self._next_slot(tx, name, among) - tx.now
        if wait > horizon:
            return 0
        return math.floor((horizon - wait).total_seconds() * rate) + 1

    def take_slots(
        self,
        tx: Tx,
        count: int,
        rate: float,
        among: Mapping[str, Gate] | None = None,
        name: str = DESTINATION,
    ) -> list[timedelta]:
        """Reserve send slots, evenly spaced at so many a second.

        A time in which nothing was sent gives no right to a burst. Because the slots
        are one row's, all processes together keep the rate.

        Returns:
            How long from now each slot is away, in order.
        """
        if count < 1:
            return []
        # What was read before the claim another process may have changed meanwhile.
        if tx.is_shared and name not in (among or {}):
            # A row that is not there cannot be locked.
            tx.connection.execute(_MAKE, {"name": name})
        slot = self._next_slot(tx, name, None if tx.is_shared else among)
        # The row is ours from here on; waiting for it took time.
        now = tx.moment()
        start = max(slot, now)
        interval = timedelta(seconds=1) / rate
        row = {"name": name, "next_slot_at": start + count * interval}
        _TAKE_SLOTS.run(tx.connection, [row])
        return [start - now + index * interval for index in range(count)]

    def pause_destination(
        self, tx: Tx, delay: timedelta, name: str = DESTINATION
    ) -> None:
        """Send nothing for a while; a longer pause that holds already stays."""
        until = tx.now + delay
        before = self._one(tx, name).paused_until
        if before is None or before < until:
            self._write(tx, name, {"paused_until": until})

    def narrow(self, tx: Tx, level: int) -> None:
        """Let one delivery at a time through to the destination; 0 ends that."""
        self._write(tx, DESTINATION, {"narrow": level})

    def _next_slot(
        self, tx: Tx, name: str, among: Mapping[str, Gate] | None = None
    ) -> datetime:
        if among is None:
            gate = self._one(tx, name)
        else:
            gate = among.get(name) or _untouched(name)
        # Further ahead than anybody reserves or pauses, it was written before the
        # clock was set back.
        slot = _unless_absurd(tx, gate.next_slot_at, _FURTHEST_SLOT)
        pause = _unless_absurd(tx, gate.paused_until, _LONGEST_PAUSE)
        return max(time for time in (tx.now, slot, pause) if time is not None)

    def _one(self, tx: Tx, name: str) -> Gate:
        row = tx.connection.execute(_ONE, {"wanted": name}).first()
        return _untouched(name) if row is None else _gate(row)

    def _write(self, tx: Tx, name: str, values: dict[str, Any]) -> None:
        tx.is_news = True
        statement = insert(gates).values(name=name, **values)
        tx.connection.execute(
            statement.on_conflict_do_update(index_elements=[gates.c.name], set_=values)
        )


def _unless_absurd(
    tx: Tx, time: datetime | None, furthest: timedelta
) -> datetime | None:
    return None if time is None or time > tx.now + furthest else time


def _gate(row: AnyRow) -> Gate:
    return Gate(
        name=row.name,
        state=GateState(row.state),
        reason=row.reason,
        closed_at=row.closed_at,
        probe_at=row.probe_at,
        next_slot_at=row.next_slot_at,
        paused_until=row.paused_until,
        awaits_proof=row.awaits_proof,
        narrow=row.narrow,
    )


def _untouched(name: str) -> Gate:
    return Gate(
        name=name,
        state=GateState.OPEN,
        reason=None,
        closed_at=None,
        probe_at=None,
        next_slot_at=None,
        paused_until=None,
    )
