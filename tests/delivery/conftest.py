"""A whole delivering process on a real store; only the vendors are ten-line fakes."""

import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Any

import pytest
from structlog.testing import capture_logs

from bridge import logging as logs
from bridge.bootstrap import templates
from bridge.config import (
    Alerts,
    Config,
    DestinationConfig,
    Log,
    Match,
    Metrics,
    Retention,
    Retry,
    Route,
    SourceConfig,
    Verify,
)
from bridge.delivery import Attempts, InDoubtResolver, Scheduler, SenderPool, Verifier
from bridge.integrations import (
    Destination,
    PayloadCheck,
    SendTarget,
    SentCount,
    Verification,
)
from bridge.model import (
    Capture,
    Classification,
    Customer,
    DeliveryStatus,
    Json,
    Message,
    Outcome,
    ParsedWebhook,
    Recipient,
    UserId,
)
from bridge.rendering import Payload
from bridge.store import Store, deliveries, new_id, open_store
from bridge.store.deliveries import DeliveryDetail
from bridge.store.ingest import ingest
from tests.store.conftest import empty_ledger, new_delivery, new_event, postgres
from tests.store.postgres import Ledgers

__all__ = ["empty_ledger", "postgres"]

SECOND = timedelta(seconds=1)
TEMPLATE = """{
  "campaignId": {{ route.campaign_id }},
  "recipientUserId": {{ recipient.user_id }},
  "dataFields": {"key": {{ reward.key }}}
}"""


def outcome(
    classification: Classification = Classification.SUCCESS, **facts: Any
) -> Outcome:
    return Outcome(
        classification=classification, **{"reason": "as the test says"} | facts
    )


ACCEPTED = outcome(status=200)
UNKNOWN = outcome(Classification.RETRY, status=500, is_unknown=True)
WRONG_KEY = outcome(Classification.CONFIG, status=401)


class FakeSource:
    """Reads bodies such as `{"messages": [{"key": "k", "user": "u"}]}`."""

    name = "voucherify"

    def __init__(self) -> None:
        self.parsed = 0

    def parse(self, capture: Capture) -> ParsedWebhook:
        self.parsed += 1
        document = json.loads(capture.body)
        return ParsedWebhook(
            transport_key="t",
            is_hashed=False,
            kind="project",
            event_type="customer.rewarded",
            messages=tuple(map(_message, document.get("messages", ()))),
            document=document,
        )

    def find(self, parsed: ParsedWebhook, key: str) -> Message | None:
        return next((one for one in parsed.messages if one.key == key), None)


def _message(one: Json) -> Message:
    return Message(
        key=one["key"],
        key_ttl=timedelta(days=30),
        customer=Customer(source_id=one["user"]),
        data={"reward": {"key": one["key"]}},
    )


class FakeVerification:
    """Counts what it is to show; a number, or an outcome without a count."""

    def __init__(self) -> None:
        self.shown: int | Outcome = 0
        self.asked: list[tuple[Recipient, frozenset[int], datetime]] = []
        self.clock_ahead = timedelta(0)

    def target_of(self, payload: bytes) -> SendTarget | None:
        body = json.loads(payload)
        if "campaignId" not in body:
            return None
        person = Recipient(user_id=UserId(body["recipientUserId"]))
        is_scheduled = body.get("sendAt") is not None
        return SendTarget(
            person=person, campaign_id=body["campaignId"], is_scheduled=is_scheduled
        )

    def sent_messages(
        self, person: Recipient, campaign_ids: Iterable[int], since: datetime
    ) -> SentCount:
        self.asked.append((person, frozenset(campaign_ids), since))
        if isinstance(self.shown, Outcome):
            return SentCount(outcome=self.shown)
        now = datetime.now(UTC) + self.clock_ahead
        return SentCount(outcome=ACCEPTED, count=self.shown, server_time=now)


