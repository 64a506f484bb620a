"""The bounded call, against real sockets, in a process patched as the real one is."""

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from urllib3.connectionpool import HTTPConnectionPool

from bridge.errors import NoAnswerError, NotSentError
from bridge.http import HttpClient
from tests.patched_client import Patched
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

Serve = Callable[[Script], Server]


@pytest.fixture
def serve(client: Patched) -> Iterator[Serve]:
    servers: list[Server] = []

    def start(script: Script) -> Server:
        servers.append(Server(script))
        return servers[-1]

    yield start
    client.disconnect()
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def client() -> Iterator[Patched]:
    patched = Patched()
    yield patched
    patched.stop()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("certificate")
    made, key = folder / "cert.pem", folder / "key.pem"
    options = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-out", str(made), "-keyout", str(key)]
    command = [openssl, *options.split(), *subject, *files]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return made, key


@pytest.fixture
def over_tls(certificate: tuple[Path, Path]) -> Callable[[Script], Script]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)

    def wrap(script: Script) -> Script:
        def wrapped(connection: socket.socket) -> None:
            with context.wrap_socket(connection, server_side=True) as secure:
                script(secure)

        return wrapped

    return wrap


def test_a_request_arrives_whole_and_its_answer_comes_back(
    serve: Serve, client: Patched
) -> None:
    seen: list[bytes] = []

    def script(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        connection.sendall(
            b"HTTP/1.1 400 Bad Request\r\nIterable-Request-Id: r-1\r\n"
            b"Date: Fri, 02 Jan 2026 03:04:05 GMT\r\nContent-Length: 2\r\n\r\nno"
        )

    server = serve(script)
    reply = client.post(server.url, '{"a": 1}')
    head, _, body = seen[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /api/email/target HTTP/1.1"
    assert {"Content-Length: 8", "Api-Key: key-0123456789"} < set(lines[1:])
    assert {"Accept-Encoding: identity", "User-Agent: reward-bridge"} < set(lines)
    assert f"Host: 127.0.0.1:{server.port}" in lines
    assert body == b'{"a": 1}'
    assert (reply.status, reply.headers["iterable-request-id"]) == (400, "r-1")
    assert reply.headers["date"] == "Fri, 02 Jan 2026 03:04:05 GMT"
    assert (reply.body, reply.is_truncated) == (b"no", False)


@pytest.mark.parametrize("end", [socket.socket.close, reset], ids=["closed", "reset"])
def test_a_connection_ended_while_idle_is_replaced(
    serve: Serve, client: Patched, end: Script
) -> None:
    ended = threading.Semaphore(0)

    def script(connection: socket.socket) -> None:
        answering(OK)(connection)
        end(connection)
        ended.release()

    server = serve(script)
    for _ in range(3):
        assert client.post(server.url).status == 200
        assert ended.acquire(timeout=20)
    assert server.connections == 3


def test_a_redirect_is_an_answer_and_is_not_followed(
    serve: Serve, client: Patched
) -> None:
    other = serve(always(OK))
    head = b"HTTP/1.1 303 See Other\r\nContent-Length: 0\r\nLocation: "
    server = serve(always(head + other.url.encode() + b"\r\n\r\n"))
    assert client.post(server.url).status == 303
    assert (server.connections, other.connections) == (1, 0)


def test_the_proxies_of_the_environment_are_not_used(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    other = Patched()
    assert other.post(serve(always(OK)).url).status == 200
    other.stop()


@pytest.mark.parametrize(
    ("start", "drop"),
    [
        pytest.param(b"", b"", id="silence"),
        pytest.param(HEAD + b"X-Slow: ", b"a", id="header"),
        pytest.param(b"", b"HTTP/1.1 100 Continue\r\n\r\n", id="continue"),
        pytest.param(ENDLESS, b"a", id="body"),
        pytest.param(CHUNKED, b"1\r\na\r\n", id="chunks"),
    ],
)
def test_no_slowness_stretches_the_deadline(
    serve: Serve, client: Patched, start: bytes, drop: bytes
) -> None:
    server = serve(dripping(start, drop))
    began = time.monotonic()
    with pytest.raises(NoAnswerError, match="it took too long"):
        client.post(server.url, timeout=1)
    assert 0.9 < time.monotonic() - began < 4


def assert_set(event: threading.Event) -> None:
    assert event.wait(20)


def test_a_name_look_up_does_not_stretch_the_deadline_and_sends_nothing(
    client: Patched,
) -> None:
    began = time.monotonic()
    with pytest.raises(NotSentError, match="it took too long"):
        client.post("http://slow.example/", timeout=0.3)
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("start", "block"),
    [(ENDLESS, b"x" * 65536), (CHUNKED, b"10000\r\n" + b"x" * 65536 + b"\r\n")],
    ids=["length", "chunked"],
)
def test_an_endless_answer_is_cut_and_its_status_counts(
    serve: Serve, client: Patched, start: bytes, block: bytes
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

    reply = client.post(serve(script).url, max_reply_bytes=100_000)
    assert (reply.status, reply.is_truncated) == (200, True)
    assert reply.body == b"x" * 100_000
    assert is_over.wait(20), "the connection stayed open"
    assert sum(sent) < 64 * 1024 * 1024


def read_and_reset(connection: socket.socket) -> None:
    read_request(connection)
    reset(connection)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        pytest.param(read_and_reset, "the connection broke off", id="reset"),
        pytest.param(answering(b""), "the connection broke off", id="closed"),
        pytest.param(
            answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"),
            "broke off",
            id="cut",
        ),
        pytest.param(answering(CHUNKED + b"5\r\nab"), "broke off", id="cut-chunk"),
        pytest.param(
            answering(b"hello\r\n\r\n"), "the answer is not HTTP", id="nonsense"
        ),
    ],
)
def test_a_request_that_was_written_and_not_answered_has_an_unknown_outcome(
    serve: Serve, client: Patched, script: Script, reason: str
) -> None:
    server = serve(script)
    with pytest.raises(NoAnswerError, match=reason):
        client.post(server.url)
    assert server.connections == 1


def test_a_kept_connection_reset_before_anything_was_written_sent_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, done = threading.Event(), threading.Event()

    def script(connection: socket.socket) -> None:
        answering(OK)(connection)
        assert_set(now)
        reset(connection)
        done.set()

    server, http = Server(script), HttpClient()
    post(http, server.url)
    take = HTTPConnectionPool._get_conn  # noqa: SLF001 - there is no other moment

    def late(*args: Any) -> Any:
        """Come after the pool found the connection sound, and before the write."""
        connection = take(*args)
        now.set()
        assert_set(done)
        return connection

    monkeypatch.setattr(HTTPConnectionPool, "_get_conn", late)
    with pytest.raises(NotSentError, match="the connection broke off"):
        post(http, server.url)
    assert server.connections == 1
    http.close()
    server.stop()


def post(http: HttpClient, url: str, timeout: float = 20) -> int:
    limit = timedelta(seconds=timeout)
    return http.call("POST", url, headers={}, body=b"{}", timeout=limit).status


def test_bytes_after_an_answer_are_never_taken_for_the_next_answer(
    serve: Serve, client: Patched
) -> None:
    server = serve(always(OK + b"HTTP/1.1 500 Never Asked For\r\n\r\n"))
    assert [client.post(server.url).status for _ in range(3)] == [200] * 3


def test_a_refused_connection_is_not_sent(client: Patched) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(NotSentError, match="the connection was refused"):
        client.post(f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64 + ".example"])
