"""One request and its answer, computed in two steps; knows no thread, no socket.

An application may leave waiting to the second step (an iterable that computes when it
is read). Several requests begun before the first is finished then wait together.
"""

from collections.abc import Callable, Iterable
from typing import Any

from gunicorn.config import Config
from gunicorn.http import wsgi

from bridge.server.connection import Connection

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

#: WSGI key: monotonic time at which the request was whole.
WHOLE_AT = "bridge.whole_at"


class Exchange:
    """One whole request and what the application makes of it.

    Args:
        connection: Its request is computed; its outbox takes the answer.
        settings: gunicorn's.
        keeps: Whether another request may follow.
    """

    def __init__(
        self, connection: Connection, settings: Config, *, keeps: bool
    ) -> None:
        self.connection = connection
        self._response, self._environ = wsgi.create(
            connection.request,
            connection.sock,
            connection.client,
            connection.server,
            settings,
        )
        self._environ["wsgi.multithread"] = True
        self._environ[WHOLE_AT] = connection.sock.whole_at
        if not keeps:
            self._response.force_close()
        self._parts: Iterable[bytes] = ()

    def begin(self, application: Application) -> None:
        """Have the application take the request."""
        self._parts = application(self._environ, self._response.start_response)

    def finish(self) -> bool:
        """Put the answer into the outbox; say whether another request may follow."""
        try:
            for part in self._parts:
                self._response.write(part)
            self._response.close()
        finally:
            close = getattr(self._parts, "close", None)
            if close is not None:
                close()
        return not self._response.should_close()
