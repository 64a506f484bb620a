"""A call whose request is written and whose answer nobody waits for yet."""

import io
import time
from contextlib import suppress
from enum import Enum, auto
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from typing import TYPE_CHECKING

from bridge.http.answer import Answer, read
from bridge.http.connection import PooledConnection
from bridge.http.limits import NOT_NOW, Limits, current

if TYPE_CHECKING:
    from bridge.http.pool import Pool

#: The most that is taken at a look, in bytes, and looks before somebody shall wait.
_PIECE, _LOOKS = 65536, 8


class Progress(Enum):
    """How far an answer has come."""

    WAITING = auto()
    WHOLE = auto()
    #: What it will be shows only to who reads on, and waits.
    ODD = auto()


class Begun:
    """One call under way.

    Args:
        pool: Takes the connection back.
        connection: Carries the call, and nothing else until it ends.
        method: The request's.
        request: All of it.
        written: How much of that is on its way, in bytes.
    """

    def __init__(
        self,
        pool: "Pool",
        connection: PooledConnection,
        method: str,
        request: memoryview,
        written: int,
    ) -> None:
        self._pool = pool
        self._connection = connection
        self._method = method
        self._request = request
        self._written = written
        self._limits = Limits(current.deadline, current.max_idle, current.room)
        self._came = b""
        self._looks = 0
        self._answer: Answer | None = None

    @property
    def deadline(self) -> float:
        """Monotonic time until which the answer must be there, in seconds."""
        return self._limits.deadline

    @property
    def is_written(self) -> bool:
        """Whether all of the request is on its way: an answer may be waited for."""
        return self._written == len(self._request)

    def fileno(self) -> int:
        """Return what to poll for something to read."""
        return int(self._connection.sock.fileno())

    def look(self) -> Progress:
        """Take in what has come, without waiting."""
        self._looks += 1
        if not self.is_written or self._looks > _LOOKS:
            return Progress.ODD
        try:
            piece = self._connection.sock.recv(_PIECE)
        except NOT_NOW:
            is_late = time.monotonic() >= self.deadline
            return Progress.ODD if is_late else Progress.WAITING
        except OSError:
            return Progress.ODD
        self._came += piece
        stream = io.BytesIO(self._came)
        answer = None
        with suppress(HTTPException):
            try:
                answer = read(stream, self._method, self._limits.room)
            except (IncompleteRead, RemoteDisconnected):
                return Progress.WAITING if piece else Progress.ODD
        if answer is None or not answer.is_reusable or stream.read(1):
            return Progress.ODD
        self._answer = answer
        return Progress.WHOLE

    def take(self) -> Answer:
        """Return the answer, having waited for what is missing.

        Raises:
            NotSentError: Nothing was written.
            NoAnswerError: Something was, but not all.
            http.client.HTTPException: What came is no answer.
            OSError: It did not come, or not in time.
        """
        answer = self._answer
        if answer is None:
            current.keep_to(self._limits)
            try:
                answer = self._connection.end(
                    self._method, self._request, self._written, self._came
                )
            except BaseException:
                self._connection.close()
                raise
        self._pool.put_back(self._connection)
        return answer
