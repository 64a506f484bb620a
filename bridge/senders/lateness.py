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
        #: How late is too late just now, and since when.
        self._allowed = (LATE, 0.0)

    def is_late(self, slot: float, now: float) -> bool:
        """Judge one call, both times on the monotonic clock in seconds."""
        allowed, since = self._allowed
        is_late = now > slot + allowed
        if not is_late:
            self._allowed = (LATE, since)
        elif now > since + LATEST:
            self._allowed = (min(2 * allowed, LATEST), now)
        return is_late
