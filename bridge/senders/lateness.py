"""How late a call may start."""

#: Seconds; what is allowed grows where lateness is the rule.
LATE = 0.05
LATEST = 1.0


class Lateness:
    """Tells whether a call has missed its slot, and must ask for another.

    After a stall of this machine many have: at once they would break the rate. A
    machine that is always late gets more and more time, or it would never send.
    """

    def __init__(self) -> None:
        self._allowed = LATE
        #: Since when every call is late; None where the last was not.
        self._since: float | None = None

    def is_late(self, slot: float, now: float) -> bool:
        """Judge one call, both times on the monotonic clock in seconds."""
        if now <= slot + self._allowed:
            self._since = None
            if now <= slot + LATE:
                self._allowed = LATE
            return False
        since = self._since
        if since is None:
            self._since = now
        elif now > since + LATEST:
            self._allowed, self._since = min(2 * self._allowed, LATEST), now
        return True
