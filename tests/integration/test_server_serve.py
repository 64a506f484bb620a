"""`serve` as a user starts it: its processes, its signals, its doors."""

import fcntl
import json
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.store import EventFilter, open_store
from bridge.voucherify import sign
from tests import starting
from tests.families import family, is_gone, signal_all
from tests.integration.programs import Answer, ClosedError, Peer, Program, Start

pytestmark = pytest.mark.integration

SECRET = "vf-test-secret-1"
TEMPLATES = Path(__file__).parents[2] / "templates"
FILE = f"""
templates: {TEMPLATES}
receive: {{max_body_bytes: 100000}}
routes:
  - {{name: rewards, when: {{events: [none]}}, campaign_id: 1,
     template: triggered_email.json.j2}}
"""


class Serve:
    """A running `serve` and what it has stored."""

    def __init__(self, program: Program, database: Path) -> None:
        self.program = program
        self.database = database

    def webhook(self, peer: Peer, number: int) -> Answer:
        body = json.dumps({"id": f"whs_{number}", "type": "x", "data": {}}).encode()
        proof = f"X-Voucherify-Signature: {sign(body, SECRET)}\r\n"
        return peer.post(body, "/webhooks/voucherify", proof)

    def stored(self) -> set[str]:
        store = open_store(f"sqlite:///{self.database}")
        try:
            return {row.id for row in store.ledger.events(EventFilter(limit=100_000))}
        finally:
            store.close()

    def children(self) -> dict[str, int]:
        """Return the process ids by role, as the log tells them."""
        lines = (json.loads(line) for line in self.program.log().splitlines())
        started = (line for line in lines if line["event"] == "process.started")
        return {line["role"]: line["pid"] for line in started}


@pytest.fixture
def serve(start: Start, tmp_path: Path) -> Callable[..., Serve]:
    """Start `serve` on a fresh database, Iterable out of reach."""
    (tmp_path / "config.yaml").write_text(FILE)
    env = {
        "VOUCHERIFY_WEBHOOK_SECRET": SECRET,
        "ITERABLE_API_KEY": "key",
        "ITERABLE_BASE_URL": "http://127.0.0.1:9",
        "LOG_FORMAT": "json",
    }

    def serve(*options: str) -> Serve:
        options = ("serve", "--bind", "fd://FD", "--threads", "4", *options)
        program = start(
            lambda listener, log: starting.start(
                *options, folder=tmp_path, env=env, out=log, err=log, keep=listener
            )
        )
        return Serve(program, tmp_path / "bridge.db")

    return serve


def test_a_webhook_that_comes_before_the_program_is_up_is_served(
    serve: Callable[..., Serve],
) -> None:
    running = serve()
    answer = running.webhook(running.program.connect(), 1)
    assert answer.status == 202
    assert running.stored() == {answer.content["event_id"]}


def test_two_sigterms_under_load_lose_no_answered_webhook(
    serve: Callable[..., Serve], eventually: Callable[..., None]
) -> None:
    running = serve("--processes", "2")
    answered: list[str] = []

    def send(numbers: range) -> None:
        peer = running.program.connect()
        # An answer of which only a part arrives is an error of its own kind.
        with suppress(ConnectionError, ClosedError):
            for number in numbers:
                answer = running.webhook(peer, number)
                assert answer.status == 202
                answered.append(answer.content["event_id"])

    with ThreadPoolExecutor(4) as pool:
        senders = [pool.submit(send, range(n, 100_000, 4)) for n in range(4)]
        try:
            eventually(lambda: len(answered) > 50)
        finally:
            running.program.process.send_signal(signal.SIGTERM)
            running.program.process.send_signal(signal.SIGTERM)
        assert running.program.process.wait(25) == 0
        for sender in senders:
            sender.result()
    assert set(answered) <= running.stored()


def test_sigterm_to_every_process_ends_them_in_good_order(
    serve: Callable[..., Serve],
) -> None:
    running = serve()
    running.webhook(running.program.connect(), 1)
    parent = running.program.process.pid
    for _ in range(2):
        signal_all(list(family(parent)), signal.SIGTERM)
    assert running.program.process.wait(25) == 0
    assert "exception" not in running.program.log()


