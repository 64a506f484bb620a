"""What tests read and write in a ledger, past the modules that are under test."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, select

from bridge.model import DeliveryStatus, IngestResult, NewEvent
from bridge.store import Store
from bridge.store.ingest import ingest
from bridge.store.schema import attempts, deliveries, events


def add(store: Store, event: NewEvent, again: str | None = None) -> IngestResult:
    """Store one event in a transaction of its own."""
    return together(store, [event], again)[0]


def together(
    store: Store, several: Sequence[NewEvent], again: str | None = None
) -> list[IngestResult]:
    """Store events in one transaction."""
    with store.write() as tx:
        return ingest(tx, [(one, again) for one in several])


def delivery_row(store: Store, delivery_id: str) -> Row[Any]:
    with store.read() as tx:
        found = select(deliveries).where(deliveries.c.id == delivery_id)
        return tx.connection.execute(found).one()


def status_of(store: Store, delivery_id: str) -> DeliveryStatus:
    return DeliveryStatus(delivery_row(store, delivery_id).status)


def delivery_ids(store: Store) -> set[str]:
    with store.read() as tx:
        return set(tx.connection.execute(select(deliveries.c.id)).scalars())


def event_rows(store: Store) -> list[Row[Any]]:
    """List events in the order of their ids."""
    with store.read() as tx:
        return list(tx.connection.execute(select(events).order_by(events.c.id)))


def attempt_rows(store: Store, delivery_id: str) -> list[Row[Any]]:
    with store.read() as tx:
        found = select(attempts).where(attempts.c.delivery_id == delivery_id)
        return list(tx.connection.execute(found.order_by(attempts.c.number)))
