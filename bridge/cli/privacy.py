"""Command about a person: `forget`."""

import time
from collections.abc import Iterator
from pathlib import Path

import click

from bridge import capture, voucherify
from bridge.cli.arguments import yes_option
from bridge.cli.frame import Command, refuse
from bridge.cli.opening import opened
from bridge.cli.plans import ledger_name
from bridge.cli.printing import counted, talk
from bridge.errors import CaptureError
from bridge.forgetting import Findings, Forgetting, Person, Report

#: Where `events --capture` writes unless it is told otherwise.
CAPTURES = Path("captures")


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
        forgetting = Forgetting(bridge.store, bridge.config.routes, time.sleep)
        talk(f"ledger    {ledger_name(bridge.config.database_url)}")
        findings = forgetting.find(name)
        plan = forgetting.plan(findings)
        talk("\n".join(_lines(plan, "would be")))
        if findings.event_ids and not is_sure:
            raise refuse("nothing done; add --yes to do what the plan says")
        report = forgetting.forget(findings)
    click.echo("\n".join(_lines(report, "were")))
    _name_the_rest(findings)
    if report.being_sent or report.needed:
        raise refuse("not all of it yet: say it again later")


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
