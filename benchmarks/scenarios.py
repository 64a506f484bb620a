"""The measurements: one load on one program, and which loads make up the benchmark."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import quantiles
from typing import Any

from benchmarks import disk, envelopes, processes, programs
from benchmarks.peers import PeerError, Sender, Sink
from benchmarks.programs import Program, Running, Settings
from benchmarks.sender import NANO, Order

#: Webhooks that warm a program up before it is measured.
WARM_UP = 300
#: Seconds after the first answers until every process of the program is surely up.
SETTLE = 0.5
#: Seconds until the last message of a load must have reached the sink.
DELIVERED_WITHIN = 90.0
MOST_WEBHOOKS = 60_000
#: Memory is looked at after so many.
MANY_WEBHOOKS = 100_000

#: Makes a program in a folder of its own.
Maker = Callable[[Settings, Path], Program]


class BenchmarkError(Exception):
    """A program did not carry the load; the message shows the end of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a program is put under."""

    count: int
    seconds: float
    connections: int
    rate: float | None = None
    #: True measures until the sink has seen every message.
    is_relayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """The bridge and its baseline under the same load, in turns."""

    name: str
    title: str
    load: Load
    rounds: int
    bridge: Maker
    baseline: Maker
    #: The baseline's, where it is another.
    baseline_load: Load | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One program under one load, measured."""

    scenario: str
    program: str
    count: int
    seconds: float
    #: Webhooks a second: accepted, or received and delivered.
    rate: float
    #: CPU seconds per 1,000 webhooks of the program's process tree.
    cpu_per_1000: float
    pss: int
    rss: int
    #: Shares of one core.
    sender_core: float
    sink_core: float
    others_core: float
    #: Calls at the sink beyond one for each webhook.
    repeats: int
    answer_ms: dict[str, float]
    #: From the webhook being due to its call arriving at the sink.
    relay_ms: dict[str, float] = field(default_factory=dict)
    #: How late the sender itself was.
    lag_ms: dict[str, float] = field(default_factory=dict)
    #: A small durable write on the same disk meanwhile.
    disk_ms: dict[str, float] = field(default_factory=dict)


class Bench:
    """Runs scenarios with one sender and one sink.

    Args:
        sender: Posts the webhooks.
        sink: Stands for Iterable.
        settings: Given to every program.
        folder: Where programs keep their files: a real disk, not memory.
        patience: Seconds to wait before each run for the machine to be calm.
    """

    def __init__(
        self,
        sender: Sender,
        sink: Sink,
        settings: Settings,
        *,
        folder: Path,
        patience: float,
    ) -> None:
        self._sender = sender
        self._sink = sink
        self._settings = settings
        self._folder = folder
        self._patience = patience
        self._run = 0

    def samples(self, scenario: Scenario) -> Iterator[Sample]:
        """Measure bridge and baseline in turns, each freshly started."""
        for _ in range(scenario.rounds):
            for make, load in (
                (scenario.bridge, scenario.load),
                (scenario.baseline, scenario.baseline_load or scenario.load),
            ):
                processes.wait_for_calm(self._patience)
                folder = Path(tempfile.mkdtemp(dir=self._folder))
                program = make(self._settings, folder)
                with programs.started(program, folder) as running:
                    try:
                        yield self._measure(scenario.name, load, running, folder)
                    except PeerError as error:
                        raise BenchmarkError(
                            f"{scenario.name}, {program.name}: {error}\n"
                            f"{running.tail()}"
                        ) from error
                shutil.rmtree(folder)

    def _measure(
        self, scenario: str, load: Load, running: Running, folder: Path
    ) -> Sample:
        self._carry(self._order(running, replace(load, count=WARM_UP, rate=None)), load)
        time.sleep(SETTLE)
        order = self._order(running, load)
        meter = Meter(self._sink, running.pid)
        with disk.timed(folder) as took:
            tally = self._carry(order, load)
        sample = meter.sample(scenario, running.program.name, load, order, tally)
        return replace(sample, disk_ms=spread(took))

    def _order(self, running: Running, load: Load) -> Order:
        """Make the order of a new run, and have everything ready for it."""
        self._run += 1
        order = Order(
            port=running.port,
            run=self._run,
            count=load.count,
            connections=load.connections,
            seconds=load.seconds,
            rate=load.rate,
        )
        self._sender.build(order)
        self._sink.ask("reset", prefix=envelopes.users_of(order.run))
        return order

    def _carry(self, order: Order, load: Load) -> dict[str, Any]:
        """Carry out an order; returns the sender's tally when all has arrived."""
        tally = self._sender.go(order)
        sent = len(tally["sent_ns"])
        if tally["statuses"] != {"202": sent}:
            raise PeerError(f"not all {sent} answers were 202: {tally['statuses']}")
        if load.is_relayed:
            self._sink.expect(sent, DELIVERED_WITHIN)
        return tally


class Meter:
    """Reads what is used from its making to the sample."""

    def __init__(self, sink: Sink, program: int) -> None:
        self._sink = sink
        self._pids = processes.tree(program)
        self._sink_cpu = sink.ask("look")["cpu"]
        self._program_cpu = processes.cpu_seconds(self._pids)
        self._machine = processes.machine_busy_seconds()

    def sample(
        self,
        scenario: str,
        program: str,
        load: Load,
        order: Order,
        tally: dict[str, Any],
    ) -> Sample:
        busy = processes.machine_busy_seconds() - self._machine
        cpu = processes.cpu_seconds(self._pids) - self._program_cpu
        is_relayed = load.is_relayed
        seen = self._sink.ask("arrivals" if is_relayed else "look")
        sink_cpu = seen["cpu"] - self._sink_cpu
        sent = len(tally["sent_ns"])
        last = seen["last_ns"] if is_relayed else tally["last_ns"]
        seconds = (last - tally["first_ns"]) / NANO
        memory = processes.memory(self._pids)
        return Sample(
            scenario=scenario,
            program=program,
            count=sent,
            seconds=seconds,
            rate=sent / seconds,
            cpu_per_1000=cpu / sent * 1000,
            pss=memory.pss,
            rss=memory.rss,
            sender_core=tally["cpu"] / seconds,
            sink_core=sink_cpu / seconds,
            others_core=max(0.0, busy - cpu - sink_cpu - tally["cpu"]) / seconds,
            repeats=seen["total"] - sent if is_relayed else 0,
            answer_ms=spread(tally["answer_ns"]),
            relay_ms=spread(_relays(order.run, tally, seen.get("arrivals"))),
            lag_ms=spread(tally["lag_ns"]),
        )


def _relays(
    run: int, tally: dict[str, Any], arrivals: dict[str, int] | None
) -> list[int]:
    if arrivals is None:
        return []
    return [
        arrivals[envelopes.user_id(run, index)] - due
        for index, due in enumerate(tally["sent_ns"])
    ]


def spread(nanoseconds: list[int]) -> dict[str, float]:
    """Give the middle and the slow end in milliseconds; empty for fewer than two."""
    if len(nanoseconds) < 2:
        return {}
    cuts = quantiles(nanoseconds, n=1000, method="inclusive")
    names = {"p50": 499, "p90": 899, "p99": 989, "p999": 998}
    return {name: cuts[at] / 1e6 for name, at in names.items()}
