import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256

import pytest

from tests.e2e.program import wait_for
from tests.integration.programs import Program

Small = Callable[..., Program]

pytestmark = pytest.mark.integration

HEAD = b"POST / HTTP/1.1\r\nHost: t\r\n"


def test_four_stalled_uploads_do_not_keep_a_fifth_sender_waiting(
    small: Small,
) -> None:
    server = small(threads=4)
    for _ in range(4):
        server.connect().send(HEAD + b"Content-Length: 100\r\n\r\nhalf")
    server.connect().post(b"the start-up is over")
    started = time.monotonic()
    assert server.connect().post(b"whole").content["length"] == 5
    assert time.monotonic() - started < 1


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(b"P", id="one byte"),
        pytest.param(HEAD, id="headers"),
        pytest.param(HEAD + b"Content-Length: 9\r\n\r\nhalf", id="body"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nh", id="chunk"),
    ],
)
def test_a_request_that_is_not_whole_in_time_is_answered_408(
    small: Small, part: bytes
) -> None:
    server = small(request_seconds=0.3, linger_seconds=0.3)
    peer = server.connect()
    peer.send(part)
    answer = peer.answer()
    assert answer.status == 408
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"]
    assert peer.ends()


def test_a_slow_drip_does_not_stretch_the_limit(small: Small) -> None:
    peer = small(request_seconds=0.5).connect()
    peer.post(b"the start-up is over")
    started = time.monotonic()
    peer.send(HEAD + b"Content-Length: 100\r\n\r\n")
    peer.socket.settimeout(0.05)
    answer = None
    while answer is None and time.monotonic() - started < 5:
        with suppress(TimeoutError):
            answer = peer.socket.recv(100)
        if answer is None:
            peer.send(b".")
    assert answer is not None
    assert answer.startswith(b"HTTP/1.1 408")
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(HEAD + b"Content-Length: 2001\r\n\r\n", id="announced"),
        pytest.param(
            HEAD + b"Expect: 100-continue\r\nContent-Length: 2001\r\n\r\n", id="asking"
        ),
        pytest.param(
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n7d1\r\nx", id="one chunk"
        ),
        pytest.param(
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"2\r\nxx\r\n" * 1001,
            id="many chunks",
        ),
    ],
)
def test_what_is_too_large_is_answered_413_before_the_rest(
    small: Small, request_bytes: bytes
) -> None:
    peer = small(max_body_bytes=2000).connect()
    peer.send(request_bytes)
    answer = peer.answer()
    assert answer.status == 413
    assert answer.content["status"] == 413
    assert answer.headers["connection"] == "close"


def test_a_client_that_sends_all_before_it_reads_gets_its_413(small: Small) -> None:
    peer = small(max_body_bytes=2000).connect()
    assert peer.post(b"x" * 5_000_000).status == 413


def test_a_body_of_the_largest_size_arrives_whole(small: Small) -> None:
    body = b"0123456789" * 100_000
    answer = small(max_body_bytes=len(body)).connect().post(body)
    assert answer.content["sha256"] == sha256(body).hexdigest()


def test_a_body_longer_than_announced_is_not_taken_for_its_own(small: Small) -> None:
    peer = small().connect()
    peer.send(HEAD + b"Content-Length: 3\r\n\r\nabcdef\r\n\r\n")
    assert peer.answer().content["length"] == 3
    assert peer.answer().status == 400
    assert peer.ends()


def test_chunks_with_extensions_and_trailers_arrive_as_one_body(
    small: Small,
) -> None:
    peer = small().connect()
    peer.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n")
    peer.send(b"2\r\nde\r\n0\r\nX-Sum: 1\r\n\r\n")
    assert peer.answer().content["sha256"] == sha256(b"abcde").hexdigest()
    assert peer.post(b"next").content["length"] == 4


def test_pipelined_requests_are_answered_in_order(small: Small) -> None:
    peer = small().connect()
    peer.send(b"".join(b"GET /%d HTTP/1.1\r\n\r\n" % number for number in range(20)))
    paths = [peer.answer().content["path"] for _ in range(20)]
    assert paths == [f"/{number}" for number in range(20)]