class FakeDestination:
    """Records what is sent, and answers with what `answer` returns."""

    def __init__(self, config: DestinationConfig) -> None:
        self.name, self.config = config.name, config
        self.shows = FakeVerification()
        self.verification: Verification | None = self.shows
        self.sent: list[Json] = []
        self.sent_at: list[float] = []
        self.probed: list[str | None] = []
        self.idempotent: tuple[str, ...] = ()
        self.answer: Callable[[Json], Outcome] = lambda _: ACCEPTED
        self.probe_answer: Outcome = ACCEPTED

    @property
    def keys(self) -> list[str]:
        return [one["dataFields"]["key"] for one in self.sent]

    def check_recipient(self, recipient: Recipient) -> None:
        """Take every recipient."""

    def check_payload(
        self, route: Route, endpoint: str, document: Json, recipient: Recipient
    ) -> PayloadCheck:
        del route, endpoint, recipient
        return PayloadCheck(document=document)

    def is_idempotent(self, endpoint: str) -> bool:
        return endpoint in self.idempotent

    def send(self, endpoint: str, body: bytes) -> Outcome:
        del endpoint
        self.sent.append(json.loads(body))
        self.sent_at.append(time.monotonic())
        return self.answer(self.sent[-1])

    def probe(self, route: Route | None) -> Outcome:
        self.probed.append(None if route is None else route.name)
        return self.probe_answer

    def check(self, route: Route) -> str | None:
        del route
        return None

    def is_sandbox(self) -> bool:
        return True


def make_destination(name: str = "iterable", **changes: Any) -> DestinationConfig:
    values: dict[str, Any] = {
        "name": name,
        "kind": "iterable",
        "base_url": "http://127.0.0.1:9",
        "timeout": 5 * SECOND,
        "rate_per_second": 5000.0,
        "verify": Verify(after=timedelta(0), rate_per_second=1000.0),
    }
    return DestinationConfig(**(values | changes))


def make_route(name: str = "r", **changes: Any) -> Route:
    values: dict[str, Any] = {
        "name": name,
        "source": "voucherify",
        "match": Match(),
        "recipient": ("source_id",),
        "destination": "iterable",
        "endpoint": "email/target",
        "campaign_id": 1,
        "template": "t.json.j2",
        "on_unknown_outcome": "hold",
    }
    return Route(**(values | changes))


class Process:
    """One delivering process, in a thread with a gevent hub of its own."""

    def __init__(self, bench: "Bench", concurrency: int) -> None:
        self.stop = Event()
        self.error: BaseException | None = None
        self._thread = Thread(target=self._run, args=(bench, concurrency))
        self._thread.start()

    def _run(self, bench: "Bench", concurrency: int) -> None:
        config, store = bench.config, bench.open_store()
        pool = SenderPool(
            bench.attempts,
            bench.verifier,
            destinations=bench.destinations,
            routes={route.name: route for route in config.routes},
            concurrency=concurrency,
            stop=self.stop,
        )
        resolver = InDoubtResolver(
            config,
            store,
            bench.destinations,
            can_verify=lambda _, endpoint: endpoint != "webPush/target",
            concurrency=concurrency,
        )
        scheduler = Scheduler(
            config,
            store,
            pool=pool,
            resolver=resolver,
            concurrency=concurrency,
            stop=self.stop,
        )
        try:
            scheduler.run()
        except BaseException as error:  # noqa: BLE001 - raised again by the test
            self.error = error

    def end(self, seconds: float = 30) -> None:
        """Stop, and wait for the end of the drain."""
        self.stop.set()
        self._thread.join(seconds)
        assert not self._thread.is_alive()
        if self.error is not None:
            raise self.error