def test_a_killed_parent_takes_all_processes_along(
    serve: Callable[..., Serve], eventually: Callable[..., None]
) -> None:
    running = serve("--processes", "2")
    running.webhook(running.program.connect(), 1)
    parent = running.program.process.pid
    eventually(lambda: len(list(family(parent))) == 5)
    processes = list(family(parent))
    running.program.process.kill()
    running.program.process.wait()
    eventually(lambda: all(is_gone(process) for process in processes))


@pytest.mark.parametrize("role", ["receive", "deliver"])
def test_a_dead_process_is_started_again_and_nobody_is_refused(
    serve: Callable[..., Serve], eventually: Callable[..., None], role: str
) -> None:
    running = serve()
    running.webhook(running.program.connect(), 1)
    first = running.children()
    processes = list(family(first[role]))
    os.kill(first[role], signal.SIGKILL)
    eventually(lambda: all(is_gone(process) for process in processes))
    answer = running.webhook(running.program.connect(), 2)
    assert answer.status == 202
    eventually(lambda: running.children()[role] != first[role])


def test_receiving_alone_has_no_delivering_process(
    serve: Callable[..., Serve],
) -> None:
    running = serve("--no-deliver")
    running.webhook(running.program.connect(), 1)
    assert set(running.children()) == {"receive"}


def test_a_locked_store_is_503_within_the_senders_patience(
    serve: Callable[..., Serve],
) -> None:
    running = serve()
    peer = running.program.connect()
    assert running.webhook(peer, 1).status == 202
    with Path(f"{running.database}.lock").open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        started = time.monotonic()
        answer = running.webhook(peer, 2)
        assert time.monotonic() - started < 6
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.headers["content-type"] == "application/problem+json"
    assert running.webhook(peer, 2).status == 202


LINES = st.sampled_from(
    [
        b"POST /webhooks/voucherify HTTP/1.1",
        b"GET /readyz HTTP/1.0",
        b"GET http://user@[::1]:x/healthz?%zz#a HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"CONNECT a:1 HTTP/1.1",
        b"POST /api/email/target;x=%00%ff HTTP/1.1",
        b"Content-Length: 5",
        b"Content-Length: 99999999999999999999",
        b"Transfer-Encoding: chunked",
        b"X-Voucherify-Signature: \xff\xfe",
        b"Api-Key: \xe9",
        b"Host: ][:;,",
        b"Content-Type: multipart/form-data; boundary=\x80",
        b"SCRIPT_NAME: /x",
        b"Script-Name: /x",
        b"X-Forwarded-For: a, b",
        b"Connection: Upgrade, HTTP2-Settings",
        b"Upgrade: h2c",
        b"",
        b"5",
        b"0",
    ]
)
BREAKS = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\r\n\r\n", b"\n", b""])


@pytest.fixture
def doors(serve: Callable[..., Serve]) -> Program:
    program = serve("--no-deliver", "--processes", "1").program
    program.connect().post(b"", "/healthz")
    return program


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.tuples(LINES | st.binary(max_size=80), BREAKS), max_size=12))
def test_nonsense_at_the_socket_is_never_a_500(
    doors: Program, lines: list[tuple[bytes, bytes]]
) -> None:
    peer = doors.connect()
    peer.send(b"".join(line + end for line, end in lines))
    peer.socket.shutdown(1)
    said = peer.everything()
    peer.close()
    assert b"HTTP/1.1 5" not in said
    assert b"HTTP/1.0 5" not in said
    assert doors.process.poll() is None


def test_floods_kill_no_process(doors: Program) -> None:
    for flood in (b"a" * 2_000_000, b"x: y\r\n" * 100_000, b"\r\n" * 500_000):
        peer = doors.connect()
        peer.send(b"GET / HTTP/1.1\r\n" + flood[:60_000])
        peer.send_if_possible(flood[60_000:])
        peer.close()
    assert doors.connect().post(b"", "/healthz").status == 405
    assert "process.died" not in doors.log()
    assert "exception" not in doors.log()


def test_an_address_in_use_is_told_and_nothing_starts(
    serve: Callable[..., Serve],
) -> None:
    running = serve()
    host, port = running.program.address
    second = serve("--bind", f"{host}:{port}")
    assert second.program.process.wait(60) == 2
    assert "--bind" in second.program.log()
