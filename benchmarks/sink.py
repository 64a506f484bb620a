"""The sink: a process of its own that answers as Iterable does and notes who was told.

It reads just enough of HTTP to find the end of a request, and the recipient in it.
Orders come as JSON lines on standard input; its end is the end of the process.
"""

import heapq
import json
import os
import re
import select
import socket
import sys
import time
from typing import Any

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
RECIPIENT = b'"recipientUserId"'
BODY = b'{"msg":"Sent triggered message","code":"Success","params":null}'
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    b"iterable-request-id: 3afd1c6d-54e3-453e-a25e-52ff1b6872fe\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
)
NANO = 1_000_000_000
STDIN = 0


class Sink:
    """Answers requests until standard input ends.

    Args:
        listener: Bound and listening.
        latency: Seconds between a request and its answer.
    """

    def __init__(self, listener: socket.socket, latency: float) -> None:
        self._listener = listener
        self._latency = int(latency * NANO)
        self._poll = select.epoll()
        self._buffers: dict[int, bytes] = {}
        self._sockets: dict[int, socket.socket] = {}
        self._due: list[tuple[int, int, socket.socket]] = []
        self._first_ns: dict[str, int] = {}
        #: Begins the name of every recipient that counts.
        self._prefix = ""
        self._total = self._last_ns = 0
        self._expected: int | None = None

    def run(self) -> None:
        self._listener.setblocking(False)
        self._poll.register(self._listener, select.EPOLLIN)
        self._poll.register(STDIN, select.EPOLLIN)
        while True:
            for fd, _ in self._poll.poll(self._wait()):
                if fd == STDIN:
                    if not self._obey():
                        return
                elif fd == self._listener.fileno():
                    self._accept()
                else:
                    self._read(fd)
            self._answer_due()

    def _wait(self) -> float:
        if not self._due:
            return 1.0
        return max(0.0, (self._due[0][0] - time.monotonic_ns()) / NANO)

    def _accept(self) -> None:
        try:
            while True:
                sock, _ = self._listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets[sock.fileno()] = sock
                self._buffers[sock.fileno()] = b""
                self._poll.register(sock, select.EPOLLIN)
        except BlockingIOError:
            return

    def _read(self, fd: int) -> None:
        try:
            got = self._sockets[fd].recv(65536)
        except ConnectionError:
            got = b""
        if not got:
            del self._buffers[fd]
            self._sockets.pop(fd).close()
            return
        request = self._buffers[fd] + got
        end = request.find(b"\r\n\r\n")
        length = LENGTH.search(request, 0, end + 2) if end > 0 else None
        whole = end + 4 + (int(length[1]) if length else 0)
        if end < 0 or len(request) < whole:
            self._buffers[fd] = request
            return
        self._buffers[fd] = b""
        self._note(request)
        if self._latency:
            due = (time.monotonic_ns() + self._latency, fd, self._sockets[fd])
            heapq.heappush(self._due, due)
        else:
            self._sockets[fd].send(ANSWER)

    def _note(self, request: bytes) -> None:
        self._total += 1
        at = request.find(RECIPIENT)
        if at > 0:
            begin = request.find(b'"', at + len(RECIPIENT)) + 1
            user = request[begin : request.find(b'"', begin)].decode()
            if user.startswith(self._prefix) and user not in self._first_ns:
                self._first_ns[user] = self._last_ns = time.monotonic_ns()
        self._tell_if_expected()

    def _answer_due(self) -> None:
        while self._due and self._due[0][0] <= time.monotonic_ns():
            _, fd, sock = heapq.heappop(self._due)
            # A number may be another connection's by now.
            if self._sockets.get(fd) is sock:
                sock.send(ANSWER)

    def _obey(self) -> bool:
        line = os.read(STDIN, 65536)
        if not line:
            return False
        order = json.loads(line)
        if order["do"] == "reset":
            self._first_ns, self._total, self._last_ns = {}, 0, 0
            self._prefix = order["prefix"]
            self._tell()
        elif order["do"] == "arrivals":
            self._tell(arrivals=self._first_ns)
        elif order["do"] == "look":
            self._tell()
        else:
            self._expected = order["count"]
            self._tell_if_expected()
        return True

    def _tell_if_expected(self) -> None:
        if self._expected is not None and len(self._first_ns) >= self._expected:
            self._expected = None
            self._tell()

    def _tell(self, **more: Any) -> None:
        facts = {
            "distinct": len(self._first_ns),
            "total": self._total,
            "last_ns": self._last_ns,
            "cpu": time.process_time(),
        }
        print(json.dumps(facts | more), flush=True)


def main() -> None:
    listener = socket.socket(fileno=int(sys.argv[1]))
    Sink(listener, float(sys.argv[2])).run()


if __name__ == "__main__":
    main()
