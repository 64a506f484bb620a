"""Calls that are begun and ended without waiting, against real sockets.

A call that waits is the measure: what is begun comes to the same.
"""

import select
import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
import requests

from bridge.errors import NoAnswerError, TransportError
from bridge.http import Begun, Http, Progress, Reply, prepare, with_body
from tests.servers import (
    CHUNKED,
    ENDLESS,
    HEAD,
    OK,
    Script,
    Server,
    always,
    answering,
    dripping,
    read_request,
    reset,
)

Serve = Callable[[Script], Server]
Make = Callable[..., Http]


def request(server: Server, body: bytes = b"{}") -> requests.PreparedRequest:
    return with_body(prepare("POST", server.url, {}), body)


def after(first: bytes, then: Script) -> Script:
    """Answer one request, then go by a script on the same connection."""

    def script(connection: socket.socket) -> None:
        answering(first)(connection)
        then(connection)

    return script


def ready(client: Http, server: Server) -> None:
    """Leave a connection behind that is kept."""
    assert client.call(request(server)).status == 200


def begin(client: Http, server: Server, body: bytes = b"{}") -> Begun:
    begun = client.begin(request(server, body))
    assert begun is not None
    return begun


def look(begun: Begun) -> Progress:
    """Look whenever something comes, until the look tells."""
    if not begun.is_written:
        return begun.look()
    poll = select.poll()
    poll.register(begun.fileno(), select.POLLIN)
    while True:
        left = begun.deadline - time.monotonic()
        poll.poll(max(0.0, left) * 1000 + 1)
        progress = begun.look()
        if progress is not Progress.WAITING:
            return progress


def outcome(call: Callable[[], Reply]) -> object:
    try:
        return call()
    except TransportError as error:
        return type(error), error.reason


def test_nothing_is_begun_without_a_connection_that_is_ready(
    serve: Serve, http: Make
) -> None:
    server, client = serve(always(OK)), http()
    assert client.begin(request(server)) is None
    assert server.connections == 0


def test_an_answer_that_is_whole_needs_no_waiting(serve: Serve, http: Make) -> None:
    server, client = serve(always(OK)), http()
    ready(client, server)
    for _ in range(3):
        begun = begin(client, server)
        assert look(begun) is Progress.WHOLE
        reply = client.finish(begun)
        assert (reply.status, reply.body) == (200, b"{}")
    assert server.connections == 1


def test_a_look_before_there_is_anything_says_so(serve: Serve, http: Make) -> None:
    told = threading.Event()

    def late(connection: socket.socket) -> None:
        read_request(connection)
        assert told.wait(20)
        connection.sendall(OK)

    server, client = serve(after(OK, late)), http()
    ready(client, server)
    begun = begin(client, server)
    assert begun.look() is Progress.WAITING
    told.set()
    assert look(begun) is Progress.WHOLE
    assert client.finish(begun).status == 200


def test_several_are_open_at_a_time_and_none_is_mixed_up(
    serve: Serve, http: Make
) -> None:
    together = threading.Barrier(4)

    def echo(connection: socket.socket) -> None:
        is_first = True
        while data := read_request(connection):
            if is_first:
                together.wait(20)
            is_first = False
            body = data.partition(b"\r\n\r\n")[2]
            connection.sendall(HEAD + b"Content-Length: 3\r\n\r\n" + body)

    server, client = serve(echo), http(pool=4)
    threads = [
        threading.Thread(target=client.call, args=(request(server, b"000"),))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    for turn in range(5):
        bodies = [b"%d-%d" % (turn, number) for number in range(4)]
        several = [begin(client, server, body) for body in bodies]
        assert client.begin(request(server)) is None, "all are in use"
        for body, begun in reversed(list(zip(bodies, several, strict=True))):
            assert look(begun) is Progress.WHOLE
            assert client.finish(begun).body == body
    assert server.connections == 4


def in_pieces(connection: socket.socket) -> None:
    read_request(connection)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for piece in (b"HTTP/1.1 2", b"00 OK\r\nContent-Le", b"ngth: 4\r\n\r\n", b"abcd"):
        connection.sendall(piece)


def read_and_reset(connection: socket.socket) -> None:
    read_request(connection)
    reset(connection)


def answering_without_reading(connection: socket.socket) -> None:
    connection.recv(10)
    connection.sendall(HEAD + b"Connection: close\r\nContent-Length: 0\r\n\r\n")


#: Fills a buffer of the standard library to the last byte.
FULL = (HEAD + b"Content-Length: 8151\r\n\r\n").ljust(8192, b"x")
CLOSING = HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(always(OK), id="plain"),
        pytest.param(always(CHUNKED + b"3\r\nabc\r\n0\r\n\r\n"), id="chunked"),
        pytest.param(in_pieces, id="pieces"),
        pytest.param(always(CLOSING), id="closes"),
        pytest.param(answering(HEAD + b"\r\nuntil the end"), id="until-closed"),
        pytest.param(always(b"HTTP/1.1 100 Continue\r\n\r\n" + OK), id="continue"),
        pytest.param(always(HEAD + b"Content-Length: 0\r\n\r\n"), id="empty"),
        pytest.param(always(OK + b"HTTP/1.1 500 Never Asked For\r\n"), id="more"),
        pytest.param(always(FULL + b"HTTP/1.1 500 Nev"), id="more-behind-a-buffer"),
        pytest.param(always(ENDLESS + b"x" * 30_000), id="too-long"),
        pytest.param(always(HEAD + b"X: y\r\n" * 200), id="headers"),
        pytest.param(always(b"hello\r\n\r\n"), id="nonsense"),
        pytest.param(answering(HEAD + b"Content-Length: 9\r\n\r\n{"), id="cut"),
        pytest.param(answering(b""), id="closed"),
        pytest.param(read_and_reset, id="reset"),
        pytest.param(answering_without_reading, id="without-reading"),
        pytest.param(dripping(b"", b""), id="silence"),
        pytest.param(dripping(HEAD, b"X: y\r\n"), id="slow-headers"),
        pytest.param(dripping(ENDLESS, b"a"), id="slow-body"),
    ],
)
def test_it_comes_to_what_waiting_comes_to(
    serve: Serve, http: Make, script: Script
) -> None:
    limits = {"timeout": 0.5, "max_reply_bytes": 10_000}
    waiting, looking = http(**limits), http(**limits)
    one, two = serve(after(OK, script)), serve(after(OK, script))
    for client, server in ((waiting, one), (looking, two)):
        ready(client, server)
    expected = outcome(lambda: waiting.call(request(one)))
    began = time.monotonic()
    begun = begin(looking, two)
    assert look(begun) is not Progress.WAITING
    assert outcome(lambda: looking.finish(begun)) == expected
    assert time.monotonic() - began < 3
    # Whether the connection is fit for another call is judged alike, too.
    again = [
        client.begin(request(at)) for client, at in ((waiting, one), (looking, two))
    ]
    assert (again[0] is None) == (again[1] is None)
    for client, another in zip((waiting, looking), again, strict=True):
        if another is not None:
            outcome(partial(client.finish, another))


