"""Commands that play: `sandbox`, `demo`."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import click

from bridge import demo as show
from bridge.cli.arguments import json_option
from bridge.cli.frame import Command, refuse
from bridge.cli.printing import json_line, table, talk, text
from bridge.config import environ, header_fault, url_fault
from bridge.model import EventStatus
from bridge.sandbox import Received, Sandbox
from bridge.steering.legible import moment

#: Between two looks at what came in, in seconds.
_LOOK = 0.1


@click.command(
    cls=Command,
    example="reward-bridge sandbox --port 8100\n"
    "ITERABLE_BASE_URL=http://127.0.0.1:8100 reward-bridge serve",
)
@click.option("--host", default="127.0.0.1", show_default=True, metavar="HOST")
@click.option("--port", type=click.IntRange(0, 65535), default=8100, show_default=True)
@click.option("--api-key", metavar="KEY", help="The only key taken [default: any].")
@click.option(
    "--webhooks",
    metavar="URL",
    help="Tell a bridge there what becomes of each message (…/webhooks/iterable).",
)
@click.option(
    "--secret-env",
    default="ITERABLE_WEBHOOK_SECRET",
    show_default=True,
    metavar="NAME",
    help="Variable with the secret that --webhooks shows.",
)
@json_option
def sandbox(
    host: str,
    port: int,
    api_key: str | None,
    webhooks: str | None,
    secret_env: str,
    *,
    as_json: bool,
) -> None:
    """Play Iterable on this machine and print every call as it comes.

    It judges bodies as Iterable does. A page at its address shows the calls too; POST
    /_sandbox/answers tells it to fail.
    """
    _end_on_sigterm()
    secret = None if webhooks is None else _secret(webhooks, secret_env)
    iterable = Sandbox(host, port, api_key=api_key)
    try:
        iterable.start()
    except OSError as error:
        raise refuse(f"{host}:{port}: {error.strerror}") from error
    with ExitStack() as at_end:
        at_end.callback(iterable.stop)
        if webhooks is not None and secret is not None:
            iterable.report_to(webhooks, secret)
        # Ctrl-C is how it ends; who reads the address may say so at once.
        with suppress(KeyboardInterrupt):
            talk(f"ITERABLE_BASE_URL={iterable.url}")
            for call in _calls(iterable):
                click.echo(json_line(call.shown()) if as_json else _line(call))


@click.command(cls=Command, example="reward-bridge demo")
def demo() -> None:
    """Show the whole way on this machine: webhooks in, messages out.

    Runs `serve` on SQLite in a scratch folder against a local Iterable, posts sample
    webhooks, and leaves nothing behind. Exit code 0 means that exactly what should have
    arrived did.
    """
    _end_on_sigterm()
    report = show.run(talk)
    for line in _report(report):
        click.echo(line)
    if report.faults:
        raise refuse("\n".join(report.faults))
    talk("exactly what should have arrived did")


def _secret(url: str, name: str) -> str:
    """Read the secret that a bridge wants to see.

    Raises:
        UsageError: There is none, or no such place to show it.
    """
    fault = url_fault(url)
    if fault is not None:
        raise click.UsageError(f"--webhooks {fault}")
    # Of several, as while they rotate, the first is the newest.
    secret = environ().get(name, "").split(",")[0].strip()
    if not secret:
        raise click.UsageError(f"--webhooks needs the secret in {name}")
    fault = header_fault(secret)
    if fault is not None:
        raise click.UsageError(f"{name} {fault}")
    return secret


def _end_on_sigterm() -> None:
    """Let SIGTERM end the command as Ctrl-C does: with everything put away."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def _calls(iterable: Sandbox) -> Iterator[Received]:
    last = 0
    while True:
        for call in iterable.calls:
            if call.number > last:
                last = call.number
                yield call
        time.sleep(_LOOK)


def _line(call: Received) -> str:
    status = "cut off" if call.status is None else call.status
    body = json_line(call.body) if call.raw else ""
    return text(f"{moment(call.time)} {status} {call.method} {call.path} {body}")


def _report(report: show.Report) -> Iterator[str]:
    """Show what arrived at Iterable, then what became no message, and why."""
    played = {one.scene.message: one for one in report.played}
    arrived = [
        (one.who, one.campaign, one.shows, *_origin(played.get(one)))
        for one in report.arrived
    ]
    head = ("RECIPIENT", "CAMPAIGN", "SHOWS", "ENDED", "WHICH IS", "SAMPLE")
    yield "What arrived at Iterable, and what Iterable then reported:"
    yield from table(head, arrived)
    yield ""
    yield "What became no message:"
    others = [
        (one.became, one.scene.title, one.scene.sample, one.reason)
        for one in report.played
        if one.became != EventStatus.STORED
    ]
    yield from table(("BECAME", "WHICH IS", "SAMPLE", "REASON"), others)


def _origin(played: show.Played | None) -> tuple[str | None, str, str | None]:
    """Say where a message's delivery ended, and what made it."""
    if played is None:
        return None, "unexpected", None
    return played.ended, played.scene.title, played.scene.sample
