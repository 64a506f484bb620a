"""What the webhook endpoint answers, and to whom."""

import gzip
import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
import requests

from tests.product.program import (
    HOOK,
    KEY,
    SECRET,
    Program,
    compact,
    installed,
    new_person,
    sign,
    webhook,
)

LIMIT = 200_000
START = f"POST {HOOK} HTTP/1.1\r\nHost: bridge\r\n".encode()
OLDER = "vf-older-secret-2"


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A running program that is rotating its secret and takes small bodies only."""
    folder = tmp_path_factory.mktemp("program")
    with installed(folder, receive={"max_body_bytes": LIMIT}) as program:
        program.route(match={"events": ["publication.succeeded", "voucher.published"]})
        program.env["VOUCHERIFY_WEBHOOK_SECRET"] = f"{SECRET},{OLDER}"
        program.env["BRIDGE_INBOUND_TOKEN"] = "inbound-token-3"
        program.start()
        yield program


def is_problem(answer: requests.Response, status: int) -> bool:
    """Tell whether an answer is a problem document of this status (RFC 9457)."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert answer.headers["X-Request-Id"]
    found = answer.json()
    return found["status"] == status and bool(found["title"])


def connect(program: Program) -> socket.socket:
    return socket.create_connection(("127.0.0.1", program.port), timeout=20)


def head(body: bytes, *lines: str) -> bytes:
    """Write the head of a signed request."""
    signature = f"X-Voucherify-Signature: {sign(body)}"
    return START + ("\r\n".join([signature, *lines]) + "\r\n\r\n").encode()


def test_a_signed_webhook_is_answered_202_and_arrives(started: Program) -> None:
    person = new_person()
    answer = started.post(webhook(person, code="ARR-1"))
    assert answer.status_code == 202
    assert answer.headers["X-Request-Id"]
    said = answer.json()
    assert (said["status"], len(said["deliveries"])) == ("stored", 1)
    [message] = started.iterable.arrived(person)
    assert message.fields["couponCode"] == "ARR-1"
    assert message.headers["api-key"] == KEY


def test_a_body_with_blanks_is_accepted_under_the_signature_without(
    started: Program,
) -> None:
    document = webhook()
    body = json.dumps(document, indent=2).encode()
    headers = {"x-voucherify-signature": sign(compact(document))}
    assert started.post(body, headers=headers).status_code == 202


def test_either_secret_is_good_while_they_rotate(started: Program) -> None:
    document = webhook()
    headers = {"X-Voucherify-Signature": sign(compact(document), OLDER).upper()}
    assert started.post(document, headers=headers).status_code == 202


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="no signature"),
        pytest.param({"x-voucherify-signature": "0" * 64}, id="another signature"),
        pytest.param({"x-voucherify-signature": "ünsinn"}, id="nonsense"),
        pytest.param({"x-voucherify-signature": ""}, id="empty"),
        pytest.param({"Api-Key": "inbound-token-3"}, id="token beside a secret"),
    ],
)
def test_what_is_not_authentic_is_answered_401_and_leaves_nothing(
    started: Program, headers: dict[str, Any]
) -> None:
    person = new_person()
    raw = {name: value.encode() for name, value in headers.items()}
    answer = started.post(webhook(person), headers=raw)
    assert is_problem(answer, 401)
    assert answer.headers["WWW-Authenticate"]
    started.accept(webhook(other := new_person()))
    started.iterable.arrived(other)
    assert started.iterable.attempts(person) == []


def test_a_body_beyond_the_limit_is_answered_413_and_the_next_is_taken(
    started: Program,
) -> None:
    body = compact(webhook(customer={"name": "x" * LIMIT}))
    assert is_problem(started.post(body), 413)
    started.accept(webhook())


def test_a_chunked_body_is_taken_whole(started: Program) -> None:
    person = new_person()
    body = compact(webhook(person))
    url, headers = started.url + HOOK, {"x-voucherify-signature": sign(body)}
    parts = (body[start : start + 100] for start in range(0, len(body), 100))
    answer = requests.post(url, data=parts, headers=headers, timeout=20)
    assert answer.status_code == 202
    started.iterable.arrived(person)


def test_fifty_stalled_senders_do_not_keep_others_waiting(started: Program) -> None:
    stalled = [connect(started) for _ in range(50)]
    try:
        for one in stalled:
            one.sendall(head(b"", "Content-Length: 100") + b"half")
        began = time.monotonic()
        for _ in range(10):
            started.accept(webhook())
        assert time.monotonic() - began < 5
    finally:
        for one in stalled:
            one.close()


def test_a_request_id_that_was_given_is_answered_and_logged(started: Program) -> None:
    document = webhook()
    headers = {
        "X-Request-Id": "trace-4711",
        "x-voucherify-signature": sign(compact(document)),
    }
    answer = started.post(document, headers=headers)
    assert answer.headers["X-Request-Id"] == "trace-4711"
    [line] = [
        one
        for one in started.records("event.received")
        if one["request_id"] == "trace-4711"
    ]
    assert line["deliveries"] == answer.json()["deliveries"]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x00\xff\xfe", id="bytes"),
        pytest.param(b"[1, 2]", id="list"),
        pytest.param(b'"text"', id="text"),
        pytest.param(b'{"a": "\\ud800"}', id="half a character"),
        pytest.param(b"[" * 50_000, id="deeply nested"),
        pytest.param(b'{"a": ' + b"9" * 50_000 + b"}", id="a huge number"),
        pytest.param(b'{"id": NaN}', id="not a number"),
    ],
)
def test_whatever_is_signed_is_kept_and_parked(started: Program, body: bytes) -> None:
    answer = started.post(body)
    assert (answer.status_code, answer.json()["status"]) == (202, "parked")


def test_a_compressed_bomb_is_never_unpacked(started: Program) -> None:
    bomb = gzip.compress(b" " * 100_000_000)
    headers = {"x-voucherify-signature": sign(bomb), "Content-Encoding": "gzip"}
    began = time.monotonic()
    answer = started.post(bomb, headers=headers)
    assert (answer.status_code, answer.json()["status"]) == (202, "parked")
    assert time.monotonic() - began < 5


def test_a_reward_that_shows_no_voucher_is_parked_with_the_reason(
    started: Program,
) -> None:
    document = webhook()
    del document["data"]["voucher"]
    answer = started.post(document).json()
    assert answer["status"] == "parked"
    [row] = [one for one in started.events() if one["id"] == answer["event_id"]]
    assert "voucher" in row["reason"]


def answer_to(program: Program, data: bytes) -> bytes:
    """Send bytes over a connection of their own; give what came back until its end."""
    with closing(connect(program)) as sender:
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
        pytest.param(START + b"X: " + b"x" * 100_000 + b"\r\n\r\n", id="long header"),
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
