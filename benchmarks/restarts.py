"""A PostgreSQL that goes and comes back: how soon the program works again."""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import envelopes
from benchmarks.kills import Installation, post
from bridge.sandbox import Sandbox
from bridge.store import open_store
from tests.postgres import start_postgres

#: Seconds to wait for anything.
PATIENCE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """Seconds from the moment the database answers again."""

    #: Until a webhook is answered 202.
    receiving: float
    #: Until a message has reached Iterable.
    delivering: float


def measure(folder: Path, times: int) -> list[Recovery]:
    """End every session of the database at once, start it again, and time the program.

    Webhooks are posted all the time, before, during and after.
    """
    server = start_postgres()
    try:
        url = server.new_database()
        store = open_store(url)
        store.migrate()
        store.close()
        with Sandbox() as sandbox:
            program = Installation(folder, sandbox.url, "hold", url)
            requests = iter(envelopes.requests(5000, run=1, port=program.port))
            program.start()
            _until(lambda: post(program.port, next(requests)))
            _until(lambda: sandbox.received)
            found = []
            for _ in range(times):
                server.stop(signal.SIGQUIT)
                post(program.port, next(requests))
                told = len(sandbox.received)
                server.start()
                began = time.monotonic()
                _until(lambda: post(program.port, next(requests)))
                receiving = time.monotonic() - began
                _until(lambda told=told: len(sandbox.received) > told)
                found.append(
                    Recovery(receiving=receiving, delivering=time.monotonic() - began)
                )
            program.end()
            return found
    finally:
        server.remove()


def _until(what: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not what():
        if time.monotonic() > until:
            raise TimeoutError("the program did not come back")
        time.sleep(0.005)
