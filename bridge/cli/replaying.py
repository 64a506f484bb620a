"""Command `replay`: captured or stored webhooks through the intake again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import click

from bridge import bootstrap, capture
from bridge.bootstrap import Bridge
from bridge.cli.arguments import since_option, yes_option
from bridge.cli.feeding import feed
from bridge.cli.frame import Command, refuse
from bridge.cli.opening import opened, settings
from bridge.cli.plans import (
    permit,
    show_answers,
    show_bridge,
    show_place,
    show_steps,
    show_stored,
)
from bridge.cli.posting import Answer, Poster
from bridge.cli.printing import counted, progress, talk
from bridge.config import is_loopback, url_fault
from bridge.errors import CaptureError, ConfigError, Problem
from bridge.model import EventStatus
from bridge.steering.known import Known
from bridge.steering.paging import every_event
from bridge.steering.planning import Nothing, Planner, Source, Step, summary
from bridge.store import EventFilter


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What was typed."""

    files: tuple[str, ...]
    is_dry: bool
    is_sure: bool
    #: Of a running bridge that gets the webhooks instead of the configured store.
    url: str | None
    is_stored: bool
    is_parked: bool
    is_ignored: bool
    since: datetime | None

    def check(self) -> None:
        """Refuse what makes no sense together.

        Raises:
            UsageError: It does not.
        """
        if self.is_stored and (self.files or self.url):
            raise click.UsageError("--stored takes no FILE and no --to")
        if not self.is_stored and not self.files:
            raise click.UsageError("name a FILE, a folder, or - (or say --stored)")
        if not self.is_stored and (self.is_parked or self.is_ignored or self.since):
            raise click.UsageError("--parked, --ignored and --since need --stored")
        fault = None if self.url is None else url_fault(self.url)
        if fault is not None:
            hint = "it takes one such as http://127.0.0.1:8000"
            raise click.UsageError(f"--to {fault}; {hint}")

    @property
    def statuses(self) -> tuple[EventStatus, ...]:
        """Which stored events are decided again: both kinds unless one is named."""
        chosen = [
            *([EventStatus.PARKED] if self.is_parked else []),
            *([EventStatus.IGNORED] if self.is_ignored else []),
        ]
        return tuple(chosen) or (EventStatus.PARKED, EventStatus.IGNORED)


@click.command(
    cls=Command,
    example="reward-bridge replay --dry-run captures/\n"
    "reward-bridge replay --stored --ignored --since 7d --yes\n"
    "reward-bridge replay --to http://127.0.0.1:8000 samples/voucherify",
)
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("is_dry", "--dry-run", is_flag=True, help="Show the plan, do nothing.")
@yes_option
@click.option("url", "--to", metavar="URL", help="Post them, signed, to this bridge.")
@click.option("is_stored", "--stored", is_flag=True, help="Decide stored events again.")
@click.option("is_parked", "--parked", is_flag=True, help="Of those, parked ones.")
@click.option("is_ignored", "--ignored", is_flag=True, help="Of those, ignored ones.")
@since_option
def replay(**typed: Any) -> None:
    """Feed captured webhooks through the intake, as if they came now.

    A FILE is a body, a capture, JSON Lines of either, a folder of such files, or - for
    standard input. What the ledger knows already is not sent again.
    """
    wanted = Wanted(**typed)
    wanted.check()
    unreadable: list[CaptureError] = []
    if wanted.url is not None:
        _post(wanted, wanted.url, unreadable)
    else:
        _replay(wanted, unreadable)
    if unreadable:
        count = counted(len(unreadable), "webhook", "webhooks")
        raise refuse(f"{count} could not be read, as said above")


def _replay(wanted: Wanted, unreadable: list[CaptureError]) -> None:
    with opened() as bridge:
        sources = list(
            _stored(wanted, bridge) if wanted.is_stored else _read(wanted, unreadable)
        )
        steps = _plan(Planner(bridge.intake.decide, Known(bridge.store)), sources)
        is_local = is_loopback(bridge.config.iterable.base_url)
        show_place(bridge.config)
        show_steps(steps, unreadable, is_local=is_local, is_whole=wanted.is_dry)
        if not wanted.is_dry:
            messages = summary(steps).messages
            permit(messages, is_local=is_local, is_sure=wanted.is_sure)
            feed(bridge, sources, "replaying", show_stored)


def _read(wanted: Wanted, unreadable: list[CaptureError]) -> Iterator[Source]:
    """Read every file before the first is fed: a bad one is known in time.

    Args:
        wanted: Names the files.
        unreadable: Gets what cannot be read of several.

    Raises:
        CaptureError: A file that was named cannot be read at all.
    """
    for name in wanted.files:
        where: Path | Literal["-"] = "-" if name == "-" else Path(name)
        for found in capture.find(where, talk, unreadable.append):
            yield Source(where=found.where, capture=found.capture)


def _plan(planner: Planner, sources: Sequence[Source]) -> list[Step]:
    return list(progress(planner.plan(sources), len(sources), "planning "))


def _stored(wanted: Wanted, bridge: Bridge) -> Iterator[Source]:
    """Read stored events that made no delivery, as far as they are kept."""
    ledger = bridge.store.ledger
    for status in wanted.statuses:
        for row in every_event(ledger, EventFilter(status=status, since=wanted.since)):
            event = ledger.event(row.id)
            if event is not None and event.blanked_at is None:
                where = f"event {event.id}"
                yield Source(where=where, capture=event.capture, again=event.id)


def _post(wanted: Wanted, url: str, unreadable: list[CaptureError]) -> None:
    loaded = settings()
    if not loaded.secrets.voucherify:
        problem = Problem("VOUCHERIFY_WEBHOOK_SECRET", "is not set: --to signs with it")
        raise ConfigError([problem])
    sources = list(_read(wanted, unreadable))
    steps = _plan(Planner(bootstrap.build(loaded).intake.decide, Nothing()), sources)
    is_local = is_loopback(url) and is_loopback(loaded.iterable.base_url)
    show_bridge(url)
    show_steps(steps, unreadable, is_local=is_local, is_whole=wanted.is_dry)
    if wanted.is_dry:
        return
    permit(len(sources), is_local=is_local, is_sure=wanted.is_sure)
    answers: list[Answer] = []
    try:
        poster = Poster(url, loaded.secrets.voucherify[0])
        answers.extend(progress(poster.post(sources), len(sources), "posting  "))
    finally:
        show_answers(answers)
    if not all(answer.became for answer in answers):
        raise refuse("some were not taken")
