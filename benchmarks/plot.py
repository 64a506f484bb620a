"""The figures as one picture; a door to matplotlib, which the extra `bench` brings."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from matplotlib import pyplot

from benchmarks.report import Line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OURS, THEIRS = "#2a6f97", "#c9ced6"
#: Longest label of a figure, in characters.
LABEL = 44


def draw(path: Path, lines: Sequence[Line]) -> None:
    """Draw throughput and latency, the bridge beside its baselines, as SVG.

    Args:
        path: The file to write.
        lines: The figures; those of other kinds are left out.
    """
    pyplot.rcParams["svg.hashsalt"] = "reward-bridge"
    groups = (
        ("webhooks a second", [one for one in lines if "per second" in one.title]),
        ("milliseconds", [one for one in lines if one.title.endswith(", ms")]),
    )
    shown = [(unit, found) for unit, found in groups if found]
    heights = [len(found) for _, found in shown]
    figure, axes = pyplot.subplots(
        len(shown),
        1,
        squeeze=False,
        figsize=(8, 1.2 + 0.6 * sum(heights)),
        height_ratios=heights,
        layout="constrained",
    )
    for (unit, found), (axis,) in zip(shown, axes, strict=True):
        _bars(axis, unit, found)
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper right")
    figure.savefig(path, format="svg", metadata={"Date": None})
    pyplot.close(figure)


def _bars(axis: "Axes", unit: str, lines: Sequence[Line]) -> None:
    """Draw medians as bars, with lowest and highest, the first figure on top."""
    for offset, name, color in ((-0.2, "bridge", OURS), (0.2, "baseline", THEIRS)):
        series = [getattr(line, name) for line in lines]
        middles = [median(values) for values in series]
        low = [
            middle - min(values) for middle, values in zip(middles, series, strict=True)
        ]
        high = [
            max(values) - middle for middle, values in zip(middles, series, strict=True)
        ]
        places = [place + offset for place in range(len(lines))]
        axis.barh(
            places, middles, 0.38, xerr=[low, high], label=name, color=color, capsize=2
        )
    axis.set_yticks(range(len(lines)), [_label(line) for line in lines])
    axis.invert_yaxis()
    axis.set_xlabel(unit)
    axis.spines[["top", "right"]].set_visible(False)


def _label(line: Line) -> str:
    title = line.title.strip().rpartition(",")[0] or line.title
    return f"{line.scenario}: {title}"[:LABEL]
