"""One webhook through the intake again, and a note of who did it."""

from bridge.bootstrap import Bridge
from bridge.model import Stored
from bridge.steering.planning import Source
from bridge.store import Action, By


def feed_one(bridge: Bridge, source: Source, *, by: By) -> Stored:
    """Store a webhook as if it came now.

    Raises:
        StoreUnavailable: Nothing was kept.
    """
    before = None if source.again is None else bridge.store.ledger.event(source.again)
    stored = bridge.intake.receive(source.capture, again=source.again)
    if before is not None:
        with bridge.store.write() as tx:
            was = [(before.id, before.status.value)]
            bridge.store.ledger.note(tx, by, Action.REPLAY, was)
    return stored
