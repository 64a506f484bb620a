"""Alerts over a real ledger: each sent once, however many processes look."""

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from sqlalchemy import text

from bridge import metrics
from bridge.config import Config
from bridge.errors import StoreUnavailable
from bridge.maintenance.alerts import AlertManager, AlertSender, Channel
from bridge.maintenance.stats import StatsCollector
from bridge.model import EventStatus
from bridge.store import Store, circuits
from bridge.store.ingest import ingest
from tests.store.conftest import new_event

pytestmark = pytest.mark.integration

ROUTE = "route:r"


class Room:
    """Where people read; keeps what was sent, or refuses to accept it."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.fault: str | None = None

    def send(self, text: str) -> str | None:
        if self.fault is None:
            self.texts.append(text.removeprefix("reward-bridge "))
        return self.fault

    @property
    def words(self) -> list[str]:
        return [text.split(":")[0] for text in self.texts]


@pytest.fixture
def room() -> Room:
    return Room()


#: Starts a process: what it returns counts, judges and sends once.
Start = Callable[[], Callable[[], None]]


@pytest.fixture
def start(config: Config, store: Store, room: Room) -> Start:
    metrics.record_answer(0.1)

    def started() -> Callable[[], None]:
        manager = AlertManager(config, store)
        collector = StatsCollector(config, store)
        sender = AlertSender(config, store, room.send)

        def look() -> None:
            manager.update(collector.collect())
            try:
                sender.send_due()
            except StoreUnavailable:
                sender.send_without_store()

        return look

    return started


def open_circuit(store: Store, name: str = ROUTE) -> None:
    with store.write() as tx:
        circuits.open(tx, name, "status 400: no such campaign", timedelta(1))


def close_circuit(store: Store) -> None:
    with store.write() as tx:
        circuits.close(tx, ROUTE)


def store_webhook(store: Store, status: EventStatus = EventStatus.IGNORED) -> None:
    with store.write() as tx:
        ingest(tx, [(new_event(status=status), None)])


def fail(count: int) -> None:
    for _ in range(count):
        metrics.record_webhook_failure(is_authenticated=True)


def test_an_alert_is_sent_once_and_so_is_its_end(
    start: Start, store: Store, room: Room
) -> None:
    look = start()
    look()
    open_circuit(store)
    for _ in range(3):
        look()
    summary = "route:r is stopped: status 400: no such campaign"
    assert room.texts == [f"ALERT: {summary}"]
    close_circuit(store)
    for _ in range(3):
        look()
    assert room.texts[1:] == [f"ALL CLEAR, it was: {summary}"]


def test_of_several_processes_one_sends(start: Start, store: Store, room: Room) -> None:
    looks = [start() for _ in range(3)]
    open_circuit(store)
    threads = [Thread(target=look) for look in looks]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(room.texts) == 1


def test_a_channel_that_fails_is_tried_again_later(
    start: Start, store: Store, room: Room, tick: Callable[..., datetime]
) -> None:
    look = start()
    open_circuit(store)
    room.fault = "status 500"
    look()
    room.fault = None
    look()
    assert room.texts == []
    tick(seconds=31)
    look()
    look()
    assert len(room.texts) == 1


def test_an_overdue_delivery_is_alerted(
    start: Start,
    room: Room,
    fill: Callable[..., list[str]],
    tick: Callable[..., datetime],
) -> None:
    look = start()
    fill(2)
    tick(minutes=14)
    look()
    assert room.texts == []
    tick(minutes=2)
    look()
    assert room.texts == [
        "ALERT: a delivery has been due for 16 min, though no circuit breaker holds it"
    ]


def test_another_machines_failures_end_with_the_next_stored_webhook(
    start: Start, store: Store, room: Room, tick: Callable[..., datetime]
) -> None:
    fail(3)
    start()()
    metrics.record_answer(0.1)
    other = start()
    other()
    assert room.words == ["ALERT"]
    tick(seconds=1)
    store_webhook(store)
    other()
    assert room.words == ["ALERT", "ALL CLEAR, it was"]


@pytest.fixture
def set_away(another_store: Callable[[], Store]) -> Callable[[bool], None]:
    """Take what alerts read out of the database, and put it back."""
    other = another_store()

    def turn(is_away: bool) -> None:
        for table in ("circuits", "alerts"):
            names = (table, f"{table}_away")
            old, new = names if is_away else names[::-1]
            with other.write() as tx:
                tx.connection.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))

    return turn


@pytest.mark.parametrize("ends_meanwhile", [False, True])
def test_failing_answers_are_alerted_while_the_store_is_away(
    start: Start,
    store: Store,
    room: Room,
    tick: Callable[..., datetime],
    set_away: Callable[[bool], None],
    ends_meanwhile: bool,
) -> None:
    look = start()
    set_away(True)
    fail(3)
    for _ in range(3):
        look()
    assert room.words == ["ALERT"]
    assert "the ledger is away" in room.texts[0]
    set_away(False)
    if not ends_meanwhile:
        look()
    metrics.record_answer(0.1)
    look()
    tick(seconds=1)
    store_webhook(store)
    look()
    assert room.words == ["ALERT", "ALL CLEAR, it was"]


@pytest.fixture
def server() -> Iterator[tuple[str, list[bytes], list[int]]]:
    """A channel's other end: its URL, what it was sent, and what it answers."""
    received: list[bytes] = []
    answers = [200]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(answers[0])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/hooks/T1", received, answers
        running.shutdown()


def test_a_channel_sends_what_slack_reads(
    server: tuple[str, list[bytes], list[int]],
) -> None:
    url, received, _ = server
    assert Channel(url).send('route <a> & "b"') is None
    assert json.loads(received[0]) == {"text": 'route &lt;a&gt; &amp; "b"'}
