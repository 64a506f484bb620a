"""Receiving processes around a small application: `small_app.py FD SETTINGS`."""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Any

from bridge import log
from bridge.server.exchange import WHOLE_AT, Application
from bridge.server.reception import Limits
from bridge.server.settings import Receivers

#: Where the paths begin whose requests are begun together.
BATCHED = "/batched/"


def application(
    environ: dict[str, Any], start_response: Callable[..., Any]
) -> Iterable[bytes]:
    came = time.monotonic()
    if environ["PATH_INFO"].startswith(BATCHED):
        return together(environ, start_response)
    if environ["PATH_INFO"] == "/release":
        _released.set()
    body = environ["wsgi.input"].read()
    path = environ["PATH_INFO"]
    if path.startswith("/slow"):
        time.sleep(0.3)
    if path == "/broken":
        raise ZeroDivisionError
    content = {
        "method": environ["REQUEST_METHOD"],
        "path": path,
        "length": len(body),
        "sha256": sha256(body).hexdigest(),
        "waited": came - environ[WHOLE_AT],
        "begun": len(_begun),
        "padding": "x" * (4_000_000 if path == "/big" else 0),
    }
    answer = json.dumps(content).encode()
    headers = [("Content-Length", str(len(answer)))]
    start_response("200 OK", [*headers, ("Content-Type", "application/json")])
    return [answer]


def together(
    environ: dict[str, Any], start_response: Callable[..., Any]
) -> Iterable[bytes]:
    """Answer, when it is read, how many requests had been begun by then."""
    path = environ["PATH_INFO"]
    _begun.append(path)
    if path.endswith("/unbegun"):
        raise ZeroDivisionError
    return _finish(path, start_response)


def _finish(path: str, start_response: Callable[..., Any]) -> Iterable[bytes]:
    if path.endswith("/held"):
        _released.wait(60)
    if path.endswith("/unfinished"):
        raise ZeroDivisionError
    answer = json.dumps({"begun": len(_begun)}).encode()
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    yield answer


_begun: list[str] = []
#: Set once the requests that are held back may be finished.
_released = threading.Event()


def load() -> Application:
    return application


if __name__ == "__main__":
    settings = json.loads(sys.argv[2])
    log.setup("INFO", "json")
    Receivers(
        load,
        fd=int(sys.argv[1]),
        processes=settings.pop("processes", 1),
        threads=settings.pop("threads", 4),
        limits=Limits(**settings),
        batched=(BATCHED,),
    ).run()
