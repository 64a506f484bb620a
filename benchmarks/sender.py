"""The sender: a process of its own that posts prebuilt webhooks over raw sockets.

It takes orders as JSON lines on standard input and answers each with one line: first
that the webhooks are built, then, after a `go`, what became of them. A closed-loop
order keeps every connection busy; an open-loop one sends at its rate whatever the
answers do, and counts the time from the moment a webhook was due.
"""

import gc
import json
import re
import select
import socket
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks import envelopes

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
#: Longest silence of the other side, in seconds.
STALL = 30.0
#: Seconds between two new connections: in one burst the first receiving process to wake
#: takes nearly all of them, and the others stay idle.
CONNECT_PAUSE = 0.001
NANO = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to send and how."""

    port: int
    #: Number of the run: makes its webhooks differ from those of all others.
    run: int
    #: Most webhooks to send.
    count: int
    connections: int
    #: Webhooks a second, None to send as fast as the answers come.
    rate: float | None = None
    #: Stop sending after so many seconds.
    seconds: float = 60.0
    #: False opens a connection for every webhook.
    is_keep_alive: bool = True


@dataclass(slots=True)
class Tally:
    """What became of an order; times in nanoseconds of the monotonic clock."""

    statuses: dict[int, int] = field(default_factory=dict)
    first_ns: int = 0
    last_ns: int = 0
    #: When each webhook was sent, or was due in an open loop, in order.
    sent_ns: list[int] = field(default_factory=list)
    #: How late the sender itself was in an open loop.
    lag_ns: list[int] = field(default_factory=list)
    answer_ns: list[int] = field(default_factory=list)
    #: CPU seconds of the sender.
    cpu: float = 0.0


class Connection:
    """One keep-alive connection with at most one request on its way."""

    __slots__ = ("_address", "_buffer", "due_ns", "sock")

    def __init__(self, port: int) -> None:
        self._address = ("127.0.0.1", port)
        self._buffer = b""
        self.due_ns = 0
        self.sock = self._connect()

    def _connect(self) -> socket.socket:
        sock = socket.create_connection(self._address, timeout=STALL)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def fileno(self) -> int:
        return self.sock.fileno()

    def renew(self) -> None:
        self.sock.close()
        self.sock = self._connect()

    def status(self) -> int | None:
        """Read what is there; the status once the answer is whole."""
        got = self.sock.recv(65536)
        if not got:
            raise ConnectionError("the program closed a connection unasked")
        self._buffer += got
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        length = LENGTH.search(self._buffer, 0, end + 2)
        if len(self._buffer) < end + 4 + (int(length[1]) if length else 0):
            return None
        status, self._buffer = int(self._buffer[9:12]), b""
        return status


class Load:
    """One order being carried out."""

    def __init__(self, order: Order, webhooks: list[bytes]) -> None:
        self._order = order
        self._webhooks = webhooks
        self._idle: deque[Connection] = deque()
        for _ in range(order.connections):
            self._idle.append(Connection(order.port))
            time.sleep(CONNECT_PAUSE)
        self._busy: set[Connection] = set()
        self._tally = Tally()
        self._gap = None if order.rate is None else int(NANO / order.rate)
        self._start = self._end = 0

    def run(self) -> Tally:
        cpu = time.process_time()
        self._start = time.monotonic_ns()
        self._end = self._start + int(self._order.seconds * NANO)
        while True:
            wait = self._send()
            if not self._busy and wait is None:
                break
            self._receive(STALL if wait is None else wait)
        tally = self._tally
        tally.cpu = time.process_time() - cpu
        tally.first_ns = self._start
        for connection in self._idle:
            connection.sock.close()
        return tally

    def _send(self) -> float | None:
        """Send what is due; seconds until the next is, None when all is sent."""
        sent = self._tally.sent_ns
        while len(sent) < len(self._webhooks):
            now = time.monotonic_ns()
            due = now if self._gap is None else self._start + len(sent) * self._gap
            if due > self._end or (self._gap is None and now > self._end):
                return None
            if due > now:
                return (due - now) / NANO
            if not self._idle:
                return STALL
            connection = self._idle.popleft()
            connection.sock.sendall(self._webhooks[len(sent)])
            connection.due_ns = due
            self._busy.add(connection)
            if self._gap is not None:
                self._tally.lag_ns.append(now - due)
            sent.append(due)
        return None

    def _receive(self, seconds: float) -> None:
        # `select` waits in microseconds where `epoll` rounds up to milliseconds.
        ready, _, _ = select.select(self._busy, (), (), seconds)
        if not ready and seconds >= STALL:
            raise TimeoutError("the program answered nothing for too long")
        for connection in ready:
            status = connection.status()
            if status is None:
                continue
            now = time.monotonic_ns()
            statuses = self._tally.statuses
            statuses[status] = statuses.get(status, 0) + 1
            self._tally.answer_ns.append(now - connection.due_ns)
            self._tally.last_ns = now
            self._busy.remove(connection)
            if not self._order.is_keep_alive:
                connection.renew()
            self._idle.append(connection)


def _say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


def main() -> None:
    for line in sys.stdin:
        order = Order(**json.loads(line))
        webhooks = envelopes.requests(order.count, run=order.run, port=order.port)
        _say({"built": len(webhooks)})
        if sys.stdin.readline().strip() != "go":
            return
        gc.disable()
        try:
            _say(asdict(Load(order, webhooks).run()))
        except OSError as error:
            _say({"error": f"{type(error).__name__}: {error}"})
        gc.enable()


if __name__ == "__main__":
    main()
