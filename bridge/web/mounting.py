"""One application below a path of another; made when it is first asked for."""

from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Mounted:
    """Hands requests below a path to an application that nobody may ever ask for.

    Args:
        path: Without a slash at its end.
        make: Makes the application.
        rest: Gets every other request.
    """

    def __init__(
        self, path: str, make: Callable[[], Application], rest: Application
    ) -> None:
        self._path = path
        self._make = make
        self._rest = rest
        self._made: Application | None = None
        self._turn = Lock()

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer, or have the other application answer."""
        path = environ["PATH_INFO"]
        if path.startswith(self._path) and path[len(self._path) :][:1] in ("", "/"):
            return self._application()(environ, start_response)
        return self._rest(environ, start_response)

    def _application(self) -> Application:
        with self._turn:
            if self._made is None:
                self._made = self._make()
            return self._made
