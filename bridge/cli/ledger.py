"""Commands that look into the ledger: `deliveries`, `events`."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from bridge import capture
from bridge.cli.arguments import (
    delivery_filters,
    json_option,
    limit_option,
    since_option,
    status_option,
    stored_id,
)
from bridge.cli.frame import Command, refuse
from bridge.cli.opening import opened
from bridge.cli.printing import json_line, table, talk
from bridge.cli.stories import delivery_story, delivery_table, event_story
from bridge.errors import CaptureError
from bridge.model import EventStatus
from bridge.store import DeliveryFilter, EventFilter, StoredEvent

#: Where capture files go unless another folder is named; git-ignored.
CAPTURES = "captures"


@click.command(
    cls=Command,
    example="reward-bridge deliveries --status held\n"
    "reward-bridge deliveries --search crm-10482 --json",
)
@click.argument("delivery_id", type=stored_id, required=False, metavar="[ID]")
@delivery_filters
@limit_option
@json_option
def deliveries(delivery_id: str | None, *, as_json: bool, **filters: Any) -> None:
    """List deliveries, the newest first, or tell the story of one."""
    if delivery_id is None:
        _list_deliveries(DeliveryFilter(**filters), as_json=as_json)
        return
    with opened() as bridge:
        story = bridge.store.ledger.story(delivery_id)
    if story is None:
        raise refuse(f"there is no delivery {delivery_id}")
    click.echo(json_line(story) if as_json else "\n".join(delivery_story(story)))


@click.command(
    cls=Command,
    example="reward-bridge events --parked --since 24h\n"
    "reward-bridge events 01998a3e-62f1-7a10-b3ad-0d2f6a7c1e55 --capture",
)
@click.argument("event_id", type=stored_id, required=False, metavar="[ID]")
@status_option(EventStatus)
@click.option("short", "--parked", flag_value="parked", help="As --status parked.")
@click.option("short", "--ignored", flag_value="ignored", help="As --status ignored.")
@since_option
@limit_option
@click.option(
    "folder",
    "--capture",
    is_flag=False,
    flag_value=CAPTURES,
    metavar="[FOLDER]",
    help=f"Write the event to a capture file [default folder: {CAPTURES}].",
)
@json_option
def events(
    event_id: str | None,
    *,
    short: str | None,
    folder: str | None,
    as_json: bool,
    **filters: Any,
) -> None:
    """List what was received, the newest first, or show one event."""
    if event_id is None:
        if folder is not None:
            raise click.UsageError("--capture needs the ID of an event")
        if short is not None:
            filters["status"] = EventStatus(short)
        _list_events(EventFilter(**filters), as_json=as_json)
        return
    with opened() as bridge:
        event = bridge.store.ledger.event(event_id)
    if event is None:
        raise refuse(f"there is no event {event_id}")
    if folder is not None:
        click.echo(_write(event, Path(folder)))
        return
    click.echo(json_line(event) if as_json else "\n".join(event_story(event)))


def _list_events(wanted: EventFilter, *, as_json: bool) -> None:
    with opened() as bridge:
        rows = bridge.store.ledger.events(wanted)
    cells = [
        (one.id, one.status, one.received_at, one.event_type or one.kind, one.reason)
        for one in rows
    ]
    head = ("ID", "STATUS", "RECEIVED", "EVENT", "REASON")
    _list(rows, table(head, cells), limit=wanted.limit, as_json=as_json)


def _list_deliveries(wanted: DeliveryFilter, *, as_json: bool) -> None:
    with opened() as bridge:
        rows = bridge.store.ledger.deliveries(wanted)
    _list(rows, delivery_table(rows), limit=wanted.limit, as_json=as_json)


def _list(
    rows: Sequence[object], shown: Iterable[str], *, limit: int, as_json: bool
) -> None:
    if not rows:
        talk("none")
    for line in map(json_line, rows) if as_json else shown if rows else ():
        click.echo(line)
    if len(rows) == limit:
        talk(f"the newest {limit}; --limit shows more")


def _write(event: StoredEvent, folder: Path) -> Path:
    """Write a capture file named after its event.

    Raises:
        CaptureError: It cannot be written.
    """
    try:
        return capture.write(
            folder, event.capture, received_at=event.received_at, name=event.id
        )
    except OSError as error:
        raise CaptureError(f"{folder}: cannot be written: {error.strerror}") from error
