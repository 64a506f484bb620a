"""The load generator: posts prebuilt webhooks over raw sockets, in its own process."""

import gc
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import gevent
from gevent import socket

from benchmarks import webhooks

#: Longest silence of the program, in seconds.
STALL = 30.0
#: Seconds between two new connections: in one burst the first receiving process to wake
#: accepts nearly all of them, and the others stay idle.
CONNECT_PAUSE = 0.001
NANO = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to send: `count` webhooks of a run, the first with the index `first`.

    With a rate (webhooks a second) each is sent on time, and its answer is timed from
    then. Without, every connection is kept busy. Sending stops after so many seconds.
    """

    port: int
    run: int
    first: int
    count: int
    connections: int
    rate: float | None
    seconds: float


@dataclass(slots=True)
class Tally:
    """Results of an order, up to its last answer; times on the monotonic clock."""

    statuses: Counter[int] = field(default_factory=Counter)
    first_ns: int = 0
    last_ns: int = 0
    answer_ns: list[int] = field(default_factory=list)


_prepared: list[bytes] = []


def prepare(order: Order) -> None:
    """Build the webhooks of an order, outside of any measurement."""
    _prepared[:] = webhooks.requests(order.first, order.count, run=order.run)


def go(order: Order) -> Tally:
    """Carry out the order just prepared; OSError if the program does not answer."""
    gevent.get_hub().NOT_ERROR += (OSError,)  # raised here, not printed
    sockets = []
    for _ in range(order.connections):
        sockets.append(socket.create_connection(("127.0.0.1", order.port), STALL))
        gevent.sleep(CONNECT_PAUSE)
    gc.disable()
    tally, due = Tally(first_ns=time.monotonic_ns()), enumerate(_prepared)
    jobs = [gevent.spawn(_send, sock, order, due=due, tally=tally) for sock in sockets]
    try:
        gevent.joinall(jobs, raise_error=True)
    finally:
        gevent.killall(jobs)
        gc.enable()
    for sock in sockets:
        sock.close()
    return tally


def _send(
    sock: socket.socket,
    order: Order,
    *,
    due: Iterator[tuple[int, bytes]],
    tally: Tally,
) -> None:
    """Send what is next over one connection until nothing is left or time is up."""
    end = tally.first_ns + order.seconds * NANO
    for index, request in due:
        began = time.monotonic_ns()
        if order.rate is not None:
            at = tally.first_ns + int(index / order.rate * NANO)
            if at > began:
                gevent.sleep((at - began) / NANO)
                # The timer's own delay of up to a millisecond is not the program's.
                at = time.monotonic_ns()
            began = at
        if began > end:
            return
        sock.sendall(request)
        tally.statuses[_status(sock)] += 1
        tally.last_ns = time.monotonic_ns()
        tally.answer_ns.append(tally.last_ns - began)


def _status(sock: socket.socket) -> int:
    """Read an answer; returns its status."""
    answer = b""
    while not webhooks.is_complete(answer):
        received = sock.recv(65536)
        if not received:
            raise ConnectionError("the program closed a connection it had to answer")
        answer += received
    return int(answer[9:12])
