"""One person's rows, found and erased."""

from collections.abc import Callable
from typing import Any

import pytest

from bridge.model import (
    Action,
    DeliveryFilter,
    DeliveryStatus,
    EventStatus,
    MatchedBy,
    Receipt,
    ReceiptType,
)
from bridge.store import (
    Store,
    actions,
    deliveries,
    erasure,
    events,
    idempotency,
    new_id,
    receipts,
)
from bridge.store import retention as sweep
from bridge.store.ingest import ingest
from tests.store.conftest import new_delivery, new_event

pytestmark = pytest.mark.integration

Status = DeliveryStatus
Bring = Callable[..., str]


def is_ana(recipient: str, _: str | None) -> bool:
    return recipient == "ana"


def own(store: Store, *event_ids: str) -> list[erasure.PersonDelivery]:
    with store.read() as tx:
        several = erasure.person_deliveries(tx, event_ids, is_ana, lock=False)
    return [one for one in several if one.is_own]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Status.PENDING, Status.SUPPRESSED),
        (Status.IN_DOUBT, Status.SUPPRESSED),
        (Status.ACCEPTED, Status.ACCEPTED),
        (Status.DEAD, Status.DEAD),
    ],
)
def test_an_erased_delivery_names_nobody_and_is_not_sent(
    store: Store, bring: Bring, before: DeliveryStatus, after: DeliveryStatus
) -> None:
    delivery_id = bring(before, recipient="ana", codes=("ONE", "TWO"))
    with store.write() as tx:
        actions.record(tx, "Ann", Action.DROP, [(delivery_id, "held")], "Ana called")
        [row] = deliveries.list(tx, DeliveryFilter())
    [one] = own(store, row.event_id)
    assert one.is_waiting is (after is Status.SUPPRESSED)
    with store.write() as tx:
        erasure.anonymise(tx, [one])
        erased = deliveries.detail(tx, delivery_id)
        for term in ("ana", "TWO", "ONE", row.key):
            assert deliveries.list(tx, DeliveryFilter(search=term)) == []
    assert erased is not None
    assert (erased.delivery.status, erased.delivery.due_at) == (after, None)
    assert (erased.delivery.recipient, erased.delivery.code) == ("", "")
    assert erased.delivery.reason == erasure.ERASED
    assert [entry.reason for entry in erased.audit] == [None]


def test_an_erased_persons_reward_makes_no_delivery_even_after_its_key_expired(
    store: Store, tick: Callable[..., Any]
) -> None:
    with store.write() as tx:
        [made] = ingest(tx, [(new_event(new_delivery("k", recipient="ana")), None)])
    tick(days=60)
    with store.write() as tx:
        sweep.delete_keys(tx, [("r", "k")])
    with store.write() as tx:
        erasure.anonymise(tx, own(store, made.event_id))
    with store.write() as tx:
        [again] = ingest(tx, [(new_event(new_delivery("k", recipient="ana")), None)])
        assert idempotency.known_keys(tx, [("r", "k")])
    assert (again.status, again.deliveries) == (EventStatus.DUPLICATE, made.deliveries)


def test_bodies_payloads_and_receipts_are_removed_and_counted(
    store: Store, bring: Bring
) -> None:
    delivery_id = bring(Status.ACCEPTED, recipient="ana")
    mail = Receipt(
        identity="a",
        destination="iterable",
        event_name="emailSend",
        type=ReceiptType.SENT,
        email="ana@shop.example",
    )
    with store.write() as tx:
        [row] = deliveries.list(tx, DeliveryFilter())
        receipts.insert(tx, mail, delivery_id, MatchedBy.BRIDGE_ID)
        [parked] = ingest(tx, [(new_event(status=EventStatus.PARKED), None)])
        ids = [row.event_id, parked.event_id]
        assert erasure.count_whole(tx, ids) == erasure.redact_events(tx, ids) == 2
        assert erasure.count_payloads(tx, [delivery_id]) == 1
        assert erasure.redact_payloads(tx, [delivery_id]) == 1
        about = erasure.receipts_about(tx, [delivery_id], ["ana@shop.example"])
        assert erasure.delete_receipts(tx, about) == 1
        assert erasure.count_whole(tx, ids) == erasure.redact_events(tx, ids) == 0
        assert events.redacted(tx, [*ids, new_id()]) == set(ids)
        stored = events.get(tx, parked.event_id)
    assert stored is not None
    assert (stored.event.status, stored.capture.body) == (EventStatus.IGNORED, b"")