class Bench:
    """Configuration, store and fake vendors, and the processes a test starts."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder, self.database_url = folder, database_url
        self.source = FakeSource()
        self._stores: list[Store] = []
        self.processes: list[Process] = []
        self.store = self.open_store()
        (folder / "t.json.j2").write_text(TEMPLATE)
        self.configure()

    def configure(
        self,
        *routes: Route,
        destinations: tuple[DestinationConfig, ...] = (),
        **changes: Any,
    ) -> None:
        """Choose routes and destinations; call it before anything is started."""
        values: dict[str, Any] = {
            "path": self.folder / "config.yaml",
            "sources": {"voucherify": SourceConfig(name="voucherify", kind="x")},
            "destinations": {
                one.name: one for one in destinations or (make_destination(),)
            },
            "routes": routes or (make_route(),),
            "retry": Retry(max_age=timedelta(hours=72)),
            "retention": Retention(),
            "alerts": Alerts(
                held=1,
                dead=1,
                parked=1,
                ignored_growth=1,
                max_queue_age=SECOND,
                consecutive_webhook_failures=3,
            ),
            "log": Log(level="INFO", format="json"),
            "metrics": Metrics(is_open=True),
            "max_body_bytes": 1,
            "templates": self.folder,
            "database_url": self.database_url,
            "port": 1,
            "proxies": 0,
            "processes": 1,
        }
        self.config = Config(**(values | changes))
        self.fakes = {
            name: FakeDestination(one) for name, one in self.config.destinations.items()
        }
        self.destinations: Mapping[str, Destination] = dict(self.fakes)
        self.iterable = next(iter(self.fakes.values()))
        self.attempts = Attempts(
            self.config,
            templates(self.config),
            sources={"voucherify": self.source},  # type: ignore[dict-item] # a part
            destinations=self.destinations,
            rng=Random(1),
            now=self.store.now,
        )
        self.verifier = Verifier(
            self.config, self.store, self.destinations, self._preview
        )

    def _preview(self, claim: Any) -> bytes | None:
        rendered = self.attempts.render(claim)
        return rendered.body if isinstance(rendered, Payload) else None

    def open_store(self) -> Store:
        """Open the ledger as another process would."""
        self._stores.append(open_store(self.database_url))
        return self._stores[-1]

    def start(self, concurrency: int = 4) -> Process:
        self.processes.append(Process(self, concurrency))
        return self.processes[-1]

    def put(self, key: str = "k", user: str = "user-1", **changes: Any) -> str:
        """Store one delivery of its own event; return its id."""
        [delivery_id] = self.put_event({key: user}, **changes)
        return delivery_id

    def put_event(self, users: dict[str, str], **changes: Any) -> list[str]:
        """Store one event with a delivery for each key."""
        made = [
            new_delivery(key, recipient=user, **changes) for key, user in users.items()
        ]
        messages = [{"key": key, "user": user} for key, user in users.items()]
        body = json.dumps({"messages": messages}).encode()
        capture = Capture(body=body, source="voucherify")
        event = new_event(*made, capture=capture, transport_key=new_id())
        with self.store.write() as tx:
            ingest(tx, [(event, None)])
        return [one.id for one in made]

    def detail(self, delivery_id: str) -> DeliveryDetail:
        with self.store.read() as tx:
            found = deliveries.detail(tx, delivery_id)
        assert found is not None
        return found

    def status(self, delivery_id: str) -> DeliveryStatus:
        return self.detail(delivery_id).delivery.status

    def until(self, condition: Callable[[], object], seconds: float = 20) -> Any:
        """Wait until something is so; fail if that takes too long."""
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            for process in self.processes:
                if process.error is not None:
                    raise process.error
            assert time.monotonic() < deadline, "it never came"
            time.sleep(0.005)
        return found

    def await_status(self, delivery_id: str, status: DeliveryStatus) -> DeliveryDetail:
        self.until(lambda: self.status(delivery_id) is status)
        return self.detail(delivery_id)

    def close(self) -> None:
        for process in self.processes:
            process.end()
        for store in self._stores:
            store.close()


@pytest.fixture
def log_lines() -> Iterator[list[Any]]:
    """What is logged meanwhile, from INFO on."""
    logs.configure("INFO", "json")
    with capture_logs() as lines:
        yield lines


@pytest.fixture
def bench(tmp_path: Path, empty_ledger: Path) -> Iterator[Bench]:
    """Everything on SQLite."""
    shutil.copy(empty_ledger, tmp_path / "bridge.db")
    made = Bench(tmp_path, f"sqlite:///{tmp_path / 'bridge.db'}")
    yield made
    made.close()


@pytest.fixture
def postgres_bench(tmp_path: Path, postgres: Ledgers) -> Iterator[Bench]:
    """Everything on PostgreSQL, where workers write at the same time."""
    made = Bench(tmp_path, postgres.clean_database())
    yield made
    made.close()
