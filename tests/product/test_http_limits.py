"""Requests that are no sound HTTP: answered or cut off, and nothing else suffers."""

import socket
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from tests.product.program import HOOK, Program, compact, installed, sign, webhook

START = f"POST {HOOK} HTTP/1.1\r\nHost: bridge\r\n".encode()


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with installed(tmp_path_factory.mktemp("limits")) as program:
        program.start("--no-deliver")
        yield program


def answer_to(program: Program, data: bytes) -> bytes:
    """Send bytes over a connection of their own; give what came back until its end."""
    with closing(socket.create_connection(("127.0.0.1", program.port), 20)) as sender:
        received = b""
        with suppress(OSError):
            sender.sendall(data)
            sender.shutdown(socket.SHUT_WR)
            while part := sender.recv(65_536):
                received += part
        return received


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.") else 0


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", id="TLS"),
        pytest.param(b"GET / HTTP/9.9\r\n\r\n", id="a version of the future"),
        pytest.param(b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n", id="long path"),
        pytest.param(START + b"X: " + b"x" * 100_000 + b"\r\n\r\n", id="long header"),
        pytest.param(START + b"X: y\r\n" * 1000 + b"\r\n", id="many headers"),
        pytest.param(START + b"Content-Length: -1\r\n\r\n", id="negative length"),
        pytest.param(START + b"Content-Length: 5, 6\r\n\r\nhello", id="two lengths"),
        pytest.param(
            START + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
            id="length and chunks",
        ),
        pytest.param(
            START + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
            id="no size of a chunk",
        ),
        pytest.param(START + b"Content-Length: 10\r\n\r\nhalf", id="ends too early"),
        pytest.param(START + b"Bad Header: 1\r\n\r\n", id="a blank in a name"),
    ],
)
def test_what_is_no_sound_request_is_refused_and_the_next_is_served(
    started: Program, data: bytes
) -> None:
    status = status_of(answer_to(started, data))
    assert status == 0 or 400 <= status < 500 or status == 505
    started.accept(webhook())


def test_an_announced_body_beyond_the_limit_is_refused_unread(
    started: Program,
) -> None:
    answer = answer_to(started, START + b"Content-Length: 99999999\r\n\r\n")
    assert status_of(answer) == 413
    started.accept(webhook())


def test_two_requests_on_one_connection_are_answered_in_order(
    started: Program,
) -> None:
    requests = b""
    for _ in range(2):
        body = compact(webhook())
        lines = f"X-Voucherify-Signature: {sign(body)}\r\nContent-Length: {len(body)}"
        requests += START + f"{lines}\r\n\r\n".encode() + body
    answer = answer_to(started, requests)
    assert answer.count(b"HTTP/1.1 202 ") == 2
    assert answer.count(b'"stored"') == 2


def test_hundreds_of_idle_connections_keep_nobody_out(started: Program) -> None:
    address = ("127.0.0.1", started.port)
    idle = [socket.create_connection(address, timeout=20) for _ in range(300)]
    try:
        for _ in range(5):
            started.accept(webhook())
    finally:
        for one in idle:
            one.close()


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "BREW", "PUT", "DELETE"])
def test_a_method_nobody_needs_changes_nothing(started: Program, method: str) -> None:
    head = f"{method} {HOOK} HTTP/1.1\r\nHost: bridge\r\nContent-Length: 0\r\n\r\n"
    status = status_of(answer_to(started, head.encode()))
    assert status == 0 or 400 <= status < 500 or status == 501


def test_headers_say_nothing_of_what_runs_behind(started: Program) -> None:
    answer = answer_to(started, b"GET /healthz HTTP/1.1\r\nHost: bridge\r\n\r\n")
    head = answer.split(b"\r\n\r\n")[0].lower()
    for word in (b"python", b"werkzeug", b"flask"):
        assert word not in head
