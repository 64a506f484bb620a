"""Webhooks at a steady rate while Iterable is away, and what follows its return."""

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

from benchmarks import disk, envelopes, processes
from benchmarks.peers import Sender, Sink
from benchmarks.programs import Running, Settings, bridge, started
from benchmarks.scenarios import spread
from benchmarks.sender import NANO, Order

MEBIBYTE = 1024 * 1024
CONNECTIONS = 32
#: Numbers of the three loads: before, during and after the outage.
BEFORE, DURING, AFTER = 1, 2, 3
#: Fresh webhooks that come in while the backlog drains: how many a second, how long.
FRESH_RATE, FRESH_SECONDS = 20, 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """What the outage did to the answers, the memory and the backlog."""

    seconds: float
    #: Webhooks a second that came in, and sends a second that were allowed.
    rate: float
    send_rate: float
    answered: int
    refused: int
    #: Answers to Voucherify, in milliseconds.
    answer_ms: Mapping[str, float]
    #: A small durable write on the same disk meanwhile.
    disk_ms: Mapping[str, float]
    #: Of the whole program, in MiB, a tenth into the outage and at its end.
    memory_early: float
    memory_late: float
    #: From Iterable's return until the last message of the backlog.
    drain_seconds: float
    #: Messages a second in the second and third quarter of the drain.
    drain_rate: float
    #: From webhook to message of what came in during the drain, in milliseconds.
    fresh_ms: Mapping[str, float]
    #: Messages of the backlog that were sent meanwhile.
    backlog_meanwhile: int
    #: People told more than once.
    duplicates: int


class Memory:
    """Looks at a program's memory once a second."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._over = Event()
        self._looks: list[float] = []
        self._thread = Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(1.0):
            found = processes.memory(processes.tree(self._pid))
            self._looks.append(found.pss / MEBIBYTE)

    def end(self) -> tuple[float, float]:
        """Stop looking; give it a tenth into the time, and at the end of it."""
        self._over.set()
        self._thread.join()
        return self._looks[len(self._looks) // 10], self._looks[-1]


def measure(folder: Path, *, seconds: float, rate: float, send_rate: float) -> Outage:
    """Take Iterable away for so long, bring it back, and watch the backlog drain."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = Settings(
        processes=2, threads=16, iterable_url=f"http://127.0.0.1:{port}"
    )
    program = bridge(settings, folder, delivers=True)
    _limit(folder / "config.yaml", send_rate)
    with Sender() as sender, started(program, folder) as running:
        _order(sender, running, BEFORE, 50, 50)
        memory = Memory(running.pid)
        with disk.timed(folder) as took:
            during = _order(sender, running, DURING, int(rate * seconds), rate)
        early, late = memory.end()
        with Sink(0, port) as sink:
            back = time.monotonic_ns()
            after = _order(
                sender, running, AFTER, int(FRESH_RATE * FRESH_SECONDS), FRESH_RATE
            )
            everybody = 50 + len(during["sent_ns"]) + len(after["sent_ns"])
            sink.expect(everybody, 600 + 3 * everybody / send_rate)
            seen = sink.ask("arrivals")
    arrivals: dict[str, int] = seen["arrivals"]
    waited = sorted(
        at for user, at in arrivals.items() if user[:8] != envelopes.users_of(AFTER)
    )
    quarter = len(waited) // 4
    middle = (waited[3 * quarter] - waited[quarter]) / NANO
    fresh = [
        arrivals[envelopes.user_id(AFTER, index)] - due
        for index, due in enumerate(after["sent_ns"])
    ]
    last = after["sent_ns"][-1]
    return Outage(
        seconds=seconds,
        rate=rate,
        send_rate=send_rate,
        answered=during["statuses"].get("202", 0),
        refused=sum(during["statuses"].values()) - during["statuses"].get("202", 0),
        answer_ms=spread(during["answer_ns"]),
        disk_ms=spread(took),
        memory_early=early,
        memory_late=late,
        drain_seconds=(waited[-1] - back) / NANO,
        drain_rate=2 * quarter / middle,
        fresh_ms=spread(fresh),
        backlog_meanwhile=sum(at < last for at in waited),
        duplicates=seen["total"] - len(arrivals),
    )


def _limit(config: Path, send_rate: float) -> None:
    """Set how many sends a second the destination takes."""
    text = config.read_text(encoding="utf-8")
    before = "rate_per_second: 100000"
    assert before in text
    config.write_text(
        text.replace(before, f"rate_per_second: {send_rate:g}"), encoding="utf-8"
    )


def _order(
    sender: Sender, running: Running, run: int, webhooks: int, rate: float
) -> dict[str, Any]:
    """Post so many at a rate, whatever the answers do."""
    order = Order(
        port=running.port,
        run=run,
        count=webhooks,
        connections=CONNECTIONS,
        rate=rate,
        seconds=webhooks / rate + 60,
    )
    sender.build(order)
    return sender.go(order)
