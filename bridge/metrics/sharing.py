"""The board this program counts on, from before its processes fork."""

import os
from collections.abc import Sequence

from bridge.metrics.board import Board
from bridge.metrics.families import Counter
from bridge.metrics.names import FAMILIES, UPSTREAM_FAILURES


class _Shared:
    """The one board; nothing is counted before there is one."""

    board: Board | None = None


def share(routes: Sequence[str]) -> Board:
    """Begin to count; every process forked from here on counts on the same board.

    A later call begins anew, at nothing.

    Args:
        routes: The configured names.
    """
    widths = [family.width(routes) for family in FAMILIES]
    board = Board(sum(widths))
    for index, family in enumerate(FAMILIES):
        family.place(board, sum(widths[:index]), routes)
    UPSTREAM_FAILURES.set(0)
    before, _Shared.board = _Shared.board, board
    if before is not None:
        before.close()
    return board


def shared() -> Board | None:
    """Return the board, where the program counts at all."""
    return _Shared.board


def total(counter: Counter) -> float:
    """Add up what all processes have counted, whatever the labels."""
    if _Shared.board is None:
        return 0.0
    sums = _Shared.board.sums()
    return sum(sums[cell] for cell in counter.cells().values())


def _after_fork() -> None:
    if _Shared.board is not None:
        _Shared.board.take_row()


os.register_at_fork(after_in_child=_after_fork)
