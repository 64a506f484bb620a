"""The bounded call, against real sockets: nothing of the network is pretended."""

import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import NoAnswerError, NotSentError
from bridge.http import Http, Reply, prepare, with_body
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
    wait_readable,
)

KEY = "key-0123456789"

Http_ = Callable[..., Http]


def post(http: Http, url: str, body: bytes = b'{"campaignId": 1}') -> Reply:
    return http.call(with_body(prepare("POST", url, {"Api-Key": KEY}), body))


def test_request_arrives_whole_and_the_answer_comes_back(
    serve: Callable[[Script], Server], http: Http_
) -> None:
    seen: list[bytes] = []

    def script(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        connection.sendall(
            b"HTTP/1.1 400 Bad Request\r\nIterable-Request-Id: r-1\r\n"
            b"Date: Fri, 02 Jan 2026 03:04:05 GMT\r\nContent-Length: 2\r\n\r\nno"
        )

    server = serve(script)
    reply = post(http(), server.url, b'{"a": 1}')
    head, _, body = seen[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /api/email/target HTTP/1.1"
    assert {"Content-Length: 8", f"Api-Key: {KEY}"} < set(lines[1:])
    assert "Accept-Encoding: identity" in lines
    assert f"Host: 127.0.0.1:{server.port}" in lines
    assert body == b'{"a": 1}'
    assert reply.status == 400
    assert reply.headers["iterable-request-id"] == "r-1"
    assert reply.headers["date"] == "Fri, 02 Jan 2026 03:04:05 GMT"
    assert (reply.body, reply.is_truncated) == (b"no", False)


def test_a_wish_to_wait_without_a_date_gets_the_moment_of_receipt(
    serve: Callable[[Script], Server], http: Http_
) -> None:
    answer = b"HTTP/1.1 429 Slow\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n"
    headers = post(http(), serve(always(answer)).url).headers
    assert headers["date"].endswith("GMT")


def test_a_chunked_answer_is_put_together(
    serve: Callable[[Script], Server], http: Http_
) -> None:
    server = serve(always(CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"))
    client = http()
    assert [post(client, server.url).body for _ in range(2)] == [b"abcde"] * 2
    assert server.connections == 1


def test_a_connection_is_used_again(
    serve: Callable[[Script], Server], http: Http_
) -> None:
    server, client = serve(always(OK)), http()
    assert [post(client, server.url).status for _ in range(5)] == [200] * 5
    assert server.connections == 1


def test_a_connection_idle_for_too_long_is_not_used_again(
    serve: Callable[[Script], Server], http: Http_
) -> None:
    server, client = serve(always(OK)), http(max_idle=timedelta(0))
    assert [post(client, server.url).status for _ in range(3)] == [200] * 3
    assert server.connections == 3


@pytest.mark.parametrize("end", [socket.socket.close, reset], ids=["closed", "reset"])
def test_a_connection_ended_while_idle_is_replaced(
    serve: Callable[[Script], Server], http: Http_, end: Script
) -> None:
    ended = threading.Semaphore(0)

    def script(connection: socket.socket) -> None:
        answering(OK)(connection)
        end(connection)
        ended.release()

    server, client = serve(script), http()
    for _ in range(3):
        assert post(client, server.url).status == 200
        assert ended.acquire(timeout=20)
    assert server.connections == 3


def test_calls_go_on_after_close(
    serve: Callable[[Script], Server], http: Http_
) -> None:
    server, client = serve(always(OK)), http()
    post(client, server.url)
    client.close()
    assert post(client, server.url).status == 200
    assert server.connections == 2


def test_many_threads_share_one_pool_and_mix_nothing_up(
    serve: Callable[[Script], Server], http: Http_
) -> None:
    def echo(connection: socket.socket) -> None:
        while data := read_request(connection):
            body = data.partition(b"\r\n\r\n")[2]
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" + body)

    server, client = serve(echo), http(pool=8)
    got: dict[int, list[bytes]] = {}

    def work(number: int) -> None:
        body = b"%03d" % number
        got[number] = [post(client, server.url, body).body for _ in range(20)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert got == {number: [b"%03d" % number] * 20 for number in range(8)}
    assert server.connections <= 8


def test_a_redirect_is_an_answer_and_is_not_followed(
    serve: Callable[[Script], Server], http: Http_
) -> None:
    other = serve(always(OK))
    server = serve(
        always(
            b"HTTP/1.1 303 See Other\r\nContent-Length: 0\r\n"
            b"Location: " + other.url.encode() + b"\r\n\r\n"
        )
    )
    assert post(http(), server.url).status == 303
    assert (server.connections, other.connections) == (1, 0)


@pytest.mark.parametrize(
    ("start", "drop"),
    [
        (b"", b""),
        (b"HTTP/1.1 2", b"0"),
        (HEAD + b"X-Slow: ", b"a"),
        (HEAD, b"X: y\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (ENDLESS, b"a"),
        (HEAD + b"\r\n", b"a"),
        (CHUNKED, b"1\r\na\r\n"),
        (CHUNKED + b"3;", b"x"),
    ],
    ids=[
        "silence",
        "status",
        "header",
        "headers",
        "continue",
        "body",
        "body-until-close",
        "chunks",
        "chunk-size",
    ],
)
def test_no_slowness_stretches_the_deadline(
    serve: Callable[[Script], Server], http: Http_, start: bytes, drop: bytes
) -> None:
    server, client = serve(dripping(start, drop)), http(timeout=0.3)
    began = time.monotonic()
    with pytest.raises(NoAnswerError) as caught:
        post(client, server.url)
    assert caught.value.reason == "it took too long"
    assert 0.25 < time.monotonic() - began < 3


def test_a_peer_that_reads_nothing_does_not_stretch_the_deadline(
    serve: Callable[[Script], Server], http: Http_
) -> None:
    gone = threading.Event()
    server = serve(lambda _: assert_set(gone))
    with pytest.raises(NoAnswerError, match="it took too long"):
        post(http(timeout=1), server.url, b"x" * 20_000_000)
    gone.set()


def assert_set(event: threading.Event) -> None:
    assert event.wait(20)


def test_headers_without_end_are_no_answer(
    serve: Callable[[Script], Server], http: Http_
) -> None:
    server = serve(always(HEAD + b"X: y\r\n" * 200))
    with pytest.raises(NoAnswerError, match="the answer is not HTTP"):
        post(http(), server.url)


@pytest.mark.parametrize(
    ("start", "block"),
    [(ENDLESS, b"x" * 65536), (CHUNKED, b"10000\r\n" + b"x" * 65536 + b"\r\n")],
    ids=["length", "chunked"],
)
def test_an_endless_answer_is_cut_and_its_status_counts(
    serve: Callable[[Script], Server], http: Http_, start: bytes, block: bytes
) -> None:
    sent: list[int] = []
    is_over = threading.Event()

    def script(connection: socket.socket) -> None:
        read_request(connection)
        try:
            connection.sendall(start)
            while True:
                connection.sendall(block)
                sent.append(len(block))
        except OSError:
            is_over.set()

    server = serve(script)
    reply = post(http(max_reply_bytes=100_000), server.url)
    assert (reply.status, reply.is_truncated) == (200, True)
    assert reply.body == b"x" * 100_000
    assert is_over.wait(20), "the connection stayed open"
    assert sum(sent) < 64 * 1024 * 1024


def test_an_answer_of_exactly_the_limit_is_whole(
    serve: Callable[[Script], Server], http: Http_
) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000
    server, client = serve(always(answer)), http(max_reply_bytes=1000)
    for _ in range(2):
        reply = post(client, server.url)
        assert (len(reply.body), reply.is_truncated) == (1000, False)
    assert server.connections == 1


def read_and_reset(connection: socket.socket) -> None:
    read_request(connection)
    reset(connection)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (read_and_reset, "the connection broke off"),
        (answering(b""), "the connection broke off"),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"), "broke off"),
        (answering(CHUNKED + b"5\r\nab"), "broke off"),
        (answering(b"hello\r\n\r\n"), "the answer is not HTTP"),
    ],
    ids=["reset", "closed", "cut", "cut-chunk", "nonsense"],
)
def test_a_request_that_was_written_and_not_answered_is_in_doubt(
    serve: Callable[[Script], Server], http: Http_, script: Script, reason: str
) -> None:
    server = serve(script)
    with pytest.raises(NoAnswerError, match=reason):
        post(http(), server.url)
    assert server.connections == 1


def test_a_connection_reset_before_anything_was_written_leaves_no_doubt(
    serve: Callable[[Script], Server], http: Http_
) -> None:
    now, done = threading.Event(), threading.Event()

    def script(connection: socket.socket) -> None:
        answering(OK)(connection)
        assert_set(now)
        reset(connection)
        done.set()

    server, client = serve(script), http()
    post(client, server.url)
    request = with_body(prepare("POST", server.url, {}), b"{}")

    class Headers(type(request.headers)):  # type: ignore[misc] # of no import of ours
        def items(self) -> Any:
            """Come after the pool found the connection sound, and before the write."""
            now.set()
            assert_set(done)
            return super().items()

    request.headers = Headers(request.headers)
    with pytest.raises(NotSentError, match="the connection broke off"):
        client.call(request)
    assert server.connections == 1


def test_an_answer_given_before_the_request_was_read_is_heard(
    serve: Callable[[Script], Server], http: Http_
) -> None:
    def script(connection: socket.socket) -> None:
        connection.recv(1024)
        connection.sendall(
            b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        )

    assert post(http(), serve(script).url, b"x" * 20_000_000).status == 413


def test_a_connection_with_more_on_it_than_the_answer_is_not_used_again(
    serve: Callable[[Script], Server], http: Http_
) -> None:
    server = serve(always(OK + b"HTTP/1.1 500 Never Asked For\r\n"))
    client = http()
    assert [post(client, server.url).status for _ in range(3)] == [200] * 3
    assert server.connections == 3


def test_a_refused_connection_is_not_sent(http: Http_) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(NotSentError, match="the connection was refused"):
        post(http(), f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64 + ".example"])
def test_an_unknown_name_is_not_sent(http: Http_, host: str) -> None:
    with pytest.raises(NotSentError, match="name cannot be resolved"):
        post(http(), f"http://{host}/")


def test_a_url_that_is_none_is_not_sent(http: Http_) -> None:
    with pytest.raises(NotSentError, match="the URL is not usable"):
        http().call(prepare("GET", "ftp://127.0.0.1/", {}))


def test_a_connection_that_is_never_made_is_not_sent(http: Http_) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]  # fill its queue
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        began = time.monotonic()
        client = http(connect_timeout=timedelta(seconds=0.2))
        with pytest.raises(NotSentError, match="it took too long"):
            post(client, f"http://127.0.0.1:{address[1]}/")
        assert time.monotonic() - began < 3
        for one in waiting:
            one.close()


def test_nothing_is_sent_when_the_name_took_all_the_time(
    serve: Callable[[Script], Server], http: Http_, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, lookup = serve(always(OK)), socket.getaddrinfo

    def slow(*args: Any, **kwargs: Any) -> Any:
        threading.Event().wait(0.2)
        return lookup(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with pytest.raises(NotSentError, match="it took too long"):
        post(http(timeout=0.1), server.url)
    assert server.connections == 0


def test_the_next_address_is_tried_when_one_is_dead(
    serve: Callable[[Script], Server], http: Http_, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, lookup = serve(always(OK)), socket.getaddrinfo

    def two(host: str, *args: Any, **kwargs: Any) -> Any:
        hosts = ["127.0.0.2", "127.0.0.1"] if host == "two.example" else [host]
        return [found for one in hosts for found in lookup(one, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    assert post(http(), f"http://two.example:{server.port}/").status == 200


def test_tls_to_a_plain_port_is_not_sent(
    serve: Callable[[Script], Server], http: Http_
) -> None:
    def script(connection: socket.socket) -> None:
        connection.recv(1024)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    server = serve(script)
    with pytest.raises(NotSentError, match="TLS failed"):
        post(http(), f"https://127.0.0.1:{server.port}/")


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (lambda connection: wait_readable(connection, 20), "broke off"),
        (reset, "broke off"),
        (dripping(b"", b""), "it took too long"),
    ],
    ids=["closed", "reset", "silent"],
)
def test_a_handshake_that_fails_is_not_sent(
    serve: Callable[[Script], Server], http: Http_, script: Script, reason: str
) -> None:
    server, client = serve(script), http(connect_timeout=timedelta(seconds=0.3))
    began = time.monotonic()
    with pytest.raises(NotSentError, match=reason):
        post(client, f"https://127.0.0.1:{server.port}/")
    assert time.monotonic() - began < 3


def test_a_tls_connection_is_used_again(
    serve: Callable[[Script], Server],
    http: Http_,
    certificate: tuple[Path, Path],
    over_tls: Callable[[Script], Script],
) -> None:
    server = serve(over_tls(always(OK)))
    client = http(ca_bundle=str(certificate[0]))
    for size in (10, 1_000_000, 10):
        reply = post(client, f"https://127.0.0.1:{server.port}/", b"x" * size)
        assert (reply.status, reply.body) == (200, b"{}")
    assert server.connections == 1


def test_slowness_over_tls_does_not_stretch_the_deadline(
    serve: Callable[[Script], Server],
    http: Http_,
    certificate: tuple[Path, Path],
    over_tls: Callable[[Script], Script],
) -> None:
    server = serve(over_tls(dripping(ENDLESS, b"x")))
    client = http(timeout=0.5, ca_bundle=str(certificate[0]))
    with pytest.raises(NoAnswerError, match="it took too long"):
        post(client, f"https://127.0.0.1:{server.port}/")


def test_a_certificate_of_a_stranger_is_not_trusted(
    serve: Callable[[Script], Server],
    http: Http_,
    over_tls: Callable[[Script], Script],
) -> None:
    server = serve(over_tls(always(OK)))
    with pytest.raises(NotSentError, match="certificate is not trusted"):
        post(http(), f"https://127.0.0.1:{server.port}/")


@pytest.mark.parametrize("name", ["a\r\nB", "a\n", "a b", "a:", "", "ä"])
def test_a_header_whose_name_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="header"):
        prepare("GET", "http://127.0.0.1/", {name: "value"})


def test_a_url_cannot_smuggle_lines_into_the_request(
    serve: Callable[[Script], Server], http: Http_
) -> None:
    seen: list[bytes] = []

    def script(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        connection.sendall(OK)

    server = serve(script)
    post(http(), f"http://127.0.0.1:{server.port}/a b\r\nX: y?c=d\r\n\r\ne")
    assert seen[0].startswith(b"POST /a%20b%0D%0AX:%20y?c=d%0D%0A%0D%0Ae HTTP/1.1\r\n")


@pytest.mark.parametrize("value", ["with\r\nbreak", "schlüssel", "a\x00b", " leading"])
def test_a_header_that_cannot_be_sent_is_refused_without_showing_it(value: str) -> None:
    with pytest.raises(ValueError, match="header") as caught:
        prepare("GET", "http://127.0.0.1/", {"Api-Key": value})
    assert value not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_a_template_is_not_changed_by_its_copies() -> None:
    template = prepare("POST", "http://127.0.0.1/", {})
    copies = [with_body(template, b"a" * size) for size in (1, 2)]
    assert template.body is None
    assert [copy.body for copy in copies] == [b"a", b"aa"]


def test_each_request_of_a_kept_connection_has_its_own_head(
    serve: Callable[[Script], Server], http: Http_
) -> None:
    heads: list[list[bytes]] = []

    def script(connection: socket.socket) -> None:
        while request := read_request(connection):
            head, _, body = request.partition(b"\r\n\r\n")
            heads.append([*head.split(b"\r\n"), body])
            connection.sendall(OK)

    server = serve(script)
    calls, one = http(), prepare("POST", server.url, {"Api-Key": "first"})
    calls.call(with_body(one, b"a"))
    calls.call(with_body(one, b"bb"))
    calls.call(with_body(prepare("POST", server.url, {"Api-Key": "second"}), b"ccc"))
    for head, key, body in zip(
        heads, (b"first", b"first", b"second"), (b"a", b"bb", b"ccc"), strict=True
    ):
        assert b"Api-Key: " + key in head
        lengths = [line for line in head if line.startswith(b"Content-Length")]
        assert lengths == [b"Content-Length: %d" % len(body)]
        assert head[-1] == body
