"""The outage breaker: after 5 sends without a known outcome, send one at a time.

Each unknown outcome costs a question to the destination, and each vain send a
transaction. So while no send is answered, or no outcome is known, single sends go out
with back-off; the first whose outcome is known ends that. The level is kept in the
destination's row, for all processes; the count of sends in a row is this process's own.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta

from bridge import logging as logs
from bridge.delivery.tasks import SendResult, Tick
from bridge.model import destination_circuit
from bridge.store import circuits

log = logs.get(__name__)

#: Sends in a row without a known outcome that speak of an outage.
LIMIT = 5
FIRST_WAIT = timedelta(seconds=1)
#: Longest wait between two single sends; so long does recovery take to be noticed.
LONGEST_WAIT = timedelta(minutes=1)
_MAX_DOUBLINGS = 16


class OutageBreaker:
    """Counts sends without a known outcome; limits a destination to single sends."""

    def __init__(self) -> None:
        #: By destination: such sends in a row, as far as results are written.
        self._rows: dict[str, int] = {}
        #: By destination: its level when this process last read it.
        self._levels: dict[str, int] = {}

    def see(self, tick: Tick, destinations: Sequence[str]) -> None:
        """Take note of the levels, which other processes may have changed."""
        for name in destinations:
            level = tick.circuit(destination_circuit(name)).trial_level
            tick.after_commit(self._levels.__setitem__, name, level)

    def concerns(self, results: Sequence[SendResult]) -> bool:
        """Tell whether these results may change a destination's level."""
        return any(one.is_outage_signal or one.trial_of for one in results) or any(
            self._levels.values()
        )

    def apply(self, tick: Tick, results: Sequence[SendResult]) -> None:
        """Count results, and start or end single sends as they ask."""
        by_destination: dict[str, list[SendResult]] = defaultdict(list)
        for one in results:
            if one.outcome is not None:
                by_destination[one.claim.destination].append(one)
        for name in sorted(by_destination):
            self._apply(tick, name, by_destination[name])

    def _apply(self, tick: Tick, name: str, results: Sequence[SendResult]) -> None:
        circuit = destination_circuit(name)
        row, is_known, is_trial = self._rows.get(name, 0), False, False
        for one in results:
            if one.is_outage_signal:
                row += 1
                is_trial = is_trial or one.trial_of == circuit
            else:
                row, is_known = 0, True
        tick.after_commit(self._rows.__setitem__, name, row)
        level = self._levels.get(name, 0)
        if is_known and level > 0:
            circuits.set_trial_level(tick.tx, circuit, 0)
            tick.after_commit(log.info, "circuit.closed", circuit=circuit)
        elif row >= LIMIT or (is_trial and level > 0):
            self._raise(tick, circuit, is_trial=is_trial)

    def _raise(self, tick: Tick, circuit: str, *, is_trial: bool) -> None:
        before = circuits.get(tick.tx, circuit).trial_level
        level = before + 1 if is_trial else max(before, 1)
        if level == before:
            return
        circuits.set_trial_level(tick.tx, circuit, level)
        wait = FIRST_WAIT * 2 ** min(level - 1, _MAX_DOUBLINGS)
        circuits.pause_destination(tick.tx, circuit, min(wait, LONGEST_WAIT))
        if before == 0:
            reason = f"{LIMIT} sends in a row got no answer, or an unclear one"
            tick.after_commit(
                log.warning, "circuit.half_open", circuit=circuit, reason=reason
            )
