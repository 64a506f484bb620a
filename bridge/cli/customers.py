"""Commands about customers' data: `forget` and `anonymise`."""

import hmac
from collections.abc import Iterator
from pathlib import Path

import click

from bridge import bootstrap, captures
from bridge.cli.app import command, fail
from bridge.cli.opening import load_config, opened, read_captures
from bridge.cli.options import yes_option
from bridge.cli.output import confirm, info
from bridge.config import Config
from bridge.errors import CaptureError
from bridge.model import Action
from bridge.operations import erasure
from bridge.operations.erasure import ErasureReport, Matches
from bridge.privacy import CustomerIdentity, Pseudonymizer, mentions
from bridge.store import actions
from bridge.text import pluralize

#: Where `events --export` writes by default; git-ignored.
CAPTURES = Path("captures")


@command(
    "forget",
    example="reward-bridge forget crm-10482\n"
    "reward-bridge forget ana@shop.example --yes",
)
@click.argument("name", metavar="SOURCE_ID|EMAIL")
@yes_option
def forget(name: str, *, is_sure: bool) -> None:
    """Erase a customer's data, including queued messages.

    Shows what would be erased; add --yes to do it. Safe to repeat.
    """
    if not name.strip():
        raise click.UsageError("name a source id or an e-mail address")
    with opened() as bridge:
        matches = erasure.find(bridge.store, bridge.config.routes, name)
        plan = erasure.plan(bridge.store, matches)
        info("\n".join(_lines(plan, "would be")))
        confirm(int(plan != ErasureReport()), is_sandbox=False, is_sure=is_sure)
        report = erasure.erase(bridge.store, matches)
        with bridge.store.write() as tx:
            count = f"{report.deliveries} deliveries, {report.webhooks} webhooks"
            actions.record(tx, "cli", Action.FORGET, [], count)
    click.echo("\n".join(_lines(report, "were")))
    _print_elsewhere(matches)
    if report.being_sent or report.needed:
        raise fail("not everything is erased yet: run the command again later")


@command(
    "anonymise", example="reward-bridge anonymise captures/ > without-people.jsonl"
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "key",
    "--key",
    metavar="TEXT",
    help="Makes the pseudonyms: the same key gives the same ones in every run.",
)
def anonymise(files: tuple[str, ...], key: str | None) -> None:
    """Print captures with pseudonyms for names, addresses, codes and ids.

    One capture a line, as `replay` and `render` read them. A FILE is a body, a capture,
    another tool's recording, JSON Lines, a folder of such files, or - for standard
    input.
    """
    maker = pseudonymizer(load_config(), key)
    unreadable: list[CaptureError] = []
    for found in read_captures(files, unreadable.append):
        made = maker.capture(found.capture)
        click.echo(captures.dumps(made, received_at=bootstrap.now()))
    for error in unreadable:
        info(error.reason)
    if unreadable:
        raise fail("some webhooks could not be read")


def pseudonymizer(config: Config, key: str | None) -> Pseudonymizer:
    """Make one whose pseudonyms cannot be tried out without the key.

    Without a key it is made of a secret that only the bridge has, so that all captures
    of one installation match.

    Raises:
        UsageError: There is neither a key nor a secret.
    """
    secrets = [
        value
        for source in config.sources.values()
        for values in source.secrets.values()
        for value in values
    ]
    if key is None and not secrets:
        raise click.UsageError("add --key, or set VOUCHERIFY_WEBHOOK_SECRET")
    own = hmac.digest((key or secrets[0]).encode(), b"anonymise", "sha256")
    return Pseudonymizer(own, _test_signature)


def _test_signature(body: bytes) -> dict[str, str]:
    """Sign with a secret that everybody knows; it authenticates nothing."""
    digest = hmac.digest(b"test-secret", body, "sha256").hex()
    return {"x-voucherify-signature": digest}


def _lines(report: ErasureReport, would: str) -> Iterator[str]:
    """Say how much was, or would be, erased."""
    yield f"{report.webhooks:8} webhooks {would} emptied"
    yield f"{report.payloads:8} payloads {would} deleted"
    yield (
        f"{report.deliveries:8} deliveries {would} emptied of recipient, customer, "
        f"code and key; {report.waiting} of them {would} still waiting: not sent"
    )
    yield (
        f"{report.keys:8} keys {would} kept as hashes, so that nothing is sent again"
    )
    yield f"{report.receipts:8} receipts {would} deleted"
    if report.being_sent:
        count = pluralize(report.being_sent, "webhook", "webhooks")
        yield f"{count}: a delivery is being sent right now"
    if report.needed:
        count = pluralize(report.needed, "webhook", "webhooks")
        yield f"{count}: another customer's delivery still needs it"


def _print_elsewhere(matches: Matches) -> None:
    """Name other places that may hold something of the customer."""
    for where in _captures_naming(matches.customer):
        info(f"still in the capture {where}: delete it")
    info(
        "Not searched: captures elsewhere, backups of the ledger, look-up files, and "
        "the vendors' own data. Log lines name no customer."
    )


def _captures_naming(customer: CustomerIdentity) -> Iterator[str]:
    if not CAPTURES.is_dir():
        return
    skipped: list[object] = []  # files that are no webhooks
    try:
        for found in captures.iter_captures(CAPTURES, skipped.append, skipped.append):
            if any(map(customer.matches, mentions(found.capture.body))):
                yield found.where
    except CaptureError as error:
        info(error.reason)
