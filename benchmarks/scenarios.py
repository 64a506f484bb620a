"""The scenarios, and the figures that are taken from them with their goals."""

from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path

from benchmarks import ledger
from benchmarks.measuring import Bench, Load, Sample, Scenario
from benchmarks.programs import Factory, Maker, missing_for_dramatiq

NAMES = ("relay", "accept", "latency", "growth", "memory")
#: Scenarios in which the old commit takes its turns.
WITH_OLD = frozenset({"relay", "accept", "latency"})
#: More webhooks a second than any program here accepts.
MOST_A_SECOND = 8_000
NEW, OLD, INLINE, DRAMATIQ, BARE = "new", "old", "inline", "dramatiq", "bare view"
NONE, MANY = "no rows", "many rows"


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of the report: a measure of a program in a scenario.

    `against` another program it is a ratio, of two turns of one round. The goal is
    `≥ 0.9` or `≤ 1.2`, or empty where the number is for information.
    """

    scenario: str
    title: str
    measure: Callable[[Sample], float]
    against: str = ""
    goal: str = ""
    program: str = NEW


_RATE, _CPU = attrgetter("rate"), attrgetter("cpu_ms")
FIGURES = (
    Figure("relay", "relayed/s", _RATE, OLD, "≥ 0.85"),
    Figure("relay", "relayed/s", _RATE, INLINE, "≥ 1.5"),
    Figure("relay", "relayed/s", _RATE, DRAMATIQ, "≥ 1.1"),
    Figure("relay", "CPU a webhook", _CPU, OLD, "≤ 1.2"),
    Figure("relay", "CPU a webhook", _CPU, INLINE, "≤ 0.75"),
    Figure("relay", "CPU a webhook", _CPU, DRAMATIQ),
    Figure("accept", "accepted/s", _RATE, OLD, "≥ 0.8"),
    Figure("accept", "accepted/s", _RATE, BARE),
    Figure("accept", "CPU a webhook", _CPU, OLD),
    Figure("latency", "answer p99", attrgetter("p99_ms"), OLD, "≤ 1.2"),
    Figure("latency", "answer p50", attrgetter("p50_ms"), OLD),
    Figure("growth", "relayed/s", _RATE, NONE, "≥ 0.9", program=MANY),
    Figure("memory", "PSS, MB", lambda one: one.pss_mb[-1], goal="≤ 200"),
    Figure(
        "memory",
        "PSS after the last step / the first",
        lambda one: one.pss_mb[-1] / one.pss_mb[0],
        goal="≤ 1.05",
    ),
)


def scenarios(options: Namespace, factory: Factory) -> dict[str, Scenario]:
    """Build every scenario but `growth`, which needs a ledger first."""
    bridge, held = factory.bridge, partial(factory.bridge, delivers=False)
    old, old_held = partial(bridge, is_old=True), partial(held, is_old=True)
    inline = partial(factory.script, module="inline_script")
    bare = partial(factory.script, module="bare_view")
    relaying: dict[str, Maker] = {NEW: bridge, OLD: old, INLINE: inline}
    if missing_for_dramatiq() is None:
        relaying[DRAMATIQ] = factory.dramatiq
    most, many = options.count or 1_000_000, options.count or 100_000
    short, long = options.seconds or 4, options.seconds or 20
    accepted = min(most, int(MOST_A_SECOND * short))
    answered = min(most, int(options.rate * long))
    return {
        "relay": Scenario(
            title="webhook in to message out",
            load=_relay(options),
            programs=relaying,
        ),
        "accept": Scenario(
            title="webhook in to 202, nothing delivered meanwhile",
            load=Load(count=accepted, seconds=short, is_relayed=False),
            programs={NEW: held, OLD: old_held, BARE: bare},
        ),
        "latency": Scenario(
            title=f"webhook in to 202 at {options.rate:g} a second",
            load=Load(count=answered, seconds=long + 1, rate=options.rate),
            programs={NEW: bridge, OLD: old},
        ),
        "memory": Scenario(
            title=f"memory after {many:,} webhooks, in ten steps",
            load=Load(count=many, seconds=120, steps=10),
            programs={NEW: bridge},
        ),
    }


def growth(
    options: Namespace, factory: Factory, bench: Bench, *, folder: Path
) -> Scenario:
    """Fill a ledger once for all turns; what they add is little beside it."""
    folder.mkdir()
    run = bench.deliver_one(factory.bridge(folder), folder)
    ledger.fill(folder / "bridge.db", rows=options.rows, run=run)
    return Scenario(
        title=f"webhook in to message out on a ledger of {options.rows:,} rows",
        load=_relay(options),
        programs={NONE: factory.bridge, MANY: lambda _: factory.bridge(folder)},
    )


def _relay(options: Namespace) -> Load:
    return Load(count=options.count or 4000)
