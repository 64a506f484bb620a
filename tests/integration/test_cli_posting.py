"""Posting captures to a bridge; here a stand-in that answers from a list."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread

import pytest

from bridge.cli.posting import CONCURRENCY, TRIES, Poster, door_url
from bridge.errors import NotSentError, SignatureError
from bridge.model import Capture
from bridge.steering.planning import Source
from bridge.voucherify import verify

pytestmark = pytest.mark.integration

TAKEN = {"event_id": "e1", "status": "stored", "deliveries": []}


@dataclass
class Door:
    """A bridge's door: answers in order, the last answer for ever."""

    answers: list[tuple[int, dict[str, str]]]
    url: str = ""
    #: Path, signature and body of each request.
    posted: list[tuple[str, str | None, bytes]] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def take(
        self, path: str, signature: str | None, body: bytes
    ) -> tuple[int, dict[str, str]]:
        with self._lock:
            self.posted.append((path, signature, body))
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def open_door(*answers: tuple[int, dict[str, str]]) -> Iterator[Door]:
    door = Door(answers=list(answers))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            signature = self.headers["X-Voucherify-Signature"]
            status, headers = door.take(self.path, signature, body)
            content = json.dumps(TAKEN if status == 202 else {}).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    door.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield door
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def source(body: bytes = b"{}", door: str | None = None) -> Source:
    return Source(where="x", capture=Capture(body=body, door=door))


def test_bodies_go_unchanged_to_the_door_and_are_signed() -> None:
    body = b'{ "a": 1 }\n'
    with open_door((202, {})) as door:
        (answer,) = Poster(door.url, "secret").post([source(body)])
    ((path, signature, posted),) = door.posted
    assert (path, posted) == ("/webhooks/voucherify", body)
    verify(body, signature, ["secret"])
    assert (answer.status, answer.became, answer.event_id) == (202, "stored", "e1")


def test_a_503_is_posted_again_after_the_wait_it_asks_for() -> None:
    waits: list[float] = []
    with open_door((503, {"Retry-After": "7"}), (503, {}), (202, {})) as door:
        (answer,) = Poster(door.url, "secret", waits.append).post([source()])
    assert answer.became == "stored"
    assert waits == [7.0, 1.0]


def test_an_absurd_wait_is_cut_and_patience_ends() -> None:
    waits: list[float] = []
    with open_door((503, {"Retry-After": "999999999"})) as door:
        (answer,) = Poster(door.url, "secret", waits.append).post([source()])
    assert (answer.status, answer.became) == (503, None)
    assert len(door.posted) == TRIES
    assert set(waits) == {60.0}


def test_many_are_answered_in_their_order() -> None:
    sources = [source(b"%d" % number) for number in range(5 * CONCURRENCY)]
    with open_door((202, {})) as door:
        answers = list(Poster(door.url, "secret").post(sources))
    assert [answer.source for answer in answers] == sources
    assert len(door.posted) == len(sources)


def test_a_refused_body_does_not_stop_the_others() -> None:
    with open_door((413, {}), (202, {})) as door:
        answers = list(Poster(door.url, "secret").post([source(), source()]))
    assert {answer.became for answer in answers} == {None, "stored"}


def test_another_secret_stops_at_once() -> None:
    sources = [source() for _ in range(500)]
    with open_door((401, {})) as door, pytest.raises(SignatureError):
        list(Poster(door.url, "secret").post(sources))
    assert len(door.posted) < len(sources)


def test_a_bridge_that_is_not_there_is_an_error() -> None:
    with open_door((202, {})) as door:
        url = door.url
    with pytest.raises(NotSentError):
        list(Poster(url, "secret").post([source()]))


@pytest.mark.parametrize(
    ("url", "door", "expected"),
    [
        ("http://b", None, "http://b/webhooks/voucherify"),
        ("http://b/", "sms/target", "http://b/api/sms/target"),
        ("http://b/in/here", None, "http://b/in/here"),
    ],
)
def test_a_url_without_a_path_gets_the_usual_one(
    url: str, door: str | None, expected: str
) -> None:
    assert door_url(url, Capture(body=b"{}", door=door)) == expected
