"""Command `reconcile`: Voucherify's publications against the ledger."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import click

from bridge import bootstrap
from bridge.bootstrap import Bridge
from bridge.cli.arguments import json_option, when, yes_option
from bridge.cli.feeding import Fed, feed
from bridge.cli.findings import Outlook, outlook, show_findings, show_outlook
from bridge.cli.frame import Command
from bridge.cli.opening import opened
from bridge.cli.plans import permit, show_place, show_stored
from bridge.cli.printing import approach, counted, json_line, progress, talk
from bridge.config import is_loopback
from bridge.model import Capture
from bridge.publications import Api, Listing
from bridge.reconcile import (
    CLOCKS,
    Comparison,
    Found,
    Restorer,
    Window,
    compare,
    extras,
    published_at,
)
from bridge.steering.known import Known
from bridge.steering.planning import Planner, Source
from bridge.store.tellings import Tellings

Item = TypeVar("Item")

#: Passes between the reading of `--since 30d` and its use.
_A_MOMENT = timedelta(minutes=1)
#: Earlier than anything published, and not so early that nothing can be before it.
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What was typed."""

    since: datetime
    until: datetime | None
    is_backfill: bool
    is_sure: bool
    as_json: bool

    @property
    def window(self) -> Window:
        """Which publications are compared.

        Raises:
            UsageError: None could be.
        """
        if self.until is not None and self.until <= self.since:
            raise click.UsageError("--until must be later than --since")
        return Window(since=max(self.since, _EARLIEST), until=self.until)


@click.command(
    cls=Command,
    example="reward-bridge reconcile --since 7d\n"
    "reward-bridge reconcile --since 2026-08-20 --until 2026-08-21T12:00Z --json\n"
    "reward-bridge reconcile --since 24h --backfill --yes",
)
@click.option(
    "--since",
    type=when,
    required=True,
    metavar="WHEN",
    help="Compare publications made since: 15m, 72h or 30d ago, or a date (UTC).",
)
@click.option(
    "--until", type=when, metavar="WHEN", help="And not later than [default: no end]."
)
@click.option(
    "is_backfill", "--backfill", is_flag=True, help="Queue what is missing, too."
)
@yes_option
@json_option
def reconcile(**typed: Any) -> None:
    """Compare what Voucherify has published with the ledger.

    Names publications that are missing here, came late, failed at Voucherify, or are
    not listed there. With --backfill those that are missing go through the intake as
    the webhooks that did not come; one that comes after all is a duplicate then.
    """
    wanted = Wanted(**typed)
    window = wanted.window
    with opened("reconcile") as bridge:
        _demand_memory(bridge, window)
        show_place(bridge.config)
        talk(f"listed at {bridge.config.voucherify.base_url}")
        found = _found(bridge, window)
        show_outlook(found, is_local=is_loopback(bridge.config.iterable.base_url))
        show_findings(found.named, as_json=wanted.as_json)
        if wanted.is_backfill:
            _backfill(bridge, found, wanted)
        elif found.sources:
            talk("nothing done; add --backfill to queue what is missing")


def _demand_memory(bridge: Bridge, window: Window) -> None:
    """Refuse to look where the ledger has forgotten what it told.

    Raises:
        UsageError: All told before then would be taken for missing.
    """
    kept = bridge.config.retention.remove_after
    if kept is not None and window.since < bootstrap.now() - kept - _A_MOMENT:
        raise click.UsageError(
            f"--since reaches back beyond retention.remove_after ({kept.days} days): "
            "what was told then is forgotten, and would be told again"
        )


def _found(bridge: Bridge, window: Window) -> Outlook:
    """Find out everything; nothing is written."""
    api = bootstrap.voucherify_api(bridge.config, talk)
    tellings = Tellings(bridge.store)
    compared = _compared(api, tellings, window)
    told_by = [one.event_id for them in compared.unlisted.values() for one in them]
    published = {
        event_id: published_at(capture)
        for event_id, capture in tellings.captures(told_by)
    }
    restorer = Restorer(bridge.intake.decide, api.voucher)
    restored = list(_restored(restorer, compared))
    if restorer.unseen:
        unseen = counted(restorer.unseen, "voucher", "vouchers")
        talk(f"{unseen} cannot be seen with these keys: what the list shows is used")
    sources = [one for one in restored if isinstance(one, Source)]
    planner = Planner(bridge.intake.decide, Known(bridge.store))
    return outlook(
        compared,
        list(planner.plan(sources)),
        [
            *(one for one in restored if isinstance(one, Found)),
            *extras(compared.unlisted, published, window),
        ],
    )


def _compared(api: Api, tellings: Tellings, window: Window) -> Comparison:
    """Read the list, then the ledger, so that nothing listed is not yet stored."""
    start = bootstrap.now()
    far = int((start - window.since).total_seconds())

    def going(
        items: Iterable[Item], label: str, at: Callable[[Item], datetime | None]
    ) -> Iterator[Item]:
        def distance(item: Item) -> int:
            return int((start - (at(item) or start)).total_seconds())

        return approach(items, far, label, distance)

    listed = Listing(api, talk).since(window.since)
    stored = tellings.since(window.since - CLOCKS)
    return compare(
        going(listed, "reading Voucherify's list", lambda one: one.published_at),
        going(stored, "reading the ledger       ", lambda one: one.created_at),
        window,
    )


def _restored(restorer: Restorer, compared: Comparison) -> Iterator[Source | Found]:
    """Make the webhook of each publication that is missing, or say why not."""
    missing = compared.missing
    for one in progress(missing, len(missing), "looking up vouchers      "):
        made = restorer.restore(one)
        if isinstance(made, Capture):
            yield Source(where=f"publication {one.publication.id}", capture=made)
        else:
            yield made


def _backfill(bridge: Bridge, found: Outlook, wanted: Wanted) -> None:
    is_local = is_loopback(bridge.config.iterable.base_url)
    if not found.sources:
        talk("nothing is missing: nothing done")
        return
    permit(found.total.messages, is_local=is_local, is_sure=wanted.is_sure)
    shown = _show_json if wanted.as_json else show_stored
    feed(bridge, found.sources, "backfilling", shown)


def _show_json(done: Sequence[Fed]) -> None:
    for source, stored in done:
        click.echo(json_line({"backfilled": source.where, "became": stored}))
