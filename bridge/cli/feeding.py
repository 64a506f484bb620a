"""Webhooks into the ledger, one after the other, for every command that has some."""

from collections.abc import Callable, Sequence

from bridge.cli.planning import Source
from bridge.cli.printing import progress
from bridge.intake import Intake
from bridge.model import Stored

#: A webhook and what the ledger made of it.
Fed = tuple[Source, Stored]


def feed(
    intake: Intake,
    sources: Sequence[Source],
    label: str,
    shown: Callable[[Sequence[Fed]], None],
) -> None:
    """Store webhooks; what was stored before an error stands, and is shown.

    Args:
        intake: Takes them as if they came now.
        sources: The webhooks, in order.
        label: What is done, for the progress bar.
        shown: Gets all that were stored, in the end.

    Raises:
        StoreUnavailable: One was not stored, nor were those behind it.
    """
    done: list[Fed] = []
    try:
        for source in progress(sources, len(sources), label):
            stored = intake.receive(source.capture, again=source.again)
            done.append((source, stored))
    finally:
        shown(done)
