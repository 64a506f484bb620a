"""Commands that change nothing: `check` and `render`."""

from collections.abc import Iterator

import click

from bridge import bootstrap, checks, config
from bridge.cli.app import command, config_path, fail
from bridge.cli.opening import load_config, read_captures, set_up_log
from bridge.cli.options import json_option
from bridge.cli.output import cell, info, json_line
from bridge.errors import CaptureError, ConfigError
from bridge.model import EventStatus
from bridge.operations.preview import Preview, of_webhook
from bridge.text import format_body


@command(
    "check",
    example="reward-bridge check --online\nreward-bridge check --capture captures/",
)
@click.option(
    "--online",
    is_flag=True,
    help="Ask the destinations too: the key, and each campaign's kind and state.",
)
@click.option(
    "files",
    "--capture",
    multiple=True,
    metavar="FILE",
    help="Render templates with these webhooks of yours instead of samples.",
)
def check(files: tuple[str, ...], *, online: bool) -> None:
    """Check configuration, templates and waiting deliveries, as `serve` does.

    Lists every problem, one a line, and exits with 2 if there is one. Notes name what
    the shipped samples cannot prove; they are no failures.
    """
    environ = config.environ()
    own = [(one.where, one.capture) for one in read_captures(files, _raise)]
    report = checks.check(
        config_path(environ),
        environ,
        "receive",
        "deliver",
        captures=own,
        online=online,
    )
    for note in report.notes:
        info(f"note: {note}")
    if report.problems:
        raise ConfigError(report.problems)
    for route in report.config.routes if report.config else ():
        campaign = f", campaign {route.campaign_id}" if route.campaign_id else ""
        info(
            f"route {route.name}: {_matches(route.match)} from {route.source} to "
            f"{route.destination} {route.endpoint}{campaign}, {route.template}"
        )
    info("no problem found")


@command(
    "render",
    example="reward-bridge render samples/voucherify/02_project_publication_"
    "succeeded.json",
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@json_option
def render(files: tuple[str, ...], *, as_json: bool) -> None:
    """Show the payloads that captured webhooks would produce.

    Nothing is sent or stored. A FILE is a body, a capture, another tool's recording,
    JSON Lines, a folder of such files, or - for standard input.
    """
    loaded = load_config()
    set_up_log(loaded)
    bridge = bootstrap.build(loaded)
    templates = bootstrap.templates(loaded)
    unreadable: list[CaptureError] = []
    is_usable = True
    for found in read_captures(files, unreadable.append):
        for preview in of_webhook(bridge, templates, found.where, found.capture):
            is_usable &= preview.status in (EventStatus.STORED, EventStatus.IGNORED)
            click.echo(json_line(preview) if as_json else "\n".join(_lines(preview)))
    for error in unreadable:
        info(error.reason)
    if unreadable or not is_usable:
        raise fail("some webhooks could not be used")


def _raise(error: CaptureError) -> None:
    raise error


def _lines(preview: Preview) -> Iterator[str]:
    """Show a payload below a comment that says what it is."""
    if preview.payload is None:
        yield f"# {preview.where}: {preview.status}: {cell(preview.reason)}"
        return
    recipient = cell(preview.recipient)
    target = f"{preview.destination} {preview.endpoint}"
    yield f"# {preview.where}: {preview.route}, {target} to {recipient}"
    yield format_body(preview.payload)


def _matches(match: config.Match) -> str:
    """Say in words what a route matches."""
    parts = ["raw bodies"] if match.raw else []
    for name, values in (
        ("events", match.events),
        ("campaigns", match.campaigns),
        ("vouchers", match.vouchers),
    ):
        if values:
            parts.append(f"{name} {', '.join(values)}")
    return " and ".join(parts) or "everything"
