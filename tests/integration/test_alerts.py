"""Alerts over a real store: each said once, whoever looks and however often."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml
from sqlalchemy import text

from bridge import metrics
from bridge.alerts import Channel, Watch
from bridge.config import Alerts, Config, load
from bridge.lookout import Lookout
from bridge.model import EventStatus
from bridge.store import Store

pytestmark = pytest.mark.integration

ROUTE = "route:r"


class Room:
    """Where people read; keeps what was said, or refuses to hear it."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.fault: str | None = None

    def say(self, text: str) -> str | None:
        if self.fault is None:
            self.said.append(text.removeprefix("reward-bridge "))
        return self.fault


@pytest.fixture
def room() -> Room:
    return Room()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "config.yaml"
    templates = Path(__file__).parents[2] / "templates"
    route = {"name": "r", "when": {}, "template": "points.json.j2", "campaign_id": 1}
    data = {"templates": str(templates), "routes": [route]}
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    limits = Alerts(
        held=5, dead=5, oldest_due=timedelta(minutes=15), upstream_failures=3
    )
    return replace(load(path, {}), alerts=limits)


@pytest.fixture
def watch(config: Config, store: Store, room: Room) -> Callable[[], Callable[[], None]]:
    """Start to watch: what is returned looks once."""

    def begin() -> Callable[[], None]:
        metrics.share(["r"])
        lookout, watching = Lookout(config, store), Watch(config, store, room.say)
        return lambda: watching.update(lookout.look())

    return begin


def close(store: Store, name: str = ROUTE) -> None:
    with store.write() as tx:
        store.gates.close(tx, name, "status 400: no such campaign", timedelta(1))


def open_again(store: Store, name: str = ROUTE) -> None:
    with store.write() as tx:
        store.gates.open(tx, name)


Begin = Callable[[], Callable[[], None]]


def test_a_condition_is_told_of_once_and_so_is_its_end(
    watch: Begin, store: Store, room: Room
) -> None:
    look = watch()
    look()
    close(store)
    for _ in range(3):
        look()
    summary = "gate route:r is closed: status 400: no such campaign"
    assert room.said == [f"ALERT: {summary}"]
    open_again(store)
    for _ in range(3):
        look()
    assert room.said == [f"ALERT: {summary}", f"ALL CLEAR, it was: {summary}"]


def test_a_restart_says_nothing_twice(watch: Begin, store: Store, room: Room) -> None:
    close(store)
    watch()()
    watch()()
    assert len(room.said) == 1
    open_again(store)
    watch()()
    watch()()
    assert len(room.said) == 2


def test_of_several_processes_one_speaks(
    watch: Begin, store: Store, room: Room
) -> None:
    looks = [watch() for _ in range(3)]
    close(store)
    threads = [Thread(target=look) for look in looks]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(room.said) == 1


def test_each_condition_speaks_for_itself(
    watch: Begin, store: Store, room: Room
) -> None:
    look = watch()
    close(store)
    close(store, "destination")
    look()
    assert len(room.said) == 2
    open_again(store)
    look()
    assert [text.split(":")[0] for text in room.said] == [
        "ALERT",
        "ALERT",
        "ALL CLEAR, it was",
    ]


def test_a_deaf_channel_is_tried_again_ever_less_often(
    watch: Begin, store: Store, room: Room, tick: Callable[..., datetime]
) -> None:
    look = watch()
    close(store)
    room.fault = "status 500"
    look()
    room.fault = None
    look()
    assert room.said == []
    tick(seconds=31)
    look()
    look()
    assert len(room.said) == 1


def test_what_is_over_before_it_could_be_said_is_not_mentioned(
    watch: Begin, store: Store, room: Room, tick: Callable[..., datetime]
) -> None:
    look = watch()
    room.fault = "status 500"
    close(store)
    look()
    open_again(store)
    room.fault = None
    tick(minutes=20)
    look()
    assert room.said == []


def test_what_a_dead_process_was_about_to_say_is_said(
    watch: Begin, store: Store, room: Room, tick: Callable[..., datetime]
) -> None:
    with store.write() as tx:
        store.gates.close(tx, ROUTE, "why", timedelta(1))
        store.alarms.move(tx, "gate:route:r", "a gate is closed", is_firing=True)
        assert store.alarms.claim(tx, timedelta(minutes=1))
    look = watch()
    look()
    assert room.said == []
    tick(seconds=61)
    look()
    assert room.said == ["ALERT: a gate is closed"]


def test_overdue_deliveries_are_told_of(
    watch: Begin,
    room: Room,
    fill: Callable[..., list[str]],
    tick: Callable[..., datetime],
) -> None:
    look = watch()
    fill(2)
    tick(minutes=14)
    look()
    assert room.said == []
    tick(minutes=2)
    look()
    assert room.said == [
        "ALERT: a delivery has been due for 16 min, though no gate holds it"
    ]


def test_failing_answers_are_told_of(watch: Begin, room: Room) -> None:
    look = watch()
    for _ in range(3):
        metrics.refused(401, is_webhook=True)
    look()
    look()
    metrics.stored(EventStatus.STORED, 0.1)
    look()
    assert [text.split(":")[0] for text in room.said] == ["ALERT", "ALL CLEAR, it was"]


@pytest.fixture
def broken(another_store: Callable[[], Store]) -> Callable[[bool], None]:
    """Take what the lookout reads out of the database, and put it back."""
    other = another_store()

    def turn(is_broken: bool) -> None:
        names = ("gates", "away") if is_broken else ("away", "gates")
        with other.write() as tx:
            statement = text("ALTER TABLE {} RENAME TO {}".format(*names))
            tx.connection.execute(statement)

    return turn


@pytest.mark.parametrize("ends_meanwhile", [False, True])
def test_failing_answers_are_told_of_while_the_store_is_away(
    watch: Begin, room: Room, broken: Callable[[bool], None], ends_meanwhile: bool
) -> None:
    look = watch()
    broken(True)
    for _ in range(3):
        metrics.refused(503, is_webhook=True)
        look()
    look()
    assert len(room.said) == 1
    broken(False)
    if not ends_meanwhile:
        look()
    metrics.stored(EventStatus.STORED, 0.1)
    look()
    look()
    assert [text.split(":")[0] for text in room.said] == ["ALERT", "ALL CLEAR, it was"]


@pytest.fixture
def server() -> Iterator[tuple[str, list[bytes], list[int]]]:
    """A channel's other end: its URL, what it was sent, and what it answers."""
    heard: list[bytes] = []
    answers = [200]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(answers[0])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/hooks/T1", heard, answers
        running.shutdown()


def test_a_channel_says_what_slack_understands(
    server: tuple[str, list[bytes], list[int]],
) -> None:
    url, heard, _ = server
    assert Channel(url).say('gate <a> & "b"') is None
    assert json.loads(heard[0]) == {"text": 'gate &lt;a&gt; &amp; "b"'}


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_channel_tells_what_it_was_answered(
    server: tuple[str, list[bytes], list[int]], status: int
) -> None:
    url, _, answers = server
    answers[0] = status
    assert Channel(url).say("x") == f"status {status}"


def test_a_channel_that_nobody_answers_is_no_error() -> None:
    assert Channel("http://127.0.0.1:9/x").say("x") is not None
