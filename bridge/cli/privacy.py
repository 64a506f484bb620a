"""Commands about people: `forget`, `anonymise`."""

import hmac
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import click

from bridge import bootstrap, capture, voucherify
from bridge.anonymous import Anonymiser
from bridge.cli.arguments import yes_option
from bridge.cli.frame import Command, refuse
from bridge.cli.opening import opened, settings
from bridge.cli.plans import ledger_name
from bridge.cli.printing import counted, talk
from bridge.errors import CaptureError
from bridge.forgetting import Finder, Findings, Forgetting, Report
from bridge.model import Capture
from bridge.person import Person

#: Where `events --capture` writes unless it is told otherwise.
CAPTURES = Path("captures")
#: Signs anonymous captures; it proves nothing to anybody.
TEST_SECRET = "test-secret"  # noqa: S105 - known to everybody


@click.command(
    cls=Command,
    example="reward-bridge forget crm-10482\n"
    "reward-bridge forget ana@shop.example --yes",
)
@click.argument("name", metavar="SOURCE_ID|EMAIL")
@yes_option
def forget(name: str, *, is_sure: bool) -> None:
    """Take a person out of the ledger, whatever waits for them included.

    Say --yes to do what the plan says. It may be said again at any time.
    """
    if not name.strip():
        raise click.UsageError("name a source id or an e-mail address")
    with opened() as bridge:
        forgetting = Forgetting(bridge.store, time.sleep)
        talk(f"ledger    {ledger_name(bridge.config.database_url)}")
        findings = Finder(bridge.store, bridge.config.routes).find(name)
        plan = forgetting.plan(findings)
        talk("\n".join(_lines(plan, "would be")))
        if plan != Report() and not is_sure:
            raise refuse("nothing done; add --yes to do what the plan says")
        report = forgetting.forget(findings)
    click.echo("\n".join(_lines(report, "were")))
    _name_the_rest(findings)
    if report.being_sent or report.needed:
        raise refuse("not all of it yet: say it again later")


@click.command(
    cls=Command, example="reward-bridge anonymise captures/ > harmless.jsonl"
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "key",
    "--key",
    metavar="TEXT",
    help="Makes the stand-ins: the same ones in every run with the same key.",
)
def anonymise(files: tuple[str, ...], key: str | None) -> None:
    """Print captures in which stand-ins replace names, addresses, codes and ids.

    One capture a line, as `replay` and `render` read them. A FILE is a body, a capture,
    JSON Lines of either, a folder of such files, or - for standard input.
    """
    anonymiser = _anonymiser(key)
    unreadable: list[CaptureError] = []
    for name in files:
        where: Path | Literal["-"] = "-" if name == "-" else Path(name)
        for found in capture.find(where, talk, unreadable.append):
            made = anonymiser.capture(found.capture)
            click.echo(capture.dumps(made, received_at=bootstrap.now()))
    for error in unreadable:
        talk(error.reason)
    if unreadable:
        raise refuse("not every webhook could be read")


def anonymised(original: Capture) -> Capture:
    """Replace what is personal, with the stand-ins of the configured secret."""
    return _anonymiser(None).capture(original)


def _anonymiser(key: str | None) -> Anonymiser:
    """Make one whose stand-ins nobody can try out who lacks the key.

    Without one it is made of a secret that only the bridge has, so that all captures of
    one installation go together.
    """
    loaded = settings()
    secrets = (*loaded.secrets.voucherify, *loaded.secrets.inbound)
    if key is None and not secrets:
        raise click.UsageError("say --key, or set VOUCHERIFY_WEBHOOK_SECRET")
    own = hmac.digest((key or secrets[0]).encode(), b"anonymise", "sha256")
    return Anonymiser(own, TEST_SECRET)


def _lines(report: Report, would: str) -> Iterator[str]:
    """Say what was, or would be, taken out."""
    yield f"{report.webhooks:8} webhooks {would} blanked"
    yield f"{report.payloads:8} payloads {would} blanked"
    yield (
        f"{report.deliveries:8} deliveries {would} emptied of recipient, customer, "
        f"code and key; {report.waiting} of them {would} waiting, and not sent"
    )
    yield (
        f"{report.keys:8} keys {would} kept as hashes until they expire, so that "
        "nothing is told again"
    )
    yield f"{report.reports:8} reports of Iterable {would} removed"
    if report.being_sent:
        count = counted(report.being_sent, "webhook", "webhooks")
        yield f"{count}: a delivery is being sent just now"
    if report.needed:
        count = counted(report.needed, "webhook", "webhooks")
        yield f"{count}: the delivery of somebody else still needs it"


def _name_the_rest(findings: Findings) -> None:
    """Name what else may hold something of the person."""
    for where in _captures(findings.person):
        talk(f"still in the capture {where}: remove it")
    talk(
        "Not looked at: captures elsewhere, backups of the ledger, look-up files, "
        "Voucherify and Iterable. Log lines name nobody."
    )


def _captures(person: Person) -> Iterator[str]:
    def told(_: object) -> None:
        """Pass over what is no webhook."""

    if not CAPTURES.is_dir():
        return
    try:
        for found in capture.find(CAPTURES, told, told):
            if any(map(person.is_meant, voucherify.mentions(found.capture.body))):
                yield found.where
    except CaptureError as error:
        talk(error.reason)
