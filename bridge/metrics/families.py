"""Kinds of figures, and where each has its cells on the board."""

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from bridge.metrics.board import Board

#: Stands in a label's values for the names of the configured routes.
ROUTES = "(routes)"
#: Stands for the destination's gate and those of the routes.
GATES = "(gates)"
#: The route of what waits for a route that is not configured.
OTHER = "other"

Labels = Mapping[str, Sequence[str]]
Values = tuple[str, ...]


class Family:
    """Figures of one name; made at import, given their cells by `place`.

    Args:
        name: As Prometheus shall know it.
        text: One sentence.
        labels: The values each label may have.
    """

    #: Cells for each set of label values.
    size = 1

    def __init__(self, name: str, text: str, labels: Labels | None = None) -> None:
        self.name = name
        self.text = text
        self.labels = tuple(labels or {})
        self._allowed = list((labels or {}).values())
        self._cells: dict[Values, int] = {}
        self._board: Board | None = None

    def width(self, routes: Sequence[str]) -> int:
        """Count the cells it needs."""
        return self.size * sum(1 for _ in self._series(routes))

    def place(self, board: Board, start: int, routes: Sequence[str]) -> None:
        """Count on this board from now on, from this cell on."""
        several = enumerate(self._series(routes))
        self._cells = {one: start + self.size * index for index, one in several}
        self._board = board

    def values_of(self, label: str) -> Sequence[str]:
        """List what a label may be, or `ROUTES` or `GATES`."""
        return self._allowed[self.labels.index(label)]

    def cells(self) -> Mapping[Values, int]:
        """Say where each set of label values has its first cell."""
        return self._cells

    def _series(self, routes: Sequence[str]) -> Iterator[Values]:
        known = {
            ROUTES: [*routes, OTHER],
            GATES: ["destination", *(f"route:{name}" for name in routes)],
        }
        return product(
            *(
                known[values] if isinstance(values, str) else values
                for values in self._allowed
            )
        )

    def _cell(self, values: Values) -> int | None:
        """Find a cell; a route that is not configured counts as `other`."""
        cell = self._cells.get(values)
        if cell is None and "route" in self.labels:
            place = self.labels.index("route")
            cell = self._cells.get((*values[:place], OTHER, *values[place + 1 :]))
        return cell


class Counter(Family):
    """What only grows."""

    def inc(self, *values: str, by: float = 1) -> None:
        """Count; values that no label has are nobody's, and not counted."""
        cell, board = self._cells.get(values), self._board
        if cell is None:
            cell = self._cell(values)
        if cell is not None and board is not None:
            with board.lock:
                board.own[cell] += by


class Histogram(Family):
    """How often a value was how large.

    Args:
        name: As Prometheus shall know it.
        text: One sentence.
        buckets: Upper bounds, ascending, each inclusive.
    """

    def __init__(self, name: str, text: str, buckets: Sequence[float]) -> None:
        super().__init__(name, text)
        self.buckets = tuple(buckets)
        # One for what is above all bounds, one for the sum.
        self.size = len(buckets) + 2

    def observe(self, value: float) -> None:
        """Count one value."""
        board = self._board
        if board is not None:
            start = self._cells[()]
            with board.lock:
                board.own[start + bisect_left(self.buckets, value)] += 1
                board.own[start + self.size - 1] += value


class Gauge(Family):
    """What is so now, whichever process says it; NaN where nobody knows."""

    def set(self, value: float, *values: str) -> None:
        """Say how much it is."""
        cell = self._cell(values)
        if cell is not None and self._board is not None:
            self._board.common[cell] = value

    def get(self, *values: str) -> float:
        """Tell what was said last."""
        cell = self._cell(values)
        if cell is None or self._board is None:
            return math.nan
        return self._board.common[cell]

    def fill(self, value: float) -> None:
        """Say the same of every set of labels."""
        for values in self._cells:
            self.set(value, *values)
