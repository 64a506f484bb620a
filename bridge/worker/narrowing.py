"""An outage makes few doubts: after some in a row, one delivery at a time may pass.

Each doubt costs a question to Iterable and a person's patience, and each vain try a
transaction. So while no send is answered, or no outcome is known, sends go one by one,
further and further apart; the first that is answered with a known outcome opens the
destination's gate to its full width.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from bridge import log as logs
from bridge.dispatch import Result, tells_of_outage
from bridge.gatekeeper import DESTINATION
from bridge.model import Gate
from bridge.retry import NARROW_AFTER
from bridge.store import Gates, Tx

log = logs.get(__name__)

FIRST_WAIT = timedelta(seconds=1)
#: Longest wait between two lone sends; so long does recovery take to be noticed.
LONGEST_WAIT = timedelta(minutes=1)
_MAX_DOUBLINGS = 16


class Narrowing:
    """Counts sends in vain or in doubt and narrows the destination's gate.

    Args:
        gates: Where the gate is kept, for all processes.
    """

    def __init__(self, gates: Gates) -> None:
        self._gates = gates
        #: Such sends in a row, in this process.
        self._row = 0
        #: The gate's level when it was last seen.
        self._level = 0

    def see(self, gates: Mapping[str, Gate]) -> None:
        """Take note of what other processes made of the gate."""
        self._level = level_of(gates)

    def note(self, tx: Tx, results: Sequence[Result]) -> None:
        """Narrow or widen the gate as outcomes ask."""
        is_lone = is_known = False
        for result in results:
            if result.outcome is None:
                continue
            if tells_of_outage(result):
                self._row += 1
                is_lone = is_lone or result.probes == DESTINATION
            else:
                self._row, is_known = 0, True
        if is_known and self._level > 0:
            self._gates.narrow(tx, 0)
            log.info("gate.widened", gate=DESTINATION)
        elif self._row >= NARROW_AFTER or (is_lone and self._level > 0):
            self._narrow(tx, is_lone=is_lone)

    def _narrow(self, tx: Tx, *, is_lone: bool) -> None:
        before = level_of(self._gates.read(tx))
        level = before + 1 if is_lone else max(before, 1)
        if level == before:
            return
        self._gates.narrow(tx, level)
        wait = FIRST_WAIT * 2 ** min(level - 1, _MAX_DOUBLINGS)
        self._gates.pause_destination(tx, min(wait, LONGEST_WAIT))
        if before == 0:
            reason = f"{NARROW_AFTER} sends in a row got no answer, or none that tells"
            log.warning("gate.narrowed", gate=DESTINATION, reason=reason)


def level_of(gates: Mapping[str, Gate]) -> int:
    """Tell how narrow the destination's gate is; 0 for wide open."""
    gate = gates.get(DESTINATION)
    return 0 if gate is None else gate.narrow
