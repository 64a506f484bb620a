"""Commands that play the vendors on this machine: `sandbox`, `dev`, `demo`."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from threading import Lock

import click

from bridge import config, integrations
from bridge import demo as show
from bridge.cli.app import command, config_path, fail
from bridge.cli.options import json_option
from bridge.cli.output import cell, info, json_line, table
from bridge.config import header_fault, url_fault
from bridge.integrations import Integration, SandboxReceipts
from bridge.model import EventStatus
from bridge.sandbox import SandboxCall, SandboxServer, make_sandboxes
from bridge.text import format_time

#: Seconds between two looks at a process.
_POLL = 0.1
#: Calls of several threads are printed a line each.
_PRINTING = Lock()
#: The ledger of `dev`, beside the configuration; never the real one.
_DEV_LEDGER = "dev.db"
_DEV_PASSWORD = "local-console"  # noqa: S105 - shown to everybody who runs `dev`


@command(
    "sandbox",
    example="reward-bridge sandbox --port 8100\n"
    "ITERABLE_BASE_URL=http://127.0.0.1:8100 reward-bridge serve",
)
@click.option("--host", default="127.0.0.1", show_default=True, metavar="HOST")
@click.option("--port", type=click.IntRange(0, 65535), default=8100, show_default=True)
@click.option(
    "--webhooks",
    metavar="URL",
    help="Send receipts of accepted messages there (…/webhooks/iterable).",
)
@json_option
def sandbox(host: str, port: int, webhooks: str | None, *, as_json: bool) -> None:
    """Run local sandboxes of the vendors, without the program.

    They judge requests as the vendors do and print every call. GET
    /_sandbox/<vendor>/received lists the calls; POST /_sandbox/<vendor>/rules makes
    them fail (docs/sandbox.md).
    """
    _end_on_sigterm()
    receipts: dict[str, SandboxReceipts] = {}
    if webhooks is not None:
        kind = webhooks.rstrip("/").rpartition("/")[2]
        receipts[kind] = SandboxReceipts(url=webhooks, secret=_secret(webhooks, kind))
    on_call = partial(_print_call, as_json=as_json)
    server = SandboxServer(make_sandboxes(receipts), host, port, on_call=on_call)
    with server:
        for name, value in server.environment.items():
            info(f"{name}={value}")
        _sleep_until_interrupted()


@command("dev", example="reward-bridge dev --bind 127.0.0.1:8000")
@click.option(
    "--bind",
    default="127.0.0.1:8000",
    show_default=True,
    metavar="HOST:PORT",
    help="Where the program listens.",
)
@click.option(
    "--sandbox-port",
    type=click.IntRange(0, 65535),
    default=8025,
    show_default=True,
    help="Where the sandboxes listen; 0 for a free port.",
)
def dev(bind: str, sandbox_port: int) -> None:
    """Run the program beside local sandboxes of the vendors.

    Uses the ledger dev.db, whatever DATABASE_URL says elsewhere, and sends to the
    sandboxes only. Without config.yaml it uses the example configuration. Ctrl-C ends
    everything.
    """
    environ = dict(config.environ())
    if environ.get("DATABASE_URL"):
        raise fail(
            "DATABASE_URL is set, and `dev` has a ledger of its own: unset it, so that "
            "no real message can end in a sandbox"
        )
    _end_on_sigterm()
    environ = {**_local_secrets(), **environ, **_local_settings(environ)}
    receipts = {
        kind: SandboxReceipts(
            url=f"http://{bind}/webhooks/{kind}", secret=environ[variable]
        )
        for kind, variable in _receipt_secrets()
    }
    sandboxes = make_sandboxes(receipts)
    server = SandboxServer(sandboxes, port=sandbox_port, on_call=_print_call)
    with server:
        environ |= server.environment
        _check_destinations(environ)
        info(f"sandboxes   {server.url}")
        info(f"bridge      http://{bind}")
        info(f"console     http://{bind}/console/ (password {_DEV_PASSWORD})")
        sys.exit(_serve(bind, environ))


@command("demo", example="reward-bridge demo")
def demo() -> None:
    """Show the whole way on this machine, without any account.

    Runs `serve` on SQLite in a scratch folder against a local sandbox, posts sample
    webhooks, shows what arrived, and leaves nothing behind. Exit code 0 means that
    every expected message arrived and no other.
    """
    _end_on_sigterm()
    report = show.run(info)
    for line in _report(report):
        click.echo(line)
    if report.problems:
        raise fail("\n".join(report.problems))
    info(f"All {len(report.arrived)} expected messages arrived. Next: make run")


def _print_call(call: SandboxCall, *, as_json: bool = False) -> None:
    body = "" if call.body is None else json_line(call.body)
    line = f"{format_time(call.time)} {call.status} {call.method} {call.path} {body}"
    with _PRINTING:
        click.echo(json_line(call) if as_json else cell(line))
        sys.stdout.flush()


def _secret(url: str, kind: str) -> str:
    """Read the secret that authenticates receipts of a kind of vendor."""
    name = dict(_receipt_secrets()).get(kind)
    fault = url_fault(url)
    if fault is not None or name is None:
        fault = fault or "ends in no vendor that sends receipts (…/webhooks/iterable)"
        raise click.UsageError(f"--webhooks {fault}")
    # Of several, as while they rotate, the first is the newest.
    secret = config.environ().get(name, "").split(",")[0].strip()
    if not secret:
        raise click.UsageError(f"--webhooks needs the secret in {name}")
    fault = header_fault(secret)
    if fault is not None:
        raise click.UsageError(f"{name} {fault}")
    return secret


def _integrations() -> Iterator[Integration]:
    for kind in integrations.kinds():
        found = integrations.find(kind)
        if found is not None:
            yield found


def _local_secrets() -> dict[str, str]:
    """Make a value for every secret of every vendor, all of them different."""
    return {
        secret.variable: f"local-{integration.kind}-{secret.name}".replace("_", "-")
        for integration in _integrations()
        for spec in (integration.source_spec, integration.destination_spec)
        if spec is not None
        for secret in spec.secrets
    }


def _local_settings(environ: Mapping[str, str]) -> dict[str, str]:
    path = config_path(environ)
    if not path.exists():
        path = config.shipped("config.example.yaml")
        info(f"no config.yaml here: using {path.name}")
    folder = Path.cwd()
    return {
        "BRIDGE_CONFIG": str(path),
        "DATABASE_URL": f"sqlite:///{folder / _DEV_LEDGER}",
        "BRIDGE_CONSOLE_PASSWORD": _DEV_PASSWORD,
        "LOG_FORMAT": environ.get("LOG_FORMAT", "text"),
    }


def _check_destinations(environ: Mapping[str, str]) -> None:
    """Refuse to start where a route would still reach a real vendor."""
    path = config_path(environ)
    loaded = config.load(path, environ, find_integration=integrations.find)
    for name in sorted({route.destination for route in loaded.routes}):
        destination = loaded.destinations[name]
        if destination.base_url != environ.get(f"{destination.kind.upper()}_BASE_URL"):
            raise fail(
                f"destination {name} would reach {destination.base_url}: give it "
                "`base_url: http://127.0.0.1:…` of a sandbox in a copy of the file"
            )


def _receipt_secrets() -> Iterator[tuple[str, str]]:
    """Yield the kind of each vendor that sends receipts, and its secret's variable."""
    for integration in _integrations():
        spec = integration.destination_spec
        if integration.make_receipts is not None and spec is not None:
            for secret in spec.secrets:
                if secret.name == "webhook_secret":
                    yield integration.kind, secret.variable


