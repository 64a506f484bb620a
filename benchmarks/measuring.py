"""Measurements: one load on one program, and several programs in turns."""

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

from benchmarks import processes, sender
from benchmarks.checkout import BenchmarkError
from benchmarks.programs import Maker, Program, Running, started
from benchmarks.sender import NANO, Order, Tally
from benchmarks.sink import Sink

CONNECTIONS = 64
#: Webhooks that warm a program up before it is measured.
WARM_UP = 300
#: Seconds to finish work after the last message; their CPU time counts.
SETTLE = 0.5
#: Seconds until the last message of a step must have reached the sink.
RELAY_SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is sent to a program; if relayed, until the sink has every message.

    Each step is sent, for at most so many seconds, when the last is complete; without
    a rate (webhooks a second), as fast as the program answers.
    """

    count: int
    seconds: float = 60
    rate: float | None = None
    is_relayed: bool = True
    steps: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Programs that take turns under the same load."""

    title: str
    load: Load
    programs: Mapping[str, Maker]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One program under one load in one round.

    Webhooks a second, accepted or relayed; CPU time of all its processes for each; time
    of an answer; memory of all its processes after each step; and how many cores
    everything but program and sink used meanwhile, the sender included.
    """

    scenario: str
    program: str
    round: int
    count: int
    rate: float
    cpu_ms: float
    p50_ms: float
    p99_ms: float
    pss_mb: list[float]
    others_core: float


class Bench:
    """Measures programs; the pool is the sender's process, the folder for files."""

    def __init__(self, pool: Executor, sink: Sink, *, folder: Path) -> None:
        self._pool = pool
        self._sink = sink
        self.folder = folder
        self._run = 0

    def samples(self, name: str, scenario: Scenario, rounds: int) -> Iterator[Sample]:
        """Measure each program, freshly started, once a round."""
        names = list(scenario.programs)
        for number in range(rounds):
            first = number % len(names)
            for program in names[first:] + names[:first]:
                folder = Path(tempfile.mkdtemp(dir=self.folder))
                log = folder / "program.log"
                try:
                    made = scenario.programs[program](folder)
                    with started(made, log) as running:
                        sample = self._measure(running, scenario.load)
                except (BenchmarkError, OSError) as error:
                    last = log.read_text(encoding="utf-8").splitlines()[-20:]
                    message = "\n".join([f"{name}, {program}: {error}", *last])
                    raise BenchmarkError(message) from error
                shutil.rmtree(folder)
                yield Sample(scenario=name, program=program, round=number, **sample)

    def deliver_one(self, program: Program, folder: Path) -> int:
        """Have a program deliver one webhook and end; returns its run."""
        with started(program, folder / "program.log") as running:
            self._carry(running, Load(count=1), count=1)
        return self._run

    def _measure(self, running: Running, load: Load) -> dict[str, Any]:
        """Put a program under load; returns fields of a `Sample`."""
        warm = Load(count=WARM_UP, is_relayed=load.is_relayed)
        self._carry(running, warm, count=min(WARM_UP, load.count))
        time.sleep(SETTLE)
        pids = processes.of_sessions(running.leaders)
        cpu, began = self._used(pids), time.monotonic()
        tallies, ends, memory = [], [], []
        for number in range(load.steps):
            count = load.count // load.steps
            tally, end = self._carry(running, load, count=count, step=number)
            tallies.append(tally)
            ends.append(end)
            memory.append(processes.pss_megabytes(pids))
        time.sleep(SETTLE)
        if pids != processes.of_sessions(running.leaders):
            raise BenchmarkError("a process of the program began or ended meanwhile")
        own, others = (
            now - then for now, then in zip(self._used(pids), cpu, strict=True)
        )
        answers = [one for tally in tallies for one in tally.answer_ns]
        cuts, count = quantiles(answers, n=100, method="inclusive"), len(answers)
        return {
            "count": count,
            "rate": count / (ends[-1] - tallies[0].first_ns) * NANO,
            "cpu_ms": own / count * 1000,
            "p50_ms": cuts[49] / 1e6,
            "p99_ms": cuts[98] / 1e6,
            "pss_mb": memory,
            "others_core": max(0.0, others) / (time.monotonic() - began),
        }

    def _used(self, pids: list[int]) -> tuple[float, float]:
        """CPU seconds so far: of these processes, of all others but the sink."""
        own, sink = (processes.cpu_seconds(one) for one in (pids, [self._sink.pid]))
        return own, processes.machine_busy_seconds() - own - sink

    def _carry(
        self, running: Running, load: Load, *, count: int, step: int = 0
    ) -> tuple[Tally, int]:
        """Send a step; returns the tally, and when its last message or answer came."""
        if step == 0:
            self._run += 1
        order = Order(
            port=running.port,
            run=self._run,
            first=step * count,
            count=count,
            connections=min(CONNECTIONS, count),
            rate=load.rate,
            seconds=load.seconds,
        )
        self._pool.submit(sender.prepare, order).result()
        tally = self._pool.submit(sender.go, order).result()
        if set(tally.statuses) != {202}:
            raise BenchmarkError(f"not all answers are 202: {dict(tally.statuses)}")
        if not load.is_relayed:
            return tally, tally.last_ns
        expected = order.first + len(tally.answer_ns)
        return tally, self._sink.wait(order.run, expected, RELAY_SECONDS)
