"""The sink: a process that answers as Iterable does and counts distinct recipients."""

import multiprocessing
import re
import signal
import socket
import time
from collections.abc import MutableSequence

import gevent
import gevent.socket
from gevent.server import StreamServer

from benchmarks.checkout import BenchmarkError
from benchmarks.webhooks import is_complete

#: The last four digits of a user id are the run's.
RECIPIENT = re.compile(rb'"recipientUserId": *"([^"]*([0-9a-f]{4}))"')
BODY = b'{"msg":"Sent triggered message","code":"Success","params":null}'
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    b"iterable-request-id: 3afd1c6d-54e3-453e-a25e-52ff1b6872fe\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
)
#: Places of the shared numbers: newest run, its recipients, time of the last new one.
RUN, DISTINCT, LAST_NS = range(3)


class _Counter:
    """Counts the recipients of the newest run, over all connections."""

    def __init__(self, numbers: MutableSequence[int]) -> None:
        self._numbers = numbers
        self._recipients: set[bytes] = set()

    def serve(self, sock: gevent.socket.socket, _address: object) -> None:
        buffer = b""
        while received := sock.recv(65536):
            buffer += received
            if is_complete(buffer):
                self._count(buffer)
                buffer = b""
                sock.sendall(ANSWER)

    def _count(self, request: bytes) -> None:
        found, numbers = RECIPIENT.search(request), self._numbers
        run = int(found[2], 16) if found else 0
        if run > numbers[RUN]:
            self._recipients.clear()
            numbers[:] = [run, 0, 0]
        if found and run == numbers[RUN] and found[1] not in self._recipients:
            self._recipients.add(found[1])
            numbers[LAST_NS] = time.monotonic_ns()
            numbers[DISTINCT] += 1


def _main(listener: socket.socket, numbers: MutableSequence[int]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A program that is ended may reset its connections.
    gevent.get_hub().NOT_ERROR += (ConnectionError,)
    theirs = gevent.socket.socket(fileno=listener.detach())
    StreamServer(theirs, _Counter(numbers).serve).serve_forever()


class Sink:
    """The process in place of Iterable, on a free port."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._numbers: MutableSequence[int] = context.Array("q", 3, lock=False)
        with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            given = (listener, self._numbers)
            self._process = context.Process(target=_main, args=given, daemon=True)
            self._process.start()
        self.pid = self._process.pid or 0

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.join()

    def wait(self, run: int, count: int, seconds: float) -> int:
        """Wait until so many recipients of a run had a message; when the last had."""
        until = time.monotonic() + seconds
        while self._numbers[RUN] != run or self._numbers[DISTINCT] < count:
            if time.monotonic() > until:
                raise BenchmarkError(f"not all {count} messages within {seconds:g} s")
            time.sleep(0.01)
        return self._numbers[LAST_NS]
