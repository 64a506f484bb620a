"""Samples to ratios, a table and a JSON file."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.scenarios import Sample

MEBIBYTE = 1024 * 1024
#: (heading, width) of the table's columns.
COLUMNS = (
    ("figure", 46),
    ("bridge", 18),
    ("baseline", 18),
    ("ratio", 21),
    ("goal", 9),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table.

    Attributes:
        goal: What the ratio, or the bridge's own value where `is_ratio` is false, must
            reach: at least for a `>=`, at most for a `<=`.
    """

    scenario: str
    title: str
    value: Callable[[Sample], float]
    digits: int = 0
    goal: str | None = None
    is_ratio: bool = True


def _rate(scenario: str, title: str, goal: str | None = None) -> Figure:
    return Figure(scenario=scenario, title=title, value=lambda one: one.rate, goal=goal)


def _cpu(scenario: str, goal: str | None = None) -> Figure:
    return Figure(
        scenario=scenario,
        title="  CPU seconds per 1,000",
        value=lambda one: one.cpu_per_1000,
        digits=2,
        goal=goal,
    )


def _memory(scenario: str, title: str, goal: str, *, is_ratio: bool) -> Figure:
    return Figure(
        scenario=scenario,
        title=title,
        value=lambda one: one.pss / MEBIBYTE,
        goal=goal,
        is_ratio=is_ratio,
    )


def _time(
    scenario: str,
    title: str,
    at: tuple[str, str],
    goal: str | None = None,
    *,
    is_ratio: bool = True,
) -> Figure:
    """Make the figure of one percentile in milliseconds; `at` is its kind and name."""
    kind, part = at
    return Figure(
        scenario=scenario,
        title=f"{title}, {part}, ms",
        value=lambda one: getattr(one, kind)[part],
        digits=1,
        goal=goal,
        is_ratio=is_ratio,
    )


def _answer(part: str, goal: str) -> Figure:
    title = "answer at a fixed rate"
    return _time("latency", title, ("answer_ms", part), goal, is_ratio=False)


def _way(part: str, goal: str) -> Figure:
    title = "  webhook in to Iterable call"
    return _time("latency", title, ("relay_ms", part), goal, is_ratio=False)


