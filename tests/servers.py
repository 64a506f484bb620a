"""A server of which a test says, byte by byte, what it does."""

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress

Script = Callable[[socket.socket], None]


class Server:
    """Plays a script on each connection, in a thread of its own, and remembers."""

    def __init__(self, script: Script) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._script = script
        self._threads = [threading.Thread(target=self._accept)]
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/api/email/target"
        self.connections = 0
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                thread = threading.Thread(target=self._play, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _play(self, connection: socket.socket) -> None:
        # A test that fails must not leave a thread waiting for ever.
        connection.settimeout(20)
        with connection, suppress(OSError):
            self._script(connection)

    def stop(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()


def read_request(connection: socket.socket) -> bytes:
    """Read one request with a Content-Length; empty at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        received = connection.recv(65536)
        if not received:
            return b""
        data += received
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            missing = int(line.partition(b":")[2]) - len(body)
            while missing > 0:
                received = connection.recv(missing)
                data, missing = data + received, missing - len(received)
    return data


def answering(*answers: bytes) -> Script:
    """Answer the requests of one connection in turn, then close it."""

    def script(connection: socket.socket) -> None:
        for answer in answers:
            if not read_request(connection):
                return
            connection.sendall(answer)

    return script


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
ENDLESS = b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\n"


def always(answer: bytes) -> Script:
    return answering(*[answer] * 100)


def dripping(start: bytes, drop: bytes) -> Script:
    """Answer a piece at a time, each soon enough for a timeout per read."""

    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(start)
        while True:
            connection.sendall(drop)
            wait_readable(connection, 0.02)

    return script


def wait_readable(connection: socket.socket, seconds: float) -> None:
    """Wait for the other side to close, at most this long."""
    connection.settimeout(seconds)
    with suppress(TimeoutError):
        if not connection.recv(1):
            raise ConnectionError
    connection.settimeout(20)