def test_continue_is_sent_at_once_to_who_waits_for_it(small: Small) -> None:
    peer = small().connect()
    peer.send(HEAD + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert peer.answer().status == 100
    peer.send(b"ok")
    answer = peer.answer()
    assert (answer.status, answer.content["length"]) == (200, 2)


def test_an_old_client_is_answered_and_let_go(small: Small) -> None:
    peer = small().connect()
    peer.send(b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nok")
    assert peer.answer().content["length"] == 2
    assert peer.ends()


def test_a_client_that_stops_sending_still_gets_its_answer(small: Small) -> None:
    peer = small().connect()
    peer.send(b"GET /slow HTTP/1.1\r\n\r\n")
    peer.socket.shutdown(1)
    assert peer.answer().status == 200
    assert peer.ends()


def test_a_request_that_ends_too_early_is_answered_400(small: Small) -> None:
    peer = small().connect()
    peer.send(HEAD + b"Content-Length: 10\r\n\r\nhalf")
    peer.socket.shutdown(1)
    assert peer.answer().status == 400
    assert peer.ends()


def test_readers_of_large_answers_do_not_hold_the_threads(small: Small) -> None:
    server = small(threads=2)
    readers = [server.connect() for _ in range(4)]
    for reader in readers:
        reader.send(b"GET /big HTTP/1.1\r\n\r\n" * 3)
    assert server.connect().post(b"whole").status == 200
    for reader in readers:
        sizes = [len(reader.answer().content["padding"]) for _ in range(3)]
        assert sizes == [4_000_000] * 3


def test_a_client_that_never_reads_is_let_go(
    small: Small, eventually: Callable[..., None]
) -> None:
    peer = small(answer_seconds=0.3).connect()
    peer.send(b"GET /big HTTP/1.1\r\n\r\n" * 10)

    def is_let_go() -> bool:
        try:
            peer.send(b"x")
        except OSError:
            return True
        return False

    eventually(is_let_go)


def test_a_failure_of_the_application_is_a_500_and_no_more(small: Small) -> None:
    server = small()
    assert server.connect().post(b"", "/broken").status == 500
    assert server.connect().post(b"ok").status == 200


def test_the_application_learns_how_long_a_request_waited(small: Small) -> None:
    server = small(threads=1)
    peers = [server.connect() for _ in range(3)]
    server.connect().post(b"the start-up is over")
    for peer in peers:
        peer.send(b"GET /slow HTTP/1.1\r\n\r\n")
    waited = sorted(peer.answer().content["waited"] for peer in peers)
    assert waited[0] < 0.3
    assert waited[2] > 0.5


def test_what_has_begun_when_the_stop_comes_is_still_answered(small: Small) -> None:
    server = small(request_seconds=3)
    idle, half, stalled = (server.connect() for _ in range(3))
    idle.post(b"the start-up is over")
    for peer in (half, stalled):
        peer.send(HEAD + b"Content-Length: 5\r\n\r\nwh")
    waiting = server.connect()
    server.process.terminate()
    waiting.send(b"GET /slow HTTP/1.1\r\n\r\n")
    assert waiting.answer().status == 200
    assert idle.ends()
    half.send(b"ole")
    answer = half.answer()
    assert answer.content["length"] == 5
    assert answer.headers["connection"] == "close"
    assert stalled.answer().status == 408
    assert server.process.wait(60) == 0


def test_large_uploads_together_have_a_limit(small: Small) -> None:
    server = small(memory_bytes=1, max_body_bytes=1_000_000, request_seconds=30)
    peers = [server.connect() for _ in range(4)]
    for peer in peers:
        peer.send(HEAD + b"Content-Length: 1000000\r\n\r\n" + b"x" * 900_000)
    statuses = []
    for peer in peers:
        peer.socket.settimeout(1)
        with suppress(TimeoutError):
            statuses.append(peer.answer())
    assert {answer.status for answer in statuses} == {503}
    assert all(answer.headers["retry-after"] for answer in statuses)
    assert server.connect().post(b"small").status == 200


def test_silent_connections_make_room_for_new_ones(small: Small) -> None:
    server = small()
    first = server.connect()
    first.post(b"")
    for _ in range(600):
        server.connect()
    assert first.ends()
    assert server.connect().post(b"whole").status == 200


def test_requests_that_wait_together_are_begun_before_the_first_is_finished(
    small: Small,
) -> None:
    server = small(threads=4)
    watcher, first, second, *peers = (server.connect() for _ in range(11))

    def begun() -> int:
        return int(watcher.post(b"").content["begun"])

    # As many batches as there may be at once, each kept busy by one request.
    first.send(b"GET /batched/held HTTP/1.1\r\n\r\n")
    wait_for(lambda: begun() == 1)
    second.send(b"GET /batched/held HTTP/1.1\r\n\r\n")
    wait_for(lambda: begun() == 2)
    for peer in peers:
        peer.send(b"GET /batched/one HTTP/1.1\r\n\r\n")
    # What came before a whole round trip has been read after it.
    assert begun() == 2
    watcher.post(b"", "/release")
    answers = [peer.answer().content["begun"] for peer in peers]
    assert max(answers) == 2 + len(peers)
    assert answers.count(max(answers)) > 1


@pytest.mark.parametrize("fault", ["unbegun", "unfinished"])
def test_one_failure_in_a_batch_is_one_500(small: Small, fault: str) -> None:
    server = small(threads=4)
    peers = [server.connect() for _ in range(12)]
    for number, peer in enumerate(peers):
        path = f"/batched/{fault if number == 6 else 'one'}"
        peer.send(f"GET {path} HTTP/1.1\r\n\r\n".encode())
    assert [peer.answer().status for peer in peers] == [200] * 6 + [500] + [200] * 5
