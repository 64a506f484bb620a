"""Waking where nobody can be told: behind a pooler, and without a connection."""

import time
from types import SimpleNamespace
from typing import Any

import psycopg

from bridge.store.listening import Listener


class Pooled:
    """A connection whose server process is not the one it was introduced to."""

    info = SimpleNamespace(backend_pid=1)

    def __init__(self) -> None:
        self.said: list[str] = []
        self.is_closed = False

    def execute(self, statement: str) -> "Pooled":
        self.said.append(statement)
        return self

    def fetchone(self) -> tuple[int]:
        return (2,)

    def close(self) -> None:
        self.is_closed = True


def looks_again(listener: Listener) -> bool:
    until = time.monotonic() + 60
    while not listener.has_heard(None):
        assert time.monotonic() < until
        time.sleep(0.01)
    return True


def test_behind_a_pooler_nobody_listens_and_it_is_looked_again_and_again() -> None:
    opened: list[Any] = []

    def connect() -> Any:
        opened.append(Pooled())
        return opened[-1]

    listener = Listener(connect)
    assert listener.has_heard(None)
    assert all(looks_again(listener) for _ in range(3))
    (only,) = opened
    assert only.is_closed
    assert not any("LISTEN" in one for one in only.said)


def test_while_nothing_can_be_opened_it_is_looked_again_and_again() -> None:
    tries: list[float] = []

    def connect() -> Any:
        tries.append(time.monotonic())
        raise psycopg.OperationalError("away")

    listener = Listener(connect)
    assert all(looks_again(listener) for _ in range(3))
    assert len(tries) < 3
