"""Webhooks into the ledger, one after the other, for every command that has some."""

from collections.abc import Callable, Sequence

from bridge.bootstrap import Bridge
from bridge.cli.printing import progress
from bridge.model import Stored
from bridge.steering.planning import Source
from bridge.steering.replaying import feed_one
from bridge.store import By

#: A webhook and what the ledger made of it.
Fed = tuple[Source, Stored]


def feed(
    bridge: Bridge,
    sources: Sequence[Source],
    label: str,
    shown: Callable[[Sequence[Fed]], None],
) -> None:
    """Store webhooks; what was stored before an error stands, and is shown.

    Args:
        bridge: Takes them as if they came now.
        sources: The webhooks, in order.
        label: What is done, for the progress bar.
        shown: Gets all that were stored, in the end.

    Raises:
        StoreUnavailable: One was not stored, nor were those behind it.
    """
    done: list[Fed] = []
    try:
        for source in progress(sources, len(sources), label):
            stored = feed_one(bridge, source, by=By.SHELL)
            done.append((source, stored))
    finally:
        shown(done)
