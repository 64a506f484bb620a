"""How values look on a terminal and in JSON Lines."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import click

from bridge.steering.legible import document, harmless, moment

Item = TypeVar("Item")

_GAP = "  "


def talk(text: str = "") -> None:
    """Say something about the work; never data, so that a pipe gets data only."""
    click.echo(text, err=True)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Align rows under their heads; an absent value is a dash."""
    cells = [list(head), *([text(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        line = _GAP.join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        )
        yield line.rstrip()


def text(value: object) -> str:
    """Write a value for people, on one line that no terminal obeys."""
    if value is None or value == "":
        return "-"
    return moment(value) if isinstance(value, datetime) else harmless(str(value))


def counted(number: int, one: str, several: str) -> str:
    """Write a number with its noun."""
    return f"{number} {one if number == 1 else several}"


def json_line(value: object) -> str:
    """Write a value as one line of JSON; dataclasses become objects.

    In ASCII, because what strangers sent may hold halves of characters.
    """
    return json.dumps(_plain(value))


def progress(items: Iterable[Item], length: int, label: str) -> Iterator[Item]:
    """Hand items on, showing on a terminal how far it is; elsewhere showing nothing."""
    if not sys.stderr.isatty():
        yield from items
        return
    shown = click.progressbar(items, length=length, label=label, file=sys.stderr)
    with shown as bar:
        yield from bar


def approach(
    items: Iterable[Item], far: int, label: str, distance: Callable[[Item], int]
) -> Iterator[Item]:
    """Hand items on, showing on a terminal how much of a way they have gone.

    Args:
        items: Each further than those before it, or nearly so.
        far: Where the way ends.
        label: What is done.
        distance: How far an item is.
    """
    if not sys.stderr.isatty():
        yield from items
        return
    with click.progressbar(length=max(far, 1), label=label, file=sys.stderr) as bar:
        for item in items:
            bar.update(max(min(distance(item), far) - bar.pos, 0))
            yield item


def _plain(value: object) -> Any:
    """Turn what the ledger returns into what JSON has."""
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return _scalar(value)


def _scalar(value: object) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return document(value)
    return value
