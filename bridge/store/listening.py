"""Word from other processes that there is something to do (`LISTEN`)."""

import select
import time
from collections.abc import Callable
from typing import Any

import psycopg

from bridge.store.postgres import is_pooled

#: The channel on which commits that matter to workers are told.
CHANNEL = "reward_bridge"
#: Seconds between two looks where nothing is told.
_LOOK = 0.25
#: Seconds until a connection that was lost is tried again.
_FIRST, _LONGEST = 1.0, 30.0


class Listener:
    """A connection that only listens; it is opened when first asked.

    Behind a pooler that gives a connection out for one transaction only, nobody could
    be told anything: then, as while there is no connection, it is time for a look four
    times a second.

    Args:
        connect: Opens a connection in autocommit.
    """

    def __init__(self, connect: Callable[[], "psycopg.Connection[Any]"]) -> None:
        self._connect = connect
        self._connection: psycopg.Connection[Any] | None = None
        self._is_deaf = False
        self._try_at = self._look_at = 0.0
        self._pause = _FIRST

    def has_heard(self, own: int | None) -> bool:
        """Tell whether there may be news since the last call; never waits for any.

        Args:
            own: The server process whose words are our own.
        """
        if self._connection is None:
            return self._open() or self._is_time()
        ready, _, _ = select.select([self._connection.fileno()], [], [], 0)
        if not ready:
            return False
        try:
            told = [one.pid for one in self._connection.notifies(timeout=0)]
        except psycopg.Error:
            self.close()
            return True
        return any(pid != own for pid in told)

    def close(self) -> None:
        """Stop listening until asked again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _open(self) -> bool:
        """Begin to listen; True where that began now, as much may have been missed."""
        now = time.monotonic()
        if self._is_deaf or now < self._try_at:
            return False
        try:
            connection = self._connect()
            self._is_deaf = is_pooled(connection)
            if self._is_deaf:
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
        if now < self._look_at:
            return False
        self._look_at = now + _LOOK
        return True