def test_an_unknown_name_is_not_sent(client: Patched, host: str) -> None:
    with pytest.raises(NotSentError, match="name cannot be resolved"):
        client.post(f"http://{host}/")


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
    serve: Serve, client: Patched, script: Script, reason: str
) -> None:
    began = time.monotonic()
    with pytest.raises(NotSentError, match=reason):
        client.post(f"https://127.0.0.1:{serve(script).port}/", timeout=0.6)
    assert time.monotonic() - began < 3


def test_a_certificate_of_a_stranger_is_not_trusted(
    serve: Serve, client: Patched, over_tls: Callable[[Script], Script]
) -> None:
    server = serve(over_tls(always(OK)))
    with pytest.raises(NotSentError, match="certificate is not trusted"):
        client.post(f"https://127.0.0.1:{server.port}/")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a\r\nB", "value"),
        ("a b", "value"),
        ("", "value"),
        ("ä", "value"),
        ("Api-Key", "with\r\nbreak"),
        ("Api-Key", "schlüssel"),
        ("Api-Key", " leading"),
    ],
)
def test_a_header_that_cannot_be_sent_is_refused_without_showing_it(
    client: Patched, name: str, value: str
) -> None:
    with pytest.raises(NotSentError, match="header") as caught:
        client.post("http://127.0.0.1:9/", headers={name: value})
    assert value not in caught.value.reason
