"""`serve` or `worker` around a small application, as a program of its own.

It prints where it listens. Paths of the application: `/pid`, `/slow?seconds`, `/crash`,
`/echo`, `/metrics`.
"""

from bridge.server import patch

patch()

# ruff: noqa: E402 - gevent's patches come before everything else
import os
import socket
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Event
from typing import Any

from bridge import logging as logs
from bridge import metrics
from bridge.server.programs import Entrypoints, serve, work

FOLDER = Path(sys.argv[2])


def application(
    environ: dict[str, Any], start_response: Callable[..., Any]
) -> Iterable[bytes]:
    status, body = "200 OK", b""
    match environ["PATH_INFO"]:
        case "/pid":
            body = str(os.getpid()).encode()
        case "/slow":
            (FOLDER / "slow").touch()
            time.sleep(float(environ["QUERY_STRING"]))
            body = b"done"
        case "/crash":
            os._exit(9)
        case "/metrics":
            body = metrics.page()
        case "/echo":
            try:
                body = environ["wsgi.input"].read(100_000)
                metrics.record_commit(1)
            except TimeoutError:
                status = "408 Request Timeout"
    start_response(status, [("Content-Length", str(len(body)))])
    return [body]


def deliver(stop: Event) -> None:
    """Deliver: what is under way at a stop is finished first."""
    metrics.record_commit(1)
    (FOLDER / "delivering").write_text(str(os.getpid()), encoding="utf-8")
    while not stop.wait(0.05):
        if (FOLDER / "die").exists():
            (FOLDER / "die").unlink()
            os._exit(7)
    time.sleep(0.3)
    (FOLDER / "drained").touch()


def main() -> int:
    logs.configure("INFO", "json")
    entry = Entrypoints(
        prepare=(FOLDER / "prepared").touch,
        finish=(FOLDER / "finished").touch,
        application=lambda: application,
        status=lambda: application,
        deliver=deliver,
    )
    if sys.argv[1] == "work":
        return work(entry, status_address=sys.argv[3])
    processes = int(sys.argv[4])
    return serve(entry, bind=sys.argv[3], processes=processes, deliver=True)


if __name__ == "__main__":
    # Imported by pytest's collection this does nothing.
    assert socket.socket.__module__.startswith("gevent")
    sys.exit(main())