def _serve(bind: str, environ: Mapping[str, str]) -> int:
    """Run the program until it ends or this one is asked to."""
    program = [sys.executable, "-m", "bridge", "serve"]
    process = subprocess.Popen(  # noqa: S603 - our own
        [*program, "--bind", bind, "--processes", "1"], env=dict(environ)
    )
    try:
        while process.poll() is None:
            time.sleep(_POLL)
    except KeyboardInterrupt:
        pass
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait()
    return 0 if process.returncode in (0, -signal.SIGTERM) else process.returncode


def _end_on_sigterm() -> None:
    """Let SIGTERM end the command as Ctrl-C does: with everything cleaned up."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def _sleep_until_interrupted() -> None:
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        pass


def _report(report: show.DemoReport) -> Iterator[str]:
    """Show what arrived at Iterable, then what became no message, and why."""
    results = {one.scenario.message: one for one in report.results}
    rows: list[tuple[object, ...]] = []
    for message in report.arrived:
        one = results.get(message)
        names = ("unexpected", None) if one is None else one.names
        rows.append((*message, None if one is None else one.status, *names))
    head = ("RECIPIENT", "CAMPAIGN", "CODE", "STATUS", "SCENARIO", "SAMPLE")
    yield "Voucherify → Iterable: what arrived, and what Iterable then reported:"
    yield from table(head, rows)
    yield ""
    yield "What became no message:"
    others = [
        (one.event_status, *one.names, one.reason)
        for one in report.results
        if one.event_status != EventStatus.STORED
    ]
    yield from table(("STATUS", "SCENARIO", "SAMPLE", "REASON"), others)
