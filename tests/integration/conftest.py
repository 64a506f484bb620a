import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import pytest

from bridge.model import (
    Arrival,
    Attempt,
    Capture,
    Cause,
    Claim,
    EventStatus,
    Lane,
    NewDelivery,
    Settlement,
)
from bridge.store import Store, new_id, open_store
from tests.integration.programs import Program, Start
from tests.postgres import Postgres
from tests.starting import Running


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start programs that are given a bound socket; they end with the test."""
    running: list[Program] = []

    def start(launch: Callable[[int, IO[bytes]], Running]) -> Program:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            log = tmp_path / f"program-{len(running)}.log"
            with log.open("wb") as file:
                process = launch(listener.fileno(), file)
            running.append(Program(process, listener.getsockname(), log))
        return running[-1]

    yield start
    for program in running:
        program.stop()


@pytest.fixture
def small(start: Start) -> Callable[..., Program]:
    """Start receiving processes around the small application."""
    script = str(Path(__file__).with_name("small_app.py"))

    def small(**settings: float) -> Program:
        return start(
            lambda listener, log: subprocess.Popen(
                [sys.executable, script, str(listener), json.dumps(settings)],
                pass_fds=[listener],
                stderr=log,
            )
        )

    return small


class Clock:
    """A clock that stands until it is moved; every transaction reads it once."""

    def __init__(self) -> None:
        self.now = datetime(2020, 2, 29, 12, tzinfo=UTC)
        self.reads = 0

    def __call__(self) -> datetime:
        self.reads += 1
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tick(clock: Clock) -> Callable[..., datetime]:
    """Move the stores' clock on: `tick(hours=25)`."""

    def move(**span: float) -> datetime:
        clock.now += timedelta(**span)
        return clock.now

    return move


@pytest.fixture
def transactions(clock: Clock) -> Callable[[], int]:
    """Count the transactions of all stores of a test so far."""
    return lambda: clock.reads


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Name an unused database; the contract of the store holds on each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'bridge.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    is_migrated = "store" in request.fixturenames
    return server.clean_database() if is_migrated else server.new_database()


@pytest.fixture
def another_store(database_url: str, clock: Clock) -> Iterator[Callable[[], Store]]:
    """Open the database once more, as another process would."""
    with ExitStack() as stack:

        def opened() -> Store:
            store = open_store(database_url, clock)
            stack.callback(store.close)
            return store

        yield opened


@pytest.fixture
def store(
    another_store: Callable[[], Store], database_url: str, empty_ledger: Path
) -> Store:
    if database_url.startswith("sqlite:"):
        shutil.copy(empty_ledger, database_url.removeprefix("sqlite:///"))
    opened = another_store()
    opened.migrate()
    return opened


def _delivery(key: str = "pub:p:v", **changes: Any) -> NewDelivery:
    route = changes.get("route", "r")
    values: dict[str, Any] = {
        "id": new_id(),
        "route": route,
        "route_names": (route,),
        "endpoint": "email/target",
        "key": key,
        "keys": ((key, timedelta(days=30)),),
        "recipient": "user-1",
        "customer_id": "cust_1",
        "codes": ("CODE-1",),
        "campaign": "Welcome",
    }
    return NewDelivery(**(values | changes))


@pytest.fixture
def new_delivery() -> Callable[..., NewDelivery]:
    """Make a delivery about to be stored; give its key, change what else matters."""
    return _delivery


def _arrival(*deliveries: NewDelivery, **changes: Any) -> Arrival:
    status = EventStatus.STORED if deliveries else EventStatus.IGNORED
    values: dict[str, Any] = {
        "id": new_id(),
        "capture": Capture(body=b'{"id": "whs_1"}', headers={"user-agent": "axios"}),
        "transport_key": f"whs_{new_id()}",
        "is_hashed": False,
        "kind": "project",
        "event_type": "voucher.published",
        "status": status,
        "deliveries": deliveries,
    }
    return Arrival(**(values | changes))


@pytest.fixture
def new_arrival() -> Callable[..., Arrival]:
    """Make an arrival about to be stored, of deliveries or of none."""
    return _arrival


@pytest.fixture
def fill(store: Store) -> Callable[..., list[str]]:
    """Store so many ordinary deliveries on a route and return their ids."""

    def stored(count: int, **changes: Any) -> list[str]:
        made = [_delivery(f"pub:{new_id()}:v", **changes) for _ in range(count)]
        for one in made:
            store.commits.add(_arrival(one))
        return [one.id for one in made]

    return stored


@pytest.fixture
def claim(store: Store) -> Callable[..., list[Claim]]:
    """Claim what is due, in a transaction of its own."""

    def claimed(*routes: str, lane: Lane = Lane.FRESH, limit: int = 10) -> list[Claim]:
        lease = timedelta(seconds=30)
        with store.write() as tx:
            return store.queue.claim(tx, routes or ("r",), lane, limit, lease, new_id())

    return claimed


@pytest.fixture
def settlement(clock: Clock) -> Callable[..., Settlement]:
    """Say how the one attempt that a claim allows ended."""

    def made(claim: Claim, cause: Cause, **changes: Any) -> Settlement:
        attempt = Attempt(
            number=claim.number,
            started_at=clock.now,
            duration=timedelta(milliseconds=80),
            outcome="SUCCESS" if cause is Cause.ANSWERED_OK else "RETRY",
            status=200,
            code="Success",
            reason="Iterable said so",
            request_id="req-1",
            payload=b'{"campaignId":1}',
        )
        plain = Settlement(
            delivery_id=claim.delivery_id,
            token=claim.token,
            cause=cause,
            reason=None,
            attempt=attempt,
        )
        return replace(plain, **changes)

    return made
