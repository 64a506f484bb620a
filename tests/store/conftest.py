"""A store on each kind of database, a clock that is moved by hand, and factories."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.model import (
    Attempt,
    AttemptResult,
    Capture,
    Claim,
    DeliveryStatus,
    EventStatus,
    NewDelivery,
    NewEvent,
    Trigger,
)
from bridge.store import Store, new_id, open_store, queue
from bridge.store.ingest import ingest
from tests.product.postgres import postgres_server
from tests.store.postgres import Ledgers


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


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables, to be copied: making them takes much longer."""
    path = tmp_path_factory.mktemp("empty") / "bridge.db"
    with closing(open_store(f"sqlite:///{path}")) as store:
        store.migrate()
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[Ledgers]:
    """Run a PostgreSQL for the whole session."""
    with postgres_server() as server:
        yield Ledgers(server)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Name an unused database; the contract of the store holds on each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'bridge.db'}"
    server: Ledgers = request.getfixturevalue("postgres")
    is_migrated = "store" in request.fixturenames
    return server.clean_database() if is_migrated else server.server.new_database()


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


def new_delivery(key: str = "pub:p:v", **changes: Any) -> NewDelivery:
    """Make a delivery about to be stored; give its key, change what else matters."""
    route = changes.get("route", "r")
    values: dict[str, Any] = {
        "id": new_id(),
        "route": route,
        "route_names": (route,),
        "destination": "iterable",
        "endpoint": "email/target",
        "key": key,
        "keys": ((key, timedelta(days=30)),),
        "recipient": "user-1",
        "customer_id": "cust_1",
        "codes": ("CODE-1",),
        "campaign": "Welcome",
    }
    return NewDelivery(**(values | changes))


def new_event(*deliveries: NewDelivery, **changes: Any) -> NewEvent:
    """Make an event about to be stored, with deliveries or without."""
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
    return NewEvent(**(values | changes))


@pytest.fixture
def fill(store: Store) -> Callable[..., list[str]]:
    """Store so many ordinary deliveries, each of its own event; return their ids."""

    def stored(count: int, **changes: Any) -> list[str]:
        made = [new_delivery(f"pub:{new_id()}:v", **changes) for _ in range(count)]
        with store.write() as tx:
            ingest(tx, [(new_event(one), None) for one in made])
        return [one.id for one in made]

    return stored


@pytest.fixture
def claim(store: Store) -> Callable[..., list[Claim]]:
    """Claim what is due, fresh or not, in a transaction of its own."""

    def claimed(
        *routes: str, limit: int = 10, is_fresh: bool | None = None
    ) -> list[Claim]:
        kinds = (True, False) if is_fresh is None else (is_fresh,)
        claims: list[Claim] = []
        with store.write() as tx:
            for kind in kinds:
                claims += queue.claim(
                    tx,
                    routes or ("r",),
                    is_fresh=kind,
                    limit=limit - len(claims),
                    lease=timedelta(seconds=30),
                    token=new_id(),
                )
        return claims

    return claimed


@pytest.fixture
def result_of(clock: Clock) -> Callable[..., AttemptResult]:
    """Say how the one attempt that a claim allows ended."""

    def made(claim: Claim, trigger: Trigger, **changes: Any) -> AttemptResult:
        attempt = Attempt(
            number=claim.attempt_no,
            started_at=clock.now,
            duration=timedelta(milliseconds=80),
            outcome="SUCCESS" if trigger is Trigger.ANSWERED_OK else "RETRY",
            status=200,
            code="Success",
            reason="Iterable said so",
            request_id="req-1",
            payload=b'{"campaignId":1}',
        )
        plain = AttemptResult(
            claim=claim, trigger=trigger, reason=None, attempt=attempt
        )
        return replace(plain, **changes)

    return made


#: What leads a claimed delivery into each status.
INTO = {
    DeliveryStatus.PENDING: Trigger.NOT_PROCESSED,
    DeliveryStatus.IN_DOUBT: Trigger.OUTCOME_UNKNOWN,
    DeliveryStatus.HELD: Trigger.UNUSABLE,
    DeliveryStatus.ACCEPTED: Trigger.ANSWERED_OK,
    DeliveryStatus.DEAD: Trigger.GIVEN_UP,
    DeliveryStatus.SUPPRESSED: Trigger.MUST_NOT_SEND,
}


@pytest.fixture
def bring(
    store: Store,
    fill: Callable[..., list[str]],
    claim: Callable[..., list[Claim]],
    result_of: Callable[..., AttemptResult],
) -> Callable[..., str]:
    """Store a delivery and bring it into a status; return its id."""

    def made(status: DeliveryStatus, **changes: Any) -> str:
        [delivery_id] = fill(1, **changes)
        [one] = claim(changes.get("route", "r"))
        if status is not DeliveryStatus.SENDING:
            ended = result_of(one, INTO[status], delay=timedelta(hours=1))
            with store.write() as tx:
                assert queue.settle(tx, [ended]) == [delivery_id]
        return delivery_id

    return made
