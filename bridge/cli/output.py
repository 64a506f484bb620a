"""How values look on a terminal and in JSON Lines; confirmation of plans."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from typing import Any

import click

from bridge.cli.app import fail
from bridge.model import StoredEvent
from bridge.operations.replay import PlanSummary
from bridge.text import format_time, parse_body, pluralize, printable

_GAP = "  "
#: What happens next, once something is in the queue.
SENT_BY = "a running `serve` or `worker` sends what is queued"


def info(text: str = "") -> None:
    """Write a message to stderr; a pipe gets results only."""
    click.echo(text, err=True)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Align rows under their heads; an absent value is a dash."""
    cells = [list(head), *([cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        line = _GAP.join(
            text.ljust(width) for text, width in zip(row, widths, strict=True)
        )
        yield line.rstrip()


def print_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table as a result; nothing where it has no rows."""
    if rows:
        click.echo("\n".join(table(head, rows)))


def print_list(
    rows: Sequence[object], shown: Iterable[str], *, limit: int, as_json: bool
) -> None:
    """Print a list, and say on stderr where it is empty or cut."""
    if not rows:
        info("none")
    for line in map(json_line, rows) if as_json else shown if rows else ():
        click.echo(line)
    if len(rows) == limit:
        info(f"the newest {limit}; --limit shows more")


def facts(pairs: Sequence[tuple[str, object]]) -> Iterator[str]:
    """List names with their values; absent values are left out."""
    for name, value in pairs:
        if value not in (None, ""):
            yield f"  {name:13}  {cell(value)}"


def cell(value: object) -> str:
    """Write a value for people, on one line that no terminal obeys."""
    if value is None or value == "":
        return "-"
    return format_time(value) if isinstance(value, datetime) else printable(str(value))


def json_line(value: object) -> str:
    """Write a value as one line of JSON; dataclasses become objects.

    In ASCII, because received text may contain halves of characters.
    """
    return json.dumps(value, default=_plain)


def reach(total: PlanSummary, *, is_sandbox: bool) -> str:
    """Say how many messages a plan sends, and to how many people."""
    nouns = ("person", "people") if is_sandbox else ("real customer", "real customers")
    messages = pluralize(total.messages, "message", "messages")
    return f"{messages} to {pluralize(total.people, *nouns)}"


def confirm(count: int, *, is_sandbox: bool, is_sure: bool) -> None:
    """End the command unless the plan may be applied.

    Args:
        count: How many messages, or webhooks, are at stake.
        is_sandbox: True where no real customer can be reached.
        is_sure: The value of `--yes`.

    Raises:
        ClickException: Real customers could be reached, and `--yes` is missing.
    """
    if count and not is_sandbox and not is_sure:
        raise fail("nothing done; add --yes to apply the plan")


def _plain(value: object) -> object:
    """Turn what JSON lacks into what it has."""
    if isinstance(value, StoredEvent):
        return {**_fields(value.event), "capture": value.capture}
    if is_dataclass(value) and not isinstance(value, type):
        return _fields(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return value.total_seconds()
    return parse_body(value) if isinstance(value, bytes) else str(value)


def _fields(value: Any) -> dict[str, object]:
    return {one.name: getattr(value, one.name) for one in fields(value)}
