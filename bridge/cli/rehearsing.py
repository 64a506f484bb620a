"""Commands that touch nothing: `check`, `render`."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import click

from bridge import bootstrap, capture, checks, config
from bridge.cli.arguments import json_option
from bridge.cli.frame import Command, config_path, refuse
from bridge.cli.opening import set_up_log, settings
from bridge.cli.printing import json_line, talk, text
from bridge.errors import CaptureError, ConfigError
from bridge.model import EventStatus
from bridge.steering.legible import pretty
from bridge.steering.previewing import Preview, Previewer


@click.command(cls=Command, example="reward-bridge check --online")
@click.option(
    "--online",
    is_flag=True,
    help="Ask Iterable too: the key, and each campaign's kind, state and medium.",
)
def check(*, online: bool) -> None:
    """Check file, environment, templates and waiting deliveries, as `serve` does.

    Every problem is listed, one a line; the exit code is 2 where there is one.
    """
    problems = checks.check(
        config_path(), config.environ(), "receive", "deliver", online=online
    )
    if problems:
        raise ConfigError(problems)
    if not settings().secrets.iterable:
        talk(
            "note: ITERABLE_WEBHOOK_SECRET is not set, so /webhooks/iterable takes "
            "nobody and no delivery will be confirmed"
        )
    talk("no problem found")


@click.command(
    cls=Command,
    example="reward-bridge render samples/voucherify/02_project_publication_"
    "succeeded.json",
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@json_option
def render(files: tuple[str, ...], *, as_json: bool) -> None:
    """Show the payloads that captured webhooks would produce.

    Nothing is sent or stored. A FILE is a body, a capture, JSON Lines of either, a
    folder of such files, or - for standard input.
    """
    loaded = settings()
    set_up_log(loaded, is_quiet=True)
    intake = bootstrap.build(loaded).intake
    previewer = Previewer(loaded, intake, bootstrap.templates(loaded))
    is_whole = True

    def told(error: CaptureError) -> None:
        nonlocal is_whole
        is_whole = False
        talk(error.reason)

    for preview in _previews(previewer, files, told):
        is_whole &= preview.status in (EventStatus.STORED, EventStatus.IGNORED)
        click.echo(json_line(preview) if as_json else "\n".join(_lines(preview)))
    if not is_whole:
        raise refuse("not every webhook could be used")


def _previews(
    previewer: Previewer,
    files: Sequence[str],
    unreadable: Callable[[CaptureError], None],
) -> Iterator[Preview]:
    for name in files:
        where: Path | Literal["-"] = "-" if name == "-" else Path(name)
        for found in capture.find(where, talk, unreadable):
            yield from previewer.previews(found)


def _lines(preview: Preview) -> Iterator[str]:
    """Show a payload below a line of comment that says what it is."""
    if preview.payload is None:
        yield f"# {preview.where}: {preview.status}: {text(preview.reason)}"
        return
    whom = text(preview.recipient)
    yield f"# {preview.where}: {preview.route}, {preview.endpoint} to {whom}"
    yield pretty(preview.payload)
