from collections.abc import Sequence

import pytest
from gunicorn.config import Config
from hypothesis import given
from hypothesis import strategies as st

from bridge.server.bodies import MAX_CHUNKS
from bridge.server.framing import MAX_HEAD, Inbox
from bridge.server.refusal import Refusal

LIMIT = 1000
SETTINGS = Config()
HEAD = b"POST /door HTTP/1.1\r\nHost: here\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def sized(body: bytes) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(pieces: Sequence[bytes]) -> bytes:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in pieces if one)
    return CHUNKED + chunks + b"0\r\n\r\n"


def inbox() -> Inbox:
    return Inbox(SETTINGS, ("127.0.0.1", 1), LIMIT)


def bodies(box: Inbox) -> list[bytes]:
    found = []
    while (request := box.next()) is not None:
        found.append(request.body.read())
    return found


def outcome(pieces: Sequence[bytes]) -> int | None:
    """Feed pieces; return the status of the refusal they end in, if they do."""
    box = inbox()
    try:
        for piece in pieces:
            box.feed(piece)
            bodies(box)
    except Refusal as refusal:
        return refusal.status
    return None


@given(
    sent=st.lists(st.lists(st.binary(max_size=60), max_size=6), max_size=4),
    size=st.integers(min_value=1, max_value=200),
    is_chunked=st.booleans(),
)
def test_requests_come_out_whole_however_the_bytes_were_cut(
    sent: list[list[bytes]], size: int, is_chunked: bool
) -> None:
    stream = b"".join(
        chunked(pieces) if is_chunked else sized(b"".join(pieces)) for pieces in sent
    )
    box, found = inbox(), []
    for start in range(0, len(stream), size):
        box.feed(stream[start : start + size])
        found += bodies(box)
    assert found == [b"".join(pieces) for pieces in sent]
    assert box.is_empty


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_any_bytes_end_in_requests_a_refusal_or_waiting(pieces: list[bytes]) -> None:
    assert outcome(pieces) in (None, 400, 413, 414, 417, 431)


@given(st.binary(max_size=300))
def test_any_bytes_between_chunks_are_survived(data: bytes) -> None:
    assert outcome([CHUNKED, data]) in (None, 400, 413, 414, 417, 431)


def test_extensions_and_trailers_are_read_over() -> None:
    box = inbox()
    box.feed(CHUNKED + b'3;a=b;c="d"\r\nabc\r\n02 ; x\r\nde\r\n0\r\nX-Sum: 1\r\n\r\n')
    box.feed(sized(b"next"))
    assert bodies(box) == [b"abcde", b"next"]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(HEAD + b"Content-Length: 1001\r\n\r\n", 413, id="long"),
        pytest.param(HEAD + b"Content-Length: " + b"9" * 400, None, id="no end"),
        pytest.param(
            HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 400, id="endless"
        ),
        pytest.param(HEAD + b"Content-Length: -1\r\n\r\n", 400, id="negative"),
        pytest.param(
            HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, id="two"
        ),
        pytest.param(
            HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
            id="length beside chunked",
        ),
        pytest.param(
            HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 400, id="unknown coding"
        ),
        pytest.param(CHUNKED + b"3e9\r\n", 413, id="long chunk"),
        pytest.param(CHUNKED + b"-1\r\n", 400, id="negative chunk"),
        pytest.param(CHUNKED + b"f" * 17 + b"\r\n", 400, id="endless chunk"),
        pytest.param(CHUNKED + b"1\r\nab\r\n", 400, id="chunk longer than it said"),
        pytest.param(CHUNKED + b"1\nab", None, id="bare line feed, waiting"),
        pytest.param(CHUNKED + b"1\na\r\n", 400, id="bare line feed"),
        pytest.param(CHUNKED + b"1;" + b"x" * 2000, 400, id="endless extension"),
        pytest.param(CHUNKED + b"0\r\nno colon\r\n", 400, id="no trailer"),
        pytest.param(CHUNKED + b"0\r\n" + b"a: b\r\n" * 70, 400, id="many trailers"),
        pytest.param(HEAD + b"Expect: magic\r\n\r\n", 417, id="expectation"),
        pytest.param(b"GET / HTTP/1.1\r\na: " + b"b" * MAX_HEAD, 431, id="long head"),
        pytest.param(
            b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", 431, id="many headers"
        ),
        pytest.param(
            b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 414, id="long target"
        ),
        pytest.param(b"\x16\x03\x01\r\n\r\n", 400, id="TLS"),
        pytest.param(b"GET / HTTP/2.0\r\n\r\n", 400, id="other version"),
    ],
)
def test_what_cannot_be_a_request_is_refused(data: bytes, status: int | None) -> None:
    assert outcome([data]) == status


def test_chunks_together_may_not_exceed_the_limit() -> None:
    assert outcome([CHUNKED, b"3e8\r\n" + b"x" * 1000 + b"\r\n1\r\n"]) == 413


def test_a_body_of_countless_chunks_is_refused() -> None:
    box = Inbox(SETTINGS, None, 10**9)
    box.feed(CHUNKED + b"1\r\nx\r\n" * (MAX_CHUNKS + 1))
    with pytest.raises(Refusal):
        box.next()


def test_a_refusal_does_not_repeat_what_the_client_sent() -> None:
    box = inbox()
    box.feed(HEAD + b"Api-Key secret-without-colon\r\n\r\n")
    with pytest.raises(Refusal) as caught:
        box.next()
    assert "secret" not in caught.value.detail


def test_continue_is_owed_until_it_is_sent() -> None:
    box = inbox()
    box.feed(HEAD + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    assert box.next() is None
    assert box.owes_continue
    box.continued()
    assert box.owes_continue is False


def test_continue_is_not_owed_once_the_body_is_here() -> None:
    box = inbox()
    box.feed(HEAD + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\nok")
    assert bodies(box) == [b"ok"]
    assert not box.owes_continue


def test_an_old_client_without_a_length_has_no_body() -> None:
    box = inbox()
    box.feed(b"POST /door HTTP/1.0\r\n\r\n")
    assert bodies(box) == [b""]
