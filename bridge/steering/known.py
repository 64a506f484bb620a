"""What the ledger knows of webhooks that are about to be replayed."""

from collections.abc import Collection

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

    def sent(self, delivery_ids: Collection[str]) -> set[str]:
        """Find those of the deliveries that Iterable has taken."""
        statuses = self._ledger.statuses(delivery_ids)
        return {one for one, status in statuses.items() if status in _SENT}
