"""What a reconciliation found, put together and shown."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import click

from bridge.cli.printing import counted, json_line, table, talk
from bridge.reconcile import Comparison, Finding, Found
from bridge.steering.planning import Fate, Source, Step, Summary, summary

#: What is listed one by one; of the others the number says enough.
_NAMED = (
    Finding.MISSING,
    Finding.LATE,
    Finding.FAILED,
    Finding.EXTRA,
    Finding.UNUSABLE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What was found, and what a backfill would do."""

    found: tuple[Found, ...]
    #: The webhooks of what is missing.
    sources: tuple[Source, ...]
    #: What would come of these.
    total: Summary
    #: States of the deliveries that tell what was listed.
    statuses: Mapping[str, int]

    @property
    def named(self) -> list[Found]:
        """List what is worth a line each, by finding."""
        return [one for kind in _NAMED for one in self.found if one.finding is kind]

    @property
    def counts(self) -> Mapping[Finding, int]:
        """Count the findings."""
        return Counter(one.finding for one in self.found)


def outlook(
    compared: Comparison, steps: Sequence[Step], others: Sequence[Found]
) -> Outlook:
    """Put together what was found.

    Args:
        compared: The list against the ledger.
        steps: What would become of the webhooks of those that are missing.
        others: What else was found out about missing and unlisted ones.
    """
    new = [step for step in steps if step.fate is Fate.NEW]
    return Outlook(
        found=(*compared.settled, *_planned(compared, steps), *others),
        sources=tuple(step.source for step in new),
        total=summary(new),
        statuses=Counter(compared.statuses),
    )


def _planned(compared: Comparison, steps: Sequence[Step]) -> Iterator[Found]:
    by_name = {f"publication {one.publication.id}": one for one in compared.missing}
    for step in steps:
        missing = by_name[step.source.where]
        match step.fate:
            case Fate.NEW if missing.deliveries:
                yield missing.found(Finding.MISSING, "a part of it was told")
            case Fate.NEW:
                yield missing.found(Finding.MISSING, None)
            case Fate.PARKED | Fate.IGNORED:
                yield missing.found(Finding.UNUSABLE, step.reason)
            case Fate.SENT | Fate.KNOWN if missing.deliveries:
                # A route that tells a publication whole does not tell the rest of it.
                reason = f"a part of it was told; {step.reason}"
                yield missing.found(Finding.UNUSABLE, reason)
            case Fate.SENT | Fate.KNOWN:
                # Its delivery is gone or tells it by another name; its key remains.
                yield missing.found(Finding.TOLD, step.reason)


def show_outlook(found: Outlook, *, is_local: bool) -> None:
    """Show how many of each there are, and what a backfill would do."""
    nouns = ("person", "people") if is_local else ("real customer", "real customers")
    messages = counted(found.total.messages, "message", "messages")
    reach = f"{messages} to {counted(found.total.people, *nouns)}"
    for kind in Finding:
        note = reach if kind is Finding.MISSING and found.total.messages else ""
        talk(f"{found.counts.get(kind, 0):8} {kind:9} {note}".rstrip())
    if found.statuses:
        told = (f"{count} {status}" for status, count in found.statuses.items())
        talk(f"deliveries of those told, late ones included: {', '.join(told)}")
    counts = found.counts
    is_told = counts.get(Finding.TOLD) or counts.get(Finding.LATE)
    if counts.get(Finding.MISSING) and counts.get(Finding.EXTRA) and not is_told:
        talk("nothing on either side is on the other: do the keys fit this ledger?")


def show_findings(named: Sequence[Found], *, as_json: bool) -> None:
    """Print what was found, as data."""
    if as_json:
        for one in named:
            click.echo(json_line(one))
        return
    rows = [
        (
            one.finding,
            one.publication_id,
            one.published_at,
            one.customer_id,
            ", ".join(one.codes),
            one.reason,
        )
        for one in named
    ]
    head = ("FINDING", "PUBLICATION", "PUBLISHED", "CUSTOMER", "CODES", "REASON")
    if rows:
        click.echo("\n".join(table(head, rows)))
