"""Past Flask for webhooks, which come by the hundred; all else goes through it.

Context, routing and hooks of Flask cost a webhook more than proof, parsing and decision
together. What is refused here, for whatever reason, Flask looks at again: it has the
words for it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bridge.server.exchange import WHOLE_AT
from bridge.web.answers import REQUEST_ID, name_of
from bridge.web.mounting import Application
from bridge.web.receiver import Door


class FastPath:
    """Answers the webhooks that are received without a fault.

    Args:
        doors: By path.
        rest: Gets every other request.
    """

    def __init__(self, doors: Mapping[str, Door], rest: Application) -> None:
        self._doors = doors
        self._rest = rest

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer, or have the other application answer."""
        door = self._doors.get(environ["PATH_INFO"])
        # Only of our own server is it known that the body is whole, and not too long.
        if door and environ["REQUEST_METHOD"] == "POST" and WHOLE_AT in environ:
            body, request_id = environ["wsgi.input"], name_of(environ)
            try:
                answer = door.receive(body.read(), environ, request_id)
            except Exception:  # noqa: BLE001 - Flask meets the same, and says so
                body.seek(0)
            else:
                answer.headers[REQUEST_ID] = request_id
                return answer(environ, start_response)
        return self._rest(environ, start_response)
