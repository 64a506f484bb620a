"""Alerts of the whole program: a storm is one message, its end another."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.e2e.program import Program, envelope, wait_for

pytestmark = pytest.mark.e2e


class Room:
    """Where people read, at the other end of the alert channel."""

    def __init__(self) -> None:
        self.said: list[str] = []
        #: What to answer.
        self.status = 200

    def texts(self) -> list[str]:
        return [text.split(" deliveries")[0].split(": ")[0] for text in self.said]


@pytest.fixture
def room(program: Program) -> Iterator[Room]:
    """The channel of a program that has not been started."""
    room = Room()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if room.status == 200:
                room.said.append(json.loads(body)["text"])
            self.send_response(room.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_port
        program.env["ALERT_WEBHOOK_URL"] = f"http://127.0.0.1:{port}/services/T1/s3cret"
        yield room
        server.shutdown()


@pytest.mark.parametrize(
    "number",
    [120, pytest.param(10_000, marks=pytest.mark.torture)],
)
def test_a_storm_of_failures_is_one_alert_and_one_all_clear(
    program: Program, room: Room, number: int
) -> None:
    program.sandbox.tell(fixture="s05", path="/api/email/target", times=None)
    program.start()
    with ThreadPoolExecutor(16) as pool:
        answers = pool.map(program.post, map(envelope, range(number)))
        assert {one.status_code for one in answers} == {202}
    wait_for(lambda: program.statuses() == {"dead": number}, seconds=120)
    wait_for(lambda: room.said, seconds=30)
    assert program.stop() == 0
    program.start()  # nor does a restart say it again
    program.sandbox.forget()
    program.run("redeliver", "--status", "dead", "--yes")
    wait_for(lambda: program.statuses() == {"accepted": number}, seconds=120)
    wait_for(lambda: len(room.said) > 1, seconds=30)
    assert program.stop() == 0
    assert room.texts() == ["reward-bridge ALERT", "reward-bridge ALL CLEAR, it was"]
    assert "died within the last 24 hours" in room.said[0]
    assert "s3cret" not in program.log


def test_a_broken_channel_does_not_touch_delivery(program: Program, room: Room) -> None:
    room.status = 500
    program.sandbox.tell(fixture="s07", times=None)
    program.start()
    for number in range(3):
        assert program.post(envelope(number)).status_code == 202
    wait_for(lambda: '"alert.unsent"' in program.log, seconds=30)
    program.sandbox.forget()
    program.run("resume", "destination")
    wait_for(lambda: program.statuses() == {"accepted": 3})
    assert room.said == []
