"""Command `reconcile`: Voucherify's publications against the ledger."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import click

from bridge import bootstrap
from bridge.bootstrap import Bridge
from bridge.cli.app import command
from bridge.cli.opening import opened, print_destinations
from bridge.cli.options import json_option, parse_when, yes_option
from bridge.cli.output import confirm, info, json_line, print_table, reach
from bridge.cli.replay import feed, print_stored
from bridge.integrations.voucherify.client import VoucherifyClient
from bridge.integrations.voucherify.publications import PublicationPager, published_at
from bridge.model import Capture, IngestResult
from bridge.operations.backfill import (
    Reconciliation,
    WebhookBuilder,
    conclude,
    item_name,
)
from bridge.operations.reconcile import (
    CLOCK_SKEW,
    Finding,
    Listed,
    TimeRange,
    compare,
    unexpected,
)
from bridge.operations.replay import ReplayItem, ReplayPlanner
from bridge.store import deliveries, erasure, events
from bridge.text import pluralize

#: Passes between the reading of `--since 30d` and its use.
_MOMENT = timedelta(minutes=1)
#: Earlier than anything published, and not so early that nothing can be before it.
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
#: Findings listed one by one; of the others the number is enough.
_LISTED = (
    Finding.MISSING,
    Finding.LATE,
    Finding.FAILED,
    Finding.UNEXPECTED,
    Finding.UNUSABLE,
)


@command(
    "reconcile",
    example="reward-bridge reconcile --since 7d\n"
    "reward-bridge reconcile --since 2026-08-20 --until 2026-08-21T12:00Z --json\n"
    "reward-bridge reconcile --since 24h --backfill --yes",
)
@click.option(
    "--since",
    type=parse_when,
    required=True,
    metavar="WHEN",
    help="Compare publications made since: 15m, 72h or 30d ago, or a date (UTC).",
)
@click.option(
    "--until",
    type=parse_when,
    metavar="WHEN",
    help="And not later than this [default: no end].",
)
@click.option(
    "--source",
    metavar="NAME",
    help="Which Voucherify project, where several are configured.",
)
@click.option(
    "is_backfill", "--backfill", is_flag=True, help="Queue missing messages, too."
)
@yes_option
@json_option
def reconcile(
    since: datetime,
    until: datetime | None,
    source: str | None,
    *,
    is_backfill: bool,
    is_sure: bool,
    as_json: bool,
) -> None:
    """Compare what Voucherify has published with the ledger.

    Names publications that are missing here, arrived late, failed at Voucherify, or are
    not listed there. With --backfill the missing ones go through the intake as the
    webhooks that did not arrive; a webhook that arrives after all is a duplicate then.
    """
    if until is not None and until <= since:
        raise click.UsageError("--until must be later than --since")
    span = TimeRange(since=max(since, _EARLIEST), until=until)
    with opened("ask") as bridge:
        name = _source(bridge, source)
        _check_memory(bridge, span)
        is_sandbox = print_destinations(bridge)
        client = bootstrap.voucherify_client(bridge.config, name, info)
        info(f"listed at   {bridge.config.sources[name].base_url}")
        result = _reconcile(bridge, client, name, span)
        _print_summary(result, is_sandbox=is_sandbox)
        _print_findings(result, as_json=as_json)
        if is_backfill and result.items:
            confirm(result.total.messages, is_sandbox=is_sandbox, is_sure=is_sure)
            feed(bridge, result.items, _print_json if as_json else print_stored)
        elif is_backfill:
            info("nothing is missing: nothing done")
        elif result.items:
            info("nothing done; add --backfill to queue what is missing")


def _source(bridge: Bridge, name: str | None) -> str:
    """Choose the source whose publications are compared."""
    known = [
        one.name for one in bridge.config.sources.values() if one.kind == "voucherify"
    ]
    if name is None and len(known) == 1:
        return known[0]
    if name not in known:
        raise click.UsageError(f"--source must be one of {', '.join(known)}")
    return name


def _check_memory(bridge: Bridge, span: TimeRange) -> None:
    """Refuse a range that the ledger no longer knows."""
    kept = bridge.config.retention.delete_after
    if kept is not None and span.since < bootstrap.now() - kept - _MOMENT:
        raise click.UsageError(
            f"--since is further back than retention.delete_after ({kept.days} days): "
            "messages from then are deleted and would be sent again"
        )


def _reconcile(
    bridge: Bridge, client: VoucherifyClient, source: str, span: TimeRange
) -> Reconciliation:
    """Find out everything; nothing is written."""
    # The list first, so that everything listed is stored by the time of the second.
    compared = compare(
        PublicationPager(client, info).since(span.since),
        deliveries.iter_all(bridge.store, span.since - CLOCK_SKEW),
        span,
    )
    ids = [one.event_id for rows in compared.unlisted.values() for one in rows]
    with bridge.store.read() as tx:
        published = {
            event_id: published_at(capture)
            for event_id, capture in events.captures(tx, ids)
        }
    builder = WebhookBuilder(bridge.intake.decide, client.voucher, source)
    others = list(unexpected(compared.unlisted, published, span))
    items = []
    for one in compared.missing:
        if _is_erased(bridge, one):
            others.append(one.found(Finding.UNROUTED, "the customer was erased"))
            continue
        made = builder.build(one)
        if isinstance(made, Capture):
            items.append(ReplayItem(where=item_name(one), capture=made))
        else:
            others.append(made)
    if builder.unseen:
        count = pluralize(builder.unseen, "voucher", "vouchers")
        info(f"{count} could not be looked up: the key may not read vouchers")
    return conclude(compared, list(ReplayPlanner(bridge).plan(items)), others)


def _is_erased(bridge: Bridge, missing: Listed) -> bool:
    """Tell whether a publication is for a customer who was forgotten."""
    one = missing.publication
    with bridge.store.read() as tx:
        return erasure.are_erased(tx, filter(None, (one.customer_id, *one.names)))


def _print_json(done: Sequence[tuple[ReplayItem, IngestResult]]) -> None:
    for item, stored in done:
        click.echo(json_line({"backfilled": item.where, "result": stored}))


def _print_summary(result: Reconciliation, *, is_sandbox: bool) -> None:
    """Say how many of each there are, and what a backfill would do."""
    people = reach(result.total, is_sandbox=is_sandbox) if result.total.messages else ""
    for kind in Finding:
        note = people if kind is Finding.MISSING else ""
        info(f"{result.counts.get(kind, 0):8} {kind:10} {note}".rstrip())
    if result.statuses:
        words = (f"{count} {status}" for status, count in result.statuses.items())
        info(f"deliveries of matched and late ones: {', '.join(words)}")
    counts = result.counts
    is_matched = counts.get(Finding.MATCHED) or counts.get(Finding.LATE)
    if (
        counts.get(Finding.MISSING)
        and counts.get(Finding.UNEXPECTED)
        and not is_matched
    ):
        info("nothing matches: do the keys belong to this ledger's project?")


def _print_findings(result: Reconciliation, *, as_json: bool) -> None:
    listed = [one for kind in _LISTED for one in result.found if one.finding is kind]
    if as_json:
        for one in listed:
            click.echo(json_line(one))
        return
    rows = [
        (
            *(one.finding, one.publication_id, one.published_at, one.customer_id),
            *(", ".join(one.codes), one.reason),
        )
        for one in listed
    ]
    head = ("FINDING", "PUBLICATION", "PUBLISHED", "CUSTOMER", "CODES", "REASON")
    print_table(head, rows)
