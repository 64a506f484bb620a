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
    ("figure", 39),
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


FIGURES = (
    Figure(
        scenario="accept",
        title="accepted on disk, per second",
        value=lambda one: one.rate,
        goal=">= 0.3",
    ),
    Figure(
        scenario="accept",
        title="  CPU seconds per 1,000",
        value=lambda one: one.cpu_per_1000,
        digits=2,
    ),
    Figure(
        scenario="accept",
        title="  answer p99, ms",
        value=lambda one: one.answer_ms["p99"],
        digits=1,
    ),
    Figure(
        scenario="relay",
        title="received to delivered, per second",
        value=lambda one: one.rate,
        goal=">= 1.0",
    ),
    Figure(
        scenario="relay",
        title="  CPU seconds per 1,000",
        value=lambda one: one.cpu_per_1000,
        digits=2,
    ),
    Figure(
        scenario="relay",
        title="  memory of all its processes, PSS, MB",
        value=lambda one: one.pss / MEBIBYTE,
        goal="<= 250",
        is_ratio=False,
    ),
    Figure(
        scenario="relay",
        title="  the same, RSS, MB",
        value=lambda one: one.rss / MEBIBYTE,
    ),
    *(
        Figure(
            scenario="latency",
            title=title.format(name),
            value=lambda one, kind=kind, name=name: getattr(one, kind)[name],  # type: ignore[misc]
            digits=1,
        )
        for title, kind in (
            ("answer at a fixed rate, {}, ms", "answer_ms"),
            ("  webhook in to Iterable call, {}, ms", "relay_ms"),
        )
        for name in ("p50", "p99")
    ),
    *(
        Figure(
            scenario="retention",
            title=f"answer while retention works, {name}, ms",
            value=lambda one, name=name: one.answer_ms[name],  # type: ignore[misc]
            digits=1,
        )
        for name in ("p50", "p90", "p99", "p999")
    ),
    Figure(
        scenario="latency",
        title="  CPU seconds per 1,000",
        value=lambda one: one.cpu_per_1000,
        digits=2,
    ),
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


def bottlenecks(samples: Sequence[Sample], peers: dict[str, float]) -> str:
    """Show that sender and sink had room, and what else the machine was doing."""
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
