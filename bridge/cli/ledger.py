"""Commands that read the ledger: `deliveries`, `events`, `receipts`."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from bridge import captures
from bridge.bootstrap import Bridge
from bridge.cli.app import command, fail
from bridge.cli.customers import CAPTURES, pseudonymizer
from bridge.cli.opening import opened
from bridge.cli.options import (
    delivery_filters,
    json_option,
    limit_option,
    parse_id,
    since_option,
    status_option,
)
from bridge.cli.output import facts, info, json_line, print_list, table
from bridge.errors import CaptureError
from bridge.model import (
    Circuit,
    Delivery,
    DeliveryFilter,
    EventFilter,
    EventStatus,
    StoredEvent,
)
from bridge.operations.history import (
    HistoryEntry,
    circuit_line,
    event_history,
    history,
    summary,
)
from bridge.operations.pause import circuits_holding, stopped_circuits
from bridge.privacy import Redactor
from bridge.store import actions
from bridge.store import deliveries as deliveries_of
from bridge.store import events as events_of
from bridge.store import receipts as receipts_of
from bridge.store.deliveries import DeliveryDetail
from bridge.text import format_time, pluralize

_HEAD = ("ID", "STATUS", "ROUTE", "RECIPIENT", "CODE", "CREATED", "REASON")


@command(
    "deliveries",
    example="reward-bridge deliveries --status held\n"
    "reward-bridge deliveries --search crm-10482 --json",
)
@click.argument("delivery_id", type=parse_id, required=False, metavar="[ID]")
@delivery_filters
@limit_option
@json_option
def deliveries(delivery_id: str | None, *, as_json: bool, **filters: Any) -> None:
    """List deliveries, the newest first, or show the history of one."""
    if delivery_id is None:
        _list_deliveries(DeliveryFilter(**filters), as_json=as_json)
        return
    with opened() as bridge:
        detail = delivery_detail(bridge, delivery_id)
        holding = circuits_holding(detail.delivery, stopped_circuits(bridge))
    click.echo(json_line(detail) if as_json else "\n".join(_lines(detail, holding)))


@command(
    "events",
    example="reward-bridge events --status parked --since 24h\n"
    "reward-bridge events 01998a3e-62f1-7a10-b3ad-0d2f6a7c1e55 --export\n"
    "reward-bridge events dismiss 01998a3e-62f1-7a10-b3ad-0d2f6a7c1e55 "
    '--reason "a test"',
)
@click.argument("words", nargs=-1, metavar="[ID | dismiss ID]")
@status_option(EventStatus)
@since_option
@limit_option
@click.option(
    "folder",
    "--export",
    is_flag=False,
    flag_value=str(CAPTURES),
    metavar="[FOLDER]",
    help=f"Write the event to a capture file [default folder: {CAPTURES}].",
)
@click.option(
    "is_anonymous",
    "--anonymous",
    is_flag=True,
    help="With --export: pseudonyms for names, addresses, codes and ids.",
)
@click.option("--reason", metavar="TEXT", help="With dismiss: for the audit log.")
@json_option
def events(words: tuple[str, ...], *, as_json: bool, **options: Any) -> None:
    """List received webhooks, the newest first, or show one.

    `events dismiss ID` closes a parked one that needs no further work.
    """
    if options["is_anonymous"] and options["folder"] is None:
        raise click.UsageError("--anonymous needs --export")
    match words:
        case ():
            if options["folder"] is not None:
                raise click.UsageError("--export needs the ID of an event")
            _list_events(options, as_json=as_json)
        case ("dismiss", event_id):
            _dismiss(parse_id(event_id), (options["reason"] or "").strip())
        case (event_id,):
            _show_event(parse_id(event_id), options, as_json=as_json)
        case _:
            raise click.UsageError("give one ID, or `dismiss` and one ID")


@command("receipts", example="reward-bridge receipts --unmatched --since 24h")
@click.option(
    "is_unmatched",
    "--unmatched",
    is_flag=True,
    help="Only receipts that match no delivery.",
)
@since_option
@limit_option
@json_option
def receipts(
    since: datetime | None, limit: int, *, is_unmatched: bool, as_json: bool
) -> None:
    """List delivery receipts: what destinations reported later, the newest first."""
    with opened() as bridge, bridge.store.read() as tx:
        rows = receipts_of.newest(tx, limit, since, only_unmatched=is_unmatched)
        count = receipts_of.count_unmatched(tx, since)
    cells = [
        (
            *(one.received_at, one.event_name, one.type, one.reason),
            *(one.campaign_id, one.message_id, one.delivery_id),
        )
        for one in rows
    ]
    head = ("RECEIVED", "RECEIPT", "SAYS", "REASON", "CAMPAIGN", "MESSAGE", "DELIVERY")
    print_list(rows, table(head, cells), limit=limit, as_json=as_json)
    info(f"{pluralize(count, 'receipt matches', 'receipts match')} no delivery")


def deliveries_table(rows: Iterable[Delivery]) -> Iterator[str]:
    """Show deliveries as the lines of a table."""
    cells = [
        (
            *(one.id, one.status, one.route, one.recipient, one.code),
            *(one.created_at, one.reason),
        )
        for one in rows
    ]
    return table(_HEAD, cells)


def delivery_detail(bridge: Bridge, delivery_id: str) -> DeliveryDetail:
    """Find a delivery with all that happened to it.

    Raises:
        ClickException: There is none.
    """
    with bridge.store.read() as tx:
        detail = deliveries_of.detail(tx, delivery_id)
    if detail is None:
        raise fail(f"there is no delivery {delivery_id}")
    return detail


def require_route(bridge: Bridge, name: str) -> None:
    """Tell an empty list from a mistyped name.

    Raises:
        ClickException: Neither configuration nor ledger knows the route.
    """
    if bridge.config.route(name) is not None:
        return
    with bridge.store.read() as tx:
        is_known = deliveries_of.list(tx, DeliveryFilter(route=name, limit=1))
    if not is_known:
        names = ", ".join(route.name for route in bridge.config.routes)
        raise fail(f"there is no route {name} (there are {names})")


def _list_deliveries(wanted: DeliveryFilter, *, as_json: bool) -> None:
    with opened() as bridge:
        with bridge.store.read() as tx:
            rows = deliveries_of.list(tx, wanted)
        if not rows and wanted.route is not None:
            require_route(bridge, wanted.route)
        for circuit in stopped_circuits(bridge):
            info(circuit_line(circuit))
    print_list(rows, deliveries_table(rows), limit=wanted.limit, as_json=as_json)


def _lines(detail: DeliveryDetail, holding: Iterable[Circuit]) -> Iterator[str]:
    """Show a delivery: the answer first, then each happening."""
    row, holding = detail.delivery, list(holding)
    yield summary(row, holding)
    yield ""
    yield f"Delivery {row.id}"
    yield from facts(
        [
            ("Status", row.status),
            ("Reason", row.reason),
            ("Route", f"{row.route}, {row.destination} {row.endpoint}"),
            ("Changed", row.updated_at),
            ("Due", row.due_at),
            ("Attempts", f"{row.attempt_no}, {row.attempts} since the last reset"),
            ("In doubt", f"{row.unknown_outcomes} times" * bool(row.unknown_outcomes)),
            ("Message id", row.message_id),
            *(("Waits for", circuit_line(circuit)) for circuit in holding),
        ]
    )
    yield from _entries(history(detail, Redactor(revealed=True)))
    if not detail.attempts:
        yield ""
        yield "No attempt yet."


def _entries(found: Iterable[HistoryEntry]) -> Iterator[str]:
    for entry in found:
        yield ""
        yield f"{format_time(entry.at)}  {entry.title}"
        yield from facts([("", entry.text), *entry.facts])
        for name, text in entry.folded:
            yield f"  {name}"
            yield from (f"    {line}" for line in text.split("\n"))


def _list_events(options: dict[str, Any], *, as_json: bool) -> None:
    wanted = EventFilter(
        status=options["status"], since=options["since"], limit=options["limit"]
    )
    with opened() as bridge, bridge.store.read() as tx:
        rows = events_of.list(tx, wanted)
    cells = [
        (one.id, one.status, one.received_at, one.event_type or one.kind, one.reason)
        for one in rows
    ]
    head = ("ID", "STATUS", "RECEIVED", "EVENT", "REASON")
    print_list(rows, table(head, cells), limit=wanted.limit, as_json=as_json)


def _show_event(event_id: str, options: dict[str, Any], *, as_json: bool) -> None:
    with opened() as bridge:
        stored = _event(bridge, event_id)
        with bridge.store.read() as tx:
            audit = actions.of_target(tx, event_id)
        if options["folder"] is not None:
            click.echo(_export(bridge, stored, options))
        elif as_json:
            click.echo(json_line(stored))
        else:
            found = event_history(stored, audit, Redactor(revealed=True))
            click.echo("\n".join(_entries(found)).lstrip())


def _event(bridge: Bridge, event_id: str) -> StoredEvent:
    with bridge.store.read() as tx:
        stored = events_of.get(tx, event_id)
    if stored is None:
        raise fail(f"there is no event {event_id}")
    return stored


def _dismiss(event_id: str, reason: str) -> None:
    if not reason:
        raise click.UsageError("dismiss needs --reason TEXT")
    with opened() as bridge:
        event = _event(bridge, event_id).event
        if event.status is not EventStatus.PARKED:
            raise fail(f"it is {event.status}; only parked events can be dismissed")
        with bridge.store.write() as tx:
            events_of.dismiss(tx, event_id, "cli", reason)
    info(f"{event_id} is dismissed")


def _export(bridge: Bridge, stored: StoredEvent, options: dict[str, Any]) -> Path:
    """Write a capture file named after its event."""
    event, capture, folder = stored.event, stored.capture, Path(options["folder"])
    if event.redacted_at is not None:
        raise fail("the body is no longer kept (retention, or `forget`)")
    if options["is_anonymous"]:
        capture = pseudonymizer(bridge.config, None).capture(capture)
    try:
        return captures.write(
            folder, capture, received_at=event.received_at, name=event.id
        )
    except OSError as error:
        raise CaptureError(f"{folder}: cannot be written: {error.strerror}") from error