FIGURES = (
    _rate("accept", "accepted on disk, per second", ">= 0.5"),
    _cpu("accept"),
    _time("accept", "  answer", ("answer_ms", "p99")),
    _rate("relay", "received to delivered, per second", ">= 1.5"),
    _cpu("relay", "<= 0.75"),
    _memory("relay", "  memory of all processes, PSS, MB", "<= 200", is_ratio=False),
    Figure(
        scenario="relay",
        title="  the same, RSS, MB",
        value=lambda one: one.rss / MEBIBYTE,
    ),
    _answer("p50", "<= 5"),
    _answer("p99", "<= 25"),
    _way("p50", "<= 20"),
    _way("p99", "<= 100"),
    _cpu("latency"),
    _rate("queue", "the same beside a queue on Redis, per second", ">= 1.0"),
    _cpu("queue"),
    _memory("memory", "memory after very many webhooks, MB", "<= 200", is_ratio=False),
    _memory("memory", "  grown since the first thousands", "<= 1.1", is_ratio=True),
    _rate("growth", "the same on a million rows, per second", ">= 0.9"),
    _cpu("growth"),
    _time("backlog", "answer while many wait", ("answer_ms", "p50"), "<= 1.2"),
    _time("backlog", "answer while many wait", ("answer_ms", "p99")),
    *(
        _time("retention", "answer while retention works", ("answer_ms", part))
        for part in ("p50", "p90", "p99", "p999")
    ),
    _rate("pg-accept", "accepted by PostgreSQL : by SQLite", ">= 0.6"),
    _cpu("pg-accept"),
    _rate("pg-relay", "relayed by PostgreSQL : by SQLite", ">= 0.6"),
    _cpu("pg-relay"),
    _rate("pg-workers", "relayed by two workers : by one", ">= 1.0"),
    _cpu("pg-workers"),
    _rate("pg-queue", "relayed by PostgreSQL beside Redis", ">= 1.0"),
    _cpu("pg-queue"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One figure, computed."""

    scenario: str
    title: str
    bridge: tuple[float, ...]
    baseline: tuple[float, ...]
    #: Bridge to baseline, of each round.
    ratios: tuple[float, ...]
    goal: str | None
    is_met: bool | None


def lines(samples: Sequence[Sample]) -> list[Line]:
    """Compute every figure there are samples for."""
    return [
        _line(figure, [one for one in samples if one.scenario == figure.scenario])
        for figure in FIGURES
        if any(one.scenario == figure.scenario for one in samples)
    ]


def _line(figure: Figure, samples: list[Sample]) -> Line:
    ours = tuple(figure.value(one) for one in samples if one.program == "bridge")
    theirs = tuple(figure.value(one) for one in samples if one.program != "bridge")
    ratios = tuple(a / b for a, b in zip(ours, theirs, strict=True))
    return Line(
        scenario=figure.scenario,
        title=figure.title,
        bridge=ours,
        baseline=theirs,
        ratios=ratios,
        goal=figure.goal,
        is_met=_is_met(figure.goal, median(ratios if figure.is_ratio else ours)),
    )


def _is_met(goal: str | None, value: float) -> bool | None:
    if goal is None:
        return None
    sign, _, limit = goal.partition(" ")
    return value >= float(limit) if sign == ">=" else value <= float(limit)


def table(samples: Sequence[Sample]) -> str:
    """Lay the figures out: medians, with lowest and highest in brackets."""
    text = ["".join(f"{name:<{width}}" for name, width in COLUMNS)]
    digits = {(one.scenario, one.title): one.digits for one in FIGURES}
    for line in lines(samples):
        places = digits[line.scenario, line.title]
        verdict = {None: "", True: "  reached", False: "  MISSED"}[line.is_met]
        cells = (
            line.title,
            _range(line.bridge, places, is_short=True),
            _range(line.baseline, places, is_short=True),
            _range(line.ratios, 2),
            (line.goal or "") + verdict,
        )
        padded = zip(cells, COLUMNS, strict=True)
        text.append("".join(f"{cell:<{column[1]}}" for cell, column in padded).rstrip())
    return "\n".join(text)


def _range(values: Sequence[float], digits: int, *, is_short: bool = False) -> str:
    middle = f"{median(values):,.{digits}f}"
    if len(values) == 1:
        return middle
    if is_short:
        return f"{middle} ±{(max(values) - min(values)) / 2:,.{digits}f}"
    return f"{middle} ({min(values):.{digits}f} - {max(values):.{digits}f})"


def _pace(paces: Sequence[dict[str, float]]) -> str:
    usual, slow = ([one[part] for one in paces] for part in ("p50", "p99"))
    return (
        f"A small durable write meanwhile: p50 {median(usual):.1f} ms; "
        f"p99 {median(slow):.1f} ms, up to {max(slow):.1f} in single runs."
    )


def bottlenecks(samples: Sequence[Sample], peers: dict[str, float]) -> str:
    """Show that sender and sink had room, and what machine and disk did meanwhile."""
    text = []
    if peers:
        text.append(
            "Sender against sink alone: "
            f"{peers['keep_alive']:,.0f} a second on kept connections, "
            f"{peers['fresh']:,.0f} on a new one each."
        )
    for name in dict.fromkeys(one.scenario for one in samples):
        here = [one for one in samples if one.scenario == name]
        text.append(
            f"{name}: busiest run {max(one.rate for one in here):,.0f} a second; "
            f"sender at most {max(one.sender_core for one in here):.0%} and sink "
            f"{max(one.sink_core for one in here):.0%} of one core; everything else on "
            f"the machine {median(one.others_core for one in here):.0%} (median) to "
            f"{max(one.others_core for one in here):.0%}."
        )
        lags = [one.lag_ms["p99"] for one in here if one.lag_ms]
        if lags:
            text.append(f"  The sender itself was late by p99 {max(lags):.1f} ms.")
        paces = [one.disk_ms for one in here if one.disk_ms]
        if paces:
            text.append(f"  {_pace(paces)}")
        repeats = sum(one.repeats for one in here)
        if repeats:
            text.append(f"  Calls repeated at the sink: {repeats}.")
    return "\n".join(text)


def write(
    path: Path,
    *,
    machine: dict[str, Any],
    settings: dict[str, Any],
    peers: dict[str, float],
    samples: Sequence[Sample],
) -> None:
    """Keep everything measured as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = {
        "machine": machine,
        "settings": settings,
        "peers": peers,
        "figures": [asdict(line) for line in lines(samples)],
        "samples": [asdict(one) for one in samples],
    }
    path.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
