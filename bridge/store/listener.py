"""Word from other processes that there is work (PostgreSQL's `LISTEN`)."""

import select
import time
from collections.abc import Callable
from typing import Any

import psycopg

#: The channel on which commits that concern workers are announced.
CHANNEL = "reward_bridge"
#: Seconds between two looks where nothing is announced.
_POLL = 0.25
#: Seconds until a connection that was lost is tried again.
_FIRST, _LONGEST = 1.0, 30.0


class NotifyListener:
    """A connection that only listens; it is opened at first use.

    Behind a pooler that gives a connection out for one transaction only, nothing can be
    announced: then, as while there is no connection, it says four times a second that
    it is time for a look.

    Args:
        connect: Opens a connection in autocommit.
        own: The payload of this store's own announcements.
    """

    def __init__(
        self, connect: Callable[[], "psycopg.Connection[Any]"], own: str
    ) -> None:
        self._connect = connect
        self._own = own
        self._connection: psycopg.Connection[Any] | None = None
        self._is_pooled = False
        self._try_at = self._poll_at = 0.0
        self._pause = _FIRST

    def has_notifications(self) -> bool:
        """Tell whether there may be news since the last call; never waits for any."""
        if self._connection is None:
            return self._open() or self._is_time()
        ready, _, _ = select.select([self._connection.fileno()], [], [], 0)
        if not ready:
            return False
        try:
            payloads = [one.payload for one in self._connection.notifies(timeout=0)]
        except psycopg.Error:
            self.close()
            return True
        return any(payload != self._own for payload in payloads)

    def close(self) -> None:
        """Stop listening until asked again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _open(self) -> bool:
        """Begin to listen; True where that began now, as much may have been missed."""
        now = time.monotonic()
        if self._is_pooled or now < self._try_at:
            return False
        try:
            connection = self._connect()
            self._is_pooled = is_pooled(connection)
            if self._is_pooled:
                connection.close()
                return True
            connection.execute(f"LISTEN {CHANNEL}")
        except psycopg.Error:
            self._try_at = now + self._pause
            self._pause = min(2 * self._pause, _LONGEST)
            return False
        self._connection, self._pause = connection, _FIRST
        return True

    def _is_time(self) -> bool:
        now = time.monotonic()
        if now < self._poll_at:
            return False
        self._poll_at = now + _POLL
        return True


def is_pooled(driver: "psycopg.Connection[Any]") -> bool:
    """Tell whether a pooler such as PgBouncer is between this program and the server.

    It introduces itself with a number of its own in place of the server process's.
    """
    row = driver.execute("SELECT pg_backend_pid()").fetchone()
    return row is None or row[0] != driver.info.backend_pid
