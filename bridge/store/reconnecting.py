"""When to try a database again that could not be reached."""

import time

from bridge.errors import StoreUnavailable

_FIRST, _LONGEST = 0.1, 2.0
#: Seconds an outage may take while whoever writes waits for its end. One that takes
#: longer is refused at once, or every thread of a process would stand and wait.
_SHORT = 4.0


class Outage:
    """Remembers that a database is away; the caller keeps its threads apart."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._pause = _FIRST
        self._next = 0.0
        self._reason = ""

    def demand_try(self) -> None:
        """Refuse a try that would come too early.

        Raises:
            StoreUnavailable: The database is away, for longer than a moment.
        """
        if self._is_long() and time.monotonic() < self._next:
            raise StoreUnavailable(self._reason)

    def note_failure(self, reason: str) -> float | None:
        """Remember a try that failed.

        Returns:
            Seconds until the next one; None where nobody should wait for that.
        """
        now = time.monotonic()
        self._began = now if self._began is None else self._began
        self._reason = reason
        pause, self._pause = self._pause, min(2 * self._pause, _LONGEST)
        self._next = now + pause
        return None if self._is_long() else pause

    def note_success(self) -> None:
        """Forget the outage."""
        self._began, self._pause = None, _FIRST

    def _is_long(self) -> bool:
        return self._began is not None and time.monotonic() - self._began >= _SHORT
