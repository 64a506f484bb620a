"""Programs under test, and clients that say exactly what they are told to."""

import json
import signal
import socket
import subprocess
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import IO, Any

from tests.starting import Running

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Answer:
    """One response as it came over the socket."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> Any:
        return json.loads(self.body)


class ClosedError(EOFError):
    """The other side closed the connection before an answer began."""


class Peer:
    """A client that says exactly what it is told to."""

    def __init__(self, address: Address, timeout: float = 60) -> None:
        self.socket = socket.create_connection(address, timeout)
        self._file: BufferedReader = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send_if_possible(self, data: bytes) -> None:
        with suppress(ConnectionError):
            self.send(data)

    def post(self, body: bytes, path: str = "/", headers: str = "") -> Answer:
        head = f"POST {path} HTTP/1.1\r\nHost: t\r\nContent-Length: {len(body)}\r\n"
        self.send(f"{head}{headers}\r\n".encode("latin-1") + body)
        return self.answer()

    def answer(self) -> Answer:
        """Read one response.

        Raises:
            ClosedError: Nothing of it came.
            EOFError: A part of it came.
        """
        if not self._file.peek(1):
            raise ClosedError
        status = self._line().split(" ")[1]
        headers = {}
        while line := self._line():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if headers.get("transfer-encoding") == "chunked":
            return Answer(int(status), headers, self._chunks())
        length = int(headers.get("content-length", "0"))
        return Answer(int(status), headers, self._exactly(length))

    def ends(self) -> bool:
        """Wait until the other side closes; False if it sends something instead."""
        with suppress(ConnectionResetError):
            return self._file.read(1) == b""
        return True

    def everything(self) -> bytes:
        """Read until the other side closes."""
        with suppress(ConnectionResetError):
            return self._file.read()
        return b""

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def _line(self) -> str:
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError(line)
        return line[:-2].decode("latin-1")

    def _exactly(self, length: int) -> bytes:
        data = self._file.read(length)
        if len(data) != length:
            raise EOFError(f"{len(data)} of {length} bytes")
        return data

    def _chunks(self) -> bytes:
        data = b""
        while size := int(self._line(), 16):
            data += self._exactly(size)
            self._line()
        self._line()
        return data


class Program:
    """A program under test that listens at `address`."""

    def __init__(self, process: Running, address: Address, log: Path) -> None:
        self.process = process
        self.address = address
        self._log = log
        self._peers = ExitStack()

    def connect(self) -> Peer:
        """Open a connection that the end of the test closes."""
        peer = Peer(self.address)
        self._peers.callback(peer.close)
        return peer

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def stop(self) -> None:
        self._peers.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            print(self.log())


#: Given what makes a process of a bound socket and a file for its log.
Start = Callable[[Callable[[int, IO[bytes]], Running]], Program]
