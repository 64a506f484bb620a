"""What the ledger knows of webhooks that are about to be replayed."""

from bridge.model import DeliveryStatus
from bridge.store import Store
from bridge.store.memory import Memory

_SENT = (DeliveryStatus.ACCEPTED, DeliveryStatus.CONFIRMED)


class Known(Memory):
    """The store's memory, and what became of a delivery it names.

    Args:
        store: The ledger's.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._ledger = store.ledger

    def is_sent(self, delivery_id: str) -> bool:
        """Tell whether Iterable has taken a delivery."""
        story = self._ledger.story(delivery_id)
        return story is not None and story.delivery.status in _SENT
