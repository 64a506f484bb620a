"""Serves the vendors' sandboxes on this machine: one address for all of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Thread

from flask import Flask, Response, request
from werkzeug.serving import WSGIRequestHandler, make_server

from bridge import bootstrap, integrations
from bridge.errors import ReasonError
from bridge.integrations import Sandbox, SandboxReceipts
from bridge.model import Json

_CONTROL = "/_sandbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxCall:
    """One call that a sandbox answered."""

    time: datetime
    status: int
    method: str
    path: str
    body: Json


class _QuietHandler(WSGIRequestHandler):
    """Logs nothing: calls are shown by the command."""

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002
        """Keep werkzeug's own lines away."""


class SandboxServer:
    """Sandboxes at one address, each request in a thread of its own.

    Args:
        sandboxes: One of each vendor.
        host: Where to listen.
        port: 0 for a free one.
        on_call: Gets every call to a vendor once it is answered.

    Raises:
        ReasonError: The address cannot be bound.
    """

    def __init__(
        self,
        sandboxes: Sequence[Sandbox],
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        on_call: Callable[[SandboxCall], None] | None = None,
    ) -> None:
        self._sandboxes = sandboxes
        app = Flask("bridge.sandbox", static_folder=None, template_folder=None)
        for sandbox in sandboxes:
            app.register_blueprint(sandbox.blueprint)
        if on_call is not None:
            app.after_request(_watch(on_call))
        try:
            self._server = make_server(
                host, port, app, threaded=True, request_handler=_QuietHandler
            )
        except (OSError, SystemExit) as error:
            reason = getattr(error, "strerror", None) or "the address is in use"
            raise ReasonError(f"{host}:{port}: {reason}") from error
        # A keep-alive connection of the bridge must not hold up the end.
        self._server.daemon_threads = True  # type: ignore[attr-defined] # socketserver
        self._thread = Thread(
            target=self._server.serve_forever, name="sandbox", daemon=True
        )

    @property
    def url(self) -> str:
        """The address of all sandboxes."""
        return f"http://{self._server.host}:{self._server.port}"

    @property
    def environment(self) -> Mapping[str, str]:
        """Name the variables that point the bridge at the sandboxes."""
        found: dict[str, str] = {}
        for sandbox in self._sandboxes:
            found |= sandbox.environment(self.url)
        return found

    def __enter__(self) -> "SandboxServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for sandbox in self._sandboxes:
            sandbox.close()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def make_sandboxes(receipts: Mapping[str, SandboxReceipts]) -> list[Sandbox]:
    """Make a sandbox of every vendor that has one.

    Args:
        receipts: Where to post receipts, by kind; a kind that is missing posts none.
    """
    found = []
    for kind in integrations.kinds():
        integration = integrations.find(kind)
        if integration is not None and integration.make_sandbox is not None:
            found.append(integration.make_sandbox(receipts.get(kind)))
    return found


def _watch(on_call: Callable[[SandboxCall], None]) -> Callable[[Response], Response]:
    def watch(response: Response) -> Response:
        if not request.path.startswith(_CONTROL):
            body = request.get_json(silent=True)
            if body is None:
                body = request.get_data(as_text=True) or None
            on_call(
                SandboxCall(
                    time=bootstrap.now(),
                    method=request.method,
                    path=request.full_path.rstrip("?"),
                    status=response.status_code,
                    body=body,
                )
            )
        return response

    return watch
