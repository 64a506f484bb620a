"""Commands that look into the ledger: `deliveries`, `events`."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
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
from bridge.cli.gates import gate_line
from bridge.cli.opening import opened
from bridge.cli.printing import counted, json_line, table, talk
from bridge.cli.privacy import anonymised
from bridge.cli.routes import demand_route
from bridge.cli.stories import (
    NOT_KEPT,
    delivery_story,
    delivery_table,
    event_story,
)
from bridge.errors import CaptureError
from bridge.model import EventStatus
from bridge.steering.gates import holding, stopped_gates
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
        stopped = stopped_gates(bridge)
    if story is None:
        raise refuse(f"there is no delivery {delivery_id}")
    gates = holding(story.delivery, stopped)
    click.echo(json_line(story) if as_json else "\n".join(delivery_story(story, gates)))


@click.command(
    cls=Command,
    example="reward-bridge events --parked --since 24h\n"
    "reward-bridge events 01998a3e-62f1-7a10-b3ad-0d2f6a7c1e55 --capture",
)
@click.argument("event_id", type=stored_id, required=False, metavar="[ID]")
@status_option(EventStatus)
@click.option("is_parked", "--parked", is_flag=True, help="Parked ones.")
@click.option("is_ignored", "--ignored", is_flag=True, help="Ignored ones.")
@click.option(
    "is_unmatched",
    "--unmatched",
    is_flag=True,
    help="Instead: what Iterable reported that fits no delivery.",
)
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
@click.option(
    "is_anonymous",
    "--anonymous",
    is_flag=True,
    help="With --capture: stand-ins for names, addresses, codes and ids.",
)
@json_option
def events(
    event_id: str | None,
    *,
    status: EventStatus | None,
    is_parked: bool,
    is_ignored: bool,
    folder: str | None,
    as_json: bool,
    **filters: Any,
) -> None:
    """List what was received, the newest first, or show one event."""
    is_anonymous: bool = filters.pop("is_anonymous")
    if is_anonymous and folder is None:
        raise click.UsageError("--anonymous goes with --capture")
    if filters.pop("is_unmatched"):
        if event_id or status or is_parked or is_ignored or folder:
            raise click.UsageError("--unmatched goes with --since and --limit only")
        _list_unmatched(**filters, as_json=as_json)
        return
    if event_id is None:
        if folder is not None:
            raise click.UsageError("--capture needs the ID of an event")
        statuses = {
            *([] if status is None else [status]),
            *([EventStatus.PARKED] if is_parked else []),
            *([EventStatus.IGNORED] if is_ignored else []),
        }
        _list_events(statuses, EventFilter(**filters), as_json=as_json)
        return
    event = _found(event_id)
    if folder is None:
        click.echo(json_line(event) if as_json else "\n".join(event_story(event)))
    else:
        click.echo(_write(event, Path(folder), is_anonymous=is_anonymous))


def _found(event_id: str) -> StoredEvent:
    """Find an event.

    Raises:
        ClickException: There is none.
    """
    with opened() as bridge:
        event = bridge.store.ledger.event(event_id)
    if event is None:
        raise refuse(f"there is no event {event_id}")
    return event


def _list_events(
    statuses: Collection[EventStatus], wanted: EventFilter, *, as_json: bool
) -> None:
    with opened() as bridge:
        found = [
            row
            for status in statuses or (None,)
            for row in bridge.store.ledger.events(replace(wanted, status=status))
        ]
    rows = sorted(found, key=lambda one: one.id, reverse=True)[: wanted.limit]
    cells = [
        (one.id, one.status, one.received_at, one.event_type or one.kind, one.reason)
        for one in rows
    ]
    head = ("ID", "STATUS", "RECEIVED", "EVENT", "REASON")
    _list(rows, table(head, cells), limit=wanted.limit, as_json=as_json)


def _list_unmatched(limit: int, since: datetime | None, *, as_json: bool) -> None:
    with opened() as bridge:
        reports, count = bridge.store.ledger.unmatched(limit, since)
    cells = [
        (
            one.received_at,
            one.event_name,
            one.reason,
            one.campaign_id,
            one.message_id,
            one.occurred_at,
        )
        for one in reports
    ]
    head = ("RECEIVED", "REPORT", "REASON", "CAMPAIGN", "MESSAGE ID", "HAPPENED")
    _list(reports, table(head, cells), limit=limit, as_json=as_json)
    talk(f"{counted(count, 'report fits', 'reports fit')} no delivery")


def _list_deliveries(wanted: DeliveryFilter, *, as_json: bool) -> None:
    with opened() as bridge:
        rows = bridge.store.ledger.deliveries(wanted)
        if not rows and wanted.route is not None:
            demand_route(bridge, wanted.route)
        stopped = stopped_gates(bridge)
    for gate in stopped:
        talk(gate_line(gate))
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


def _write(event: StoredEvent, folder: Path, *, is_anonymous: bool) -> Path:
    """Write a capture file named after its event.

    Raises:
        CaptureError: It cannot be written.
        ClickException: There is nothing left to write.
    """
    if event.blanked_at is not None:
        raise refuse(NOT_KEPT)
    written = anonymised(event.capture) if is_anonymous else event.capture
    try:
        return capture.write(
            folder, written, received_at=event.received_at, name=event.id
        )
    except OSError as error:
        raise CaptureError(f"{folder}: cannot be written: {error.strerror}") from error