def test_what_comes_drop_by_drop_is_left_to_who_may_wait(
    serve: Serve, http: Make
) -> None:
    server, client = serve(after(OK, dripping(ENDLESS, b"a"))), http(timeout=2)
    ready(client, server)
    begun = begin(client, server)
    assert look(begun) is Progress.ODD
    assert time.monotonic() < begun.deadline - 1
    with pytest.raises(NoAnswerError, match="it took too long"):
        client.finish(begun)


@pytest.mark.parametrize("is_read", [True, False])
def test_a_request_that_does_not_go_out_at_once_is_written_by_who_may_wait(
    serve: Serve, http: Make, is_read: bool
) -> None:
    size, begun_it, over = 20_000_000, threading.Event(), threading.Event()
    got: list[bytes] = []

    def script(connection: socket.socket) -> None:
        assert begun_it.wait(20)
        if is_read:
            got.append(read_request(connection))
            connection.sendall(OK)
        assert over.wait(20)

    server, client = serve(after(OK, script)), http(timeout=20 if is_read else 0.5)
    ready(client, server)
    begun = begin(client, server, b"x" * size)
    assert not begun.is_written
    assert begun.look() is Progress.ODD
    begun_it.set()
    if is_read:
        assert client.finish(begun).status == 200
        assert got[0].endswith(b"\r\n\r\n" + b"x" * size)
    else:
        with pytest.raises(NoAnswerError, match="it took too long"):
            client.finish(begun)
    over.set()


@pytest.mark.parametrize("end", [socket.socket.close, reset], ids=["closed", "reset"])
def test_a_connection_that_was_ended_is_not_ready(
    serve: Serve, http: Make, end: Script
) -> None:
    ended = threading.Event()

    def script(connection: socket.socket) -> None:
        end(connection)
        ended.set()

    server, client = serve(after(OK, script)), http()
    ready(client, server)
    assert ended.wait(20)
    assert client.begin(request(server)) is None


def test_a_connection_idle_for_too_long_is_not_ready(serve: Serve, http: Make) -> None:
    server, client = serve(always(OK)), http(max_idle=timedelta(0))
    ready(client, server)
    assert client.begin(request(server)) is None


def test_nothing_is_begun_after_close(serve: Serve, http: Make) -> None:
    server, client = serve(always(OK)), http()
    ready(client, server)
    client.close()
    assert client.begin(request(server)) is None


@pytest.mark.parametrize("size", [10, 100_000, 6_000_000])
def test_it_is_the_same_over_tls(
    serve: Serve,
    http: Make,
    certificate: tuple[Path, Path],
    over_tls: Callable[[Script], Script],
    size: int,
) -> None:
    server = serve(over_tls(always(OK)))
    server.url = server.url.replace("http:", "https:")
    client = http(ca_bundle=str(certificate[0]))
    ready(client, server)
    for _ in range(3):
        begun = begin(client, server, b"x" * size)
        assert look(begun) is not Progress.WAITING
        reply = client.finish(begun)
        assert (reply.status, reply.body) == (200, b"{}")
    assert server.connections == 1
