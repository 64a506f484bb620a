"""Receiving processes around a small application: `small_app.py FD SETTINGS`."""

import json
import sys
import time
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Any

from bridge import log
from bridge.server.reception import Limits
from bridge.server.settings import Receivers
from bridge.server.worker import WAITED, Application


def application(
    environ: dict[str, Any], start_response: Callable[..., Any]
) -> Iterable[bytes]:
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
        "waited": environ[WAITED],
        "padding": "x" * (4_000_000 if path == "/big" else 0),
    }
    answer = json.dumps(content).encode()
    headers = [("Content-Length", str(len(answer)))]
    start_response("200 OK", [*headers, ("Content-Type", "application/json")])
    return [answer]


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
    ).run()
