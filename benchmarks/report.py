"""The report: a table of figures and one of the programs."""

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.measuring import Sample
from benchmarks.scenarios import FIGURES, Figure

FIGURE = ("SCENARIO", "FIGURE", "MEDIAN", "MIN", "MAX", "GOAL", "VERDICT")
PROGRAM = (
    "SCENARIO",
    "PROGRAM",
    "RATE/S",
    "CPU MS",
    "P50",
    "P99 MS",
    "PSS MB",
    "OTHERS",
)


def figures(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """Compute the figures of which there are samples, over all rounds."""
    found = ((figure, _values(figure, samples)) for figure in FIGURES)
    return [_figure(figure, values) for figure, values in found if values]


def _values(figure: Figure, samples: Iterable[Sample]) -> list[float]:
    """Give the figure's value, or ratio, in each round."""
    found = {
        (sample.program, sample.round): figure.measure(sample)
        for sample in samples
        if sample.scenario == figure.scenario
    }
    own = {at: value for (name, at), value in found.items() if name == figure.program}
    if not figure.against:
        return list(own.values())
    pairs = ((value, found.get((figure.against, at))) for at, value in own.items())
    return [value / other for value, other in pairs if other is not None]


def _figure(figure: Figure, values: list[float]) -> dict[str, Any]:
    median, verdict = statistics.median(values), ""
    if figure.goal:
        sign, number = figure.goal.split()
        goal = float(number)
        is_reached = median >= goal if sign == "≥" else median <= goal
        verdict = "reached" if is_reached else "missed"
    pair = f", {figure.program} / {figure.against}" if figure.against else ""
    return {
        "scenario": figure.scenario,
        "figure": figure.title + pair,
        "median": median,
        "min": min(values),
        "max": max(values),
        "goal": figure.goal,
        "verdict": verdict,
    }


def text(samples: Sequence[Sample]) -> str:
    """Lay out both tables."""
    found = [list(figure.values()) for figure in figures(samples)]
    return f"{_table(FIGURE, found)}\n\n{_table(PROGRAM, _programs(samples))}"


def _programs(samples: Sequence[Sample]) -> list[list[object]]:
    """Give each program's medians in each scenario."""
    groups: dict[tuple[str, str], list[list[float]]] = {}
    for one in samples:
        numbers = [one.rate, one.cpu_ms, one.p50_ms, one.p99_ms]
        numbers += [one.pss_mb[-1], one.others_core]
        groups.setdefault((one.scenario, one.program), []).append(numbers)
    return [
        [*group, *map(statistics.median, zip(*rows, strict=True))]
        for group, rows in groups.items()
    ]


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    cells = [heads, *(list(map(_cell, row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = (
        [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        for row in cells
    )
    return "\n".join("  ".join(line).rstrip() for line in lines)


def _cell(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
