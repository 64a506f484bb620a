"""Senders that are slow, huge or packed: they cost their own connection, no more."""

import gzip
import socket
import time
import zlib

import pytest
import requests

from bridge.voucherify import sign
from tests.e2e.program import HOOK, SECRET, Program, envelope, wait_for

pytestmark = pytest.mark.e2e

#: Ten thousand times what comes over the wire.
BOMB_BYTES = 200 * 1024 * 1024


@pytest.fixture(scope="module")
def running(shared_program: Program) -> Program:
    shared_program.start()
    shared_program.post(envelope(0))
    return shared_program


def test_fifty_slow_uploads_silence_nobody(running: Program) -> None:
    address = running.listener.getsockname()
    slow = [socket.create_connection(address, timeout=20) for _ in range(50)]
    try:
        for one in slow:
            one.sendall(b"POST /webhooks/voucherify HTTP/1.1\r\nContent-Length: 9\r\n")
        began = time.monotonic()
        for number in range(1, 21):
            assert running.post(envelope(number)).status_code == 202
            # They live on, a byte at a time.
            for one in slow:
                one.sendall(b"X")
        assert time.monotonic() - began < 5, "the others had to wait"
        # Whole within five seconds of its first byte, or refused.
        assert slow[0].recv(65536).startswith(b"HTTP/1.1 408 ")
    finally:
        for one in slow:
            one.close()


def post_packed(program: Program, body: bytes, encoding: str) -> requests.Response:
    headers = {
        "x-voucherify-signature": sign(body, SECRET),
        "content-encoding": encoding,
    }
    return program.post(body, HOOK, **headers)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_packed_webhook_is_kept_as_it_came_and_never_unpacked(
    running: Program, encoding: str
) -> None:
    pack = gzip.compress if encoding == "gzip" else zlib.compress
    assert running.process is not None
    bomb = pack(b" " * BOMB_BYTES)
    began = time.monotonic()
    answer = post_packed(running, bomb, encoding)
    assert (answer.status_code, answer.json()["status"]) == (202, "parked")
    assert time.monotonic() - began < 5
    packed = post_packed(running, pack(envelope(900)), encoding)
    assert (packed.status_code, packed.json()["status"]) == (202, "parked")


def test_an_unproven_bomb_is_refused_unread(running: Program) -> None:
    headers = {"x-voucherify-signature": "0" * 64, "content-encoding": "gzip"}
    answer = running.post(gzip.compress(b" " * BOMB_BYTES), HOOK, **headers)
    assert answer.status_code == 401


def test_a_body_beyond_the_limit_is_a_413_and_the_next_is_served(
    running: Program,
) -> None:
    limit = 4 * 1024 * 1024
    try:
        answer = running.post(b" " * (limit * 2))
        assert answer.status_code == 413
    except requests.ConnectionError:
        pass  # refused while it still sent
    assert running.post(envelope(901)).json()["status"] == "stored"
    wait_for(lambda: "crm-901" in {one.user for one in running.accepted()})
