"""Shows a plan before it is carried out, and what came of it; asks for `--yes`."""

from collections import Counter
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

import click

from bridge.cli.frame import refuse
from bridge.cli.posting import Answer
from bridge.cli.printing import counted, table, talk
from bridge.config import Config, is_loopback
from bridge.errors import CaptureError
from bridge.model import EventStatus, Stored
from bridge.steering.planning import Fate, Source, Step, summary

#: Who does the rest, once something is in the queue.
SENT_BY = "a running `serve` or `worker` sends what is queued"
#: Most different reasons shown with a plan.
_REASONS = 10


def show_place(config: Config) -> None:
    """Show which ledger and which Iterable a plan is about."""
    url = config.iterable.base_url
    people = "on this machine, nobody real" if is_loopback(url) else "real customers"
    talk(f"ledger    {ledger_name(config.database_url)}")
    talk(f"Iterable  {url or 'not configured'} ({people})")


def show_bridge(url: str) -> None:
    """Show which other bridge a plan is about."""
    talk(f"bridge    {url}")
    talk("Its ledger and routes decide; these are yours, with an empty ledger:")


def show_steps(
    steps: Sequence[Step],
    unreadable: Sequence[CaptureError],
    *,
    is_local: bool,
    is_whole: bool,
) -> None:
    """Show what would become of webhooks, as far as it can be said here.

    Args:
        steps: The plan.
        unreadable: What cannot be part of it.
        is_local: True where Iterable is on this machine.
        is_whole: Print every webhook too, as data.
    """
    total = summary(steps)
    nouns = ("person", "people") if is_local else ("real customer", "real customers")
    people = counted(total.people, *nouns)
    reach = f"{counted(total.messages, 'message', 'messages')} to {people}"
    notes = {Fate.NEW: reach if total.messages else ""}
    for fate in Fate:
        talk(f"{total.fates.get(fate, 0):8} {fate:13} {notes.get(fate, '')}".rstrip())
    if unreadable:
        talk(f"{len(unreadable):8} unreadable")
    for error in unreadable:
        talk(f"  {error.reason}")
    if is_whole:
        rows = [
            (one.fate, len(one.deliveries), one.source.where, one.reason)
            for one in steps
        ]
        _print(("FATE", "MESSAGES", "WEBHOOK", "REASON"), rows)
        return
    parked = Counter(one.reason for one in steps if one.fate is Fate.PARKED)
    for reason, count in parked.most_common(_REASONS):
        talk(f"  {count} parked: {reason}")


def show_stored(done: Sequence[tuple[Source, Stored]]) -> None:
    """Print what became of the webhooks that were fed."""
    rows = [
        (one.status, _made(one), one.event_id, source.where, one.reason)
        for source, one in done
    ]
    _print(("BECAME", "MESSAGES", "EVENT", "WEBHOOK", "REASON"), rows)
    _count(one.status for _, one in done)
    messages = sum(_made(one) for _, one in done)
    if messages:
        talk(f"{counted(messages, 'message', 'messages')} queued; {SENT_BY}")


def show_answers(answers: Sequence[Answer]) -> None:
    """Print what a bridge said to the webhooks that were posted."""
    rows = [(one.status, one.became, one.event_id, one.source.where) for one in answers]
    _print(("ANSWER", "BECAME", "EVENT", "WEBHOOK"), rows)
    _count(one.became or "not taken" for one in answers)


def permit(count: int, *, is_local: bool, is_sure: bool) -> None:
    """Let pass what can reach nobody, or was agreed to.

    Args:
        count: How many messages, or webhooks, are at stake.
        is_local: True where nobody real can be reached.
        is_sure: What `--yes` says.

    Raises:
        ClickException: Neither.
    """
    if count and not is_local and not is_sure:
        raise refuse("nothing done; add --yes to do what the plan says")


def ledger_name(database_url: str) -> str:
    """Name the database without the password that its URL may hold."""
    parts = urlsplit(database_url)
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"


def _count(fates: Iterable[str]) -> None:
    figures = Counter(fates)
    if figures:
        talk(", ".join(f"{count} {fate}" for fate, count in figures.items()))


def _made(stored: Stored) -> int:
    # A duplicate's deliveries are those that told it before.
    return len(stored.deliveries) if stored.status is EventStatus.STORED else 0


def _print(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    if rows:
        click.echo("\n".join(table(head, rows)))
