"""Answers read off a stream: what servers send, and where an answer ends."""

import io
from http.client import HTTPException, IncompleteRead

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.http.answer import MAX_LINE, Answer, read

ROOM = 1000
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def answer(data: bytes, method: str = "POST", room: int = ROOM) -> Answer:
    return read(buffered(data), method, room)


def buffered(data: bytes) -> io.BufferedReader:
    return io.BufferedReader(io.BytesIO(data))


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"HTTP/1.1 200 OK\r\n", 200),
        (b"HTTP/1.1 404\r\n", 404),
        (b"HTTP/1.1 503 \r\n", 503),
        (b"HTTP/1.1  429 Too \xe4 Many\n", 429),
        (b"HTTP/1.0 999 x\r\n", 999),
    ],
)
def test_the_status_is_read_off_any_usual_line(line: bytes, status: int) -> None:
    assert answer(line + b"Content-Length: 0\r\n\r\n").status == status


@pytest.mark.parametrize(
    "line",
    [b"hello", b"HTTP/2 200", b"HTTP/1.1 20", b"HTTP/1.1 2000", b"HTTP/1.1 099", b""],
)
def test_what_is_no_status_line_is_no_answer(line: bytes) -> None:
    with pytest.raises(HTTPException, match="status line"):
        answer(line + b"\r\n\r\n")


def test_what_comes_before_the_answer_is_skipped() -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    got = answer(early + OK + b"Content-Length: 2\r\n\r\nhi")
    assert (got.status, got.body, got.is_reusable) == (200, b"hi", True)
    assert "link" not in got.headers


@pytest.mark.parametrize(
    ("lines", "headers"),
    [
        (b"Retry-After: 3\r\n", {"retry-after": "3"}),
        (b"Retry-After:3\n", {"retry-after": "3"}),
        (b"RETRY-AFTER : \t3 \r\n", {"retry-after": "3"}),
        (b"X: a:b\r\n", {"x": "a:b"}),
        (b"X:\r\n", {"x": ""}),
        (b"X: \xe4\r\n", {"x": "ä"}),
        (b"X: a\r\n  b\r\n\tc\r\n", {"x": "a b c"}),
        (b" b\r\nX: a\r\n", {"x": "a"}),
        (b"no header\r\n b\r\n: nameless\r\nX: a\r\n", {"x": "a"}),
        (b"X: 1\r\nX: 2\r\n", {"x": "2"}),
        (b"", {}),
    ],
)
def test_headers_are_read_however_they_are_written(
    lines: bytes, headers: dict[str, str]
) -> None:
    got = answer(OK + lines + b"Content-Length: 2\r\n\r\nhi")
    assert got.headers == {**headers, "content-length": "2"}
    assert got.body == b"hi"


@pytest.mark.parametrize(
    ("head", "is_reusable"),
    [
        (b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: Keep-Alive\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\n", False),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nConnection: x\r\n", False),
        (b"HTTP/1.0 200 OK\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n", True),
    ],
)
def test_a_connection_persists_as_the_answer_says(
    head: bytes, is_reusable: bool
) -> None:
    assert answer(head + b"Content-Length: 0\r\n\r\n").is_reusable is is_reusable


@pytest.mark.parametrize("status", [b"204", b"304"])
def test_some_answers_have_no_body_whatever_they_say(status: bytes) -> None:
    got = answer(b"HTTP/1.1 " + status + b"\r\nContent-Length: 9\r\n\r\n")
    assert (got.body, got.is_reusable) == (b"", True)


def test_the_answer_to_a_head_request_has_no_body() -> None:
    got = answer(OK + b"Content-Length: 9\r\n\r\n", "HEAD")
    assert (got.body, got.is_reusable) == (b"", True)


@pytest.mark.parametrize("lengths", [[b"2"], [b"2, 2"], [b"2", b" 2 "]])
def test_a_length_may_be_repeated(lengths: list[bytes]) -> None:
    lines = b"".join(b"Content-Length: %s\r\n" % length for length in lengths)
    got = answer(OK + lines + b"\r\nhi and more")
    assert (got.body, got.is_reusable) == (b"hi", True)


@pytest.mark.parametrize(
    "lines",
    [
        b"",
        b"Content-Length: 2\r\nContent-Length: 3\r\n",
        b"Content-Length: -2\r\n",
        b"Content-Length: 2_0\r\n",
        b"Content-Length: \xb2\r\n",
        b"Content-Length: " + b"9" * 5000 + b"\r\n",
        b"Content-Length: 2\r\nTransfer-Encoding: gzip\r\n",
    ],
)
def test_without_a_usable_length_the_body_ends_with_the_connection(
    lines: bytes,
) -> None:
    got = answer(OK + lines + b"\r\nall of it")
    assert (got.body, got.is_reusable) == (b"all of it", False)


@pytest.mark.parametrize(
    "chunks",
    [
        b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        b"3;x=y\r\nabc\r\n02 \r\nde\r\n0;z\r\nX-Trailer: 1\r\n\r\n",
        b"3\nabc\n2\nde\n000\n\n",
    ],
)
def test_chunks_are_put_together_to_their_very_end(chunks: bytes) -> None:
    stream = buffered(CHUNKED + chunks + b"next")
    got = read(stream, "POST", ROOM)
    assert (got.body, got.is_reusable) == (b"abcde", True)
    assert stream.read() == b"next"


@pytest.mark.parametrize(
    "chunks",
    [
        b"-3\r\nabc\r\n",
        b"0x3\r\nabc\r\n",
        b"1_0\r\n" + b"x" * 16,
        b"\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"f" * 16 + b"\r\n",
        b"0\r\n" + b"X: y\r\n" * 200,
    ],
)
def test_chunks_that_are_none_are_no_answer(chunks: bytes) -> None:
    with pytest.raises(HTTPException):
        answer(CHUNKED + chunks)


@pytest.mark.parametrize(
    "data",
    [
        OK + b"Content-Length: 6\r\n\r\n123456",
        OK + b"\r\n123456",
        CHUNKED + b"6\r\n123456\r\n0\r\n\r\n",
        CHUNKED + b"3\r\n123\r\n3\r\n456\r\n0\r\n\r\n",
    ],
)
def test_no_more_is_read_than_there_is_room_for(data: bytes) -> None:
    got = answer(data, room=5)
    assert (got.body, got.is_reusable) == (b"12345", False)


@pytest.mark.parametrize(
    "whole",
    [
        OK + b"Content-Length: 2\r\n\r\nhi",
        CHUNKED + b"2\r\nhi\r\n0\r\nX: y\r\n\r\n",
    ],
)
def test_an_answer_cut_anywhere_is_none(whole: bytes) -> None:
    assert answer(whole).body == b"hi"
    for size in range(len(whole)):
        with pytest.raises((HTTPException, ConnectionError)):
            answer(whole[:size])


@pytest.mark.parametrize("data", [b"", OK, OK + b"X: "])
def test_a_line_without_end_is_given_up(data: bytes) -> None:
    with pytest.raises(HTTPException, match="line"):
        answer(data + b"x" * MAX_LINE * 2)


@given(st.binary() | st.binary().map(OK.__add__) | st.binary().map(CHUNKED.__add__))
def test_nonsense_is_an_answer_or_one_of_few_errors(data: bytes) -> None:
    try:
        got = answer(data)
    except (HTTPException, ConnectionError):
        return
    assert len(got.body) <= ROOM


def test_a_cut_line_says_that_the_answer_broke_off() -> None:
    with pytest.raises(IncompleteRead):
        answer(OK + b"Content-Len")
