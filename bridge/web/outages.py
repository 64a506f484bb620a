"""Words about an outage of the store: the first refusal, then how many there were."""

import time
from threading import Lock

from bridge import log as logs

log = logs.get(__name__)

#: Seconds between two lines of one process.
EVERY = 10.0


class Outages:
    """Counts refusals, and says so now and then: a flood of lines helps nobody."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._count = 0
        self._next = 0.0

    def note(self, reason: str, request_id: str) -> None:
        """Count a refusal, and log it with all since the last that was logged."""
        with self._lock:
            self._count += 1
            now = time.monotonic()
            if now < self._next:
                return
            count, self._count, self._next = self._count, 0, now + EVERY
        log.error(
            "store.unavailable", reason=reason, refused=count, request_id=request_id
        )
