"""What the threads hand in and one takes out, several at a time."""

from threading import Condition, Lock

from bridge.dispatch import Result
from bridge.gatekeeper import Probed
from bridge.verification import Checked


class Returns:
    """Collects results.

    Waking somebody costs about as much as settling a delivery: not for each of them.
    """

    def __init__(self) -> None:
        self._results: list[Result | Probed | Checked] = []
        self._least = 1
        self._changed = Condition(Lock())

    def put(self, result: Result | Probed | Checked) -> None:
        """Hand in one; wake who takes them, if that is enough."""
        with self._changed:
            self._results.append(result)
            if len(self._results) >= self._least:
                self._changed.notify()

    def take(self, timeout: float, least: int) -> list[Result | Probed | Checked]:
        """Take what has come back.

        Args:
            timeout: Seconds to wait.
            least: How many end the waiting.
        """
        with self._changed:
            self._least = least
            self._changed.wait_for(lambda: len(self._results) >= least, timeout)
            taken, self._results = self._results, []
        return taken
