"""Receipts, alerts and old rows, as the ledger keeps and deletes them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bridge.model import (
    DeliveryFilter,
    DeliveryStatus,
    MatchedBy,
    Receipt,
    ReceiptType,
)
from bridge.store import Store, alerts, deliveries, events, receipts, retention

pytestmark = pytest.mark.integration

Bring = Callable[..., str]
Status = DeliveryStatus
SENT = Receipt(
    identity="m-1:emailSend",
    destination="iterable",
    event_name="emailSend",
    type=ReceiptType.SENT,
    message_id="m-1",
    campaign_id=7,
    email="Ana@shop.example",
)


def test_a_receipt_is_kept_once(store: Store, bring: Bring) -> None:
    delivery_id = bring(Status.ACCEPTED)
    with store.write() as tx:
        assert receipts.insert(tx, SENT, delivery_id, MatchedBy.BRIDGE_ID)
        assert not receipts.insert(tx, SENT, delivery_id, MatchedBy.BRIDGE_ID)
        receipts.set_result(tx, SENT.identity, Status.CONFIRMED)
        [kept] = receipts.of_delivery(tx, delivery_id)
        assert receipts.newest(tx, 10) == [kept]
        assert receipts.newest(tx, 10, only_unmatched=True) == []
        assert receipts.of_message(tx, "m-1") == delivery_id
        assert receipts.recipients_of(tx, "ana@SHOP.example") == ["user-1"]
    assert (kept.type, kept.campaign_id) == (ReceiptType.SENT, 7)
    assert (kept.matched_by, kept.result) == (MatchedBy.BRIDGE_ID, Status.CONFIRMED)


def test_a_receipt_without_a_delivery_waits_for_one(
    store: Store, bring: Bring, tick: Callable[..., datetime]
) -> None:
    with store.write() as tx:
        assert receipts.insert(tx, SENT, None, None)
        assert not receipts.insert(tx, SENT, None, None)
    since = tick(hours=1)
    with store.write() as tx:
        receipts.insert(tx, replace(SENT, identity="x", message_id="m-2"), None, None)
        assert receipts.count_unmatched(tx) == 2
        assert receipts.count_unmatched(tx, since) == 1
        assert [
            one.message_id for one in receipts.newest(tx, 1, only_unmatched=True)
        ] == ["m-2"]
        [waiting] = receipts.waiting(tx, "m-1")
    assert waiting == replace(SENT, email=None)
    delivery_id = bring(Status.ACCEPTED)
    with store.write() as tx:
        assert receipts.insert(tx, SENT, delivery_id, MatchedBy.MESSAGE_ID)
        assert not receipts.assign(tx, SENT.identity, delivery_id, MatchedBy.PERSON)
        assert receipts.waiting(tx, "m-1") == []


MINUTE = timedelta(minutes=1)


def claimed(store: Store) -> list[str]:
    with store.write() as tx:
        return [one.summary for one in alerts.claim(tx, MINUTE)]


def set_firing(store: Store, summary: str | None) -> None:
    with store.write() as tx:
        alerts.set_firing(tx, "held", summary)


def test_an_alert_is_claimed_once_until_its_lease_ends(
    store: Store, tick: Callable[..., datetime]
) -> None:
    set_firing(store, "7 deliveries are held")
    set_firing(store, "8 deliveries are held")
    assert claimed(store) == ["7 deliveries are held"]
    assert claimed(store) == []
    tick(seconds=61)
    assert claimed(store) == ["7 deliveries are held"]


def test_what_was_sent_is_not_due_until_it_changes(
    store: Store, tick: Callable[..., datetime]
) -> None:
    set_firing(store, "held")
    with store.write() as tx:
        alerts.set_notified(tx, "held", is_firing=True)
    tick(hours=1)
    assert claimed(store) == []
    set_firing(store, None)
    set_firing(store, None)
    assert claimed(store) == ["held"]


def test_finished_events_are_redacted_then_deleted_with_all_that_belongs_to_them(
    store: Store, bring: Callable[..., str], tick: Callable[..., datetime]
) -> None:
    done = bring(Status.ACCEPTED, codes=("ONE", "TWO"))
    held = bring(Status.HELD)
    before = tick(days=1)
    with store.write() as tx:
        page = retention.old_events(tx, before, after=None, limit=9, is_whole=True)
        several = [one.event_id for one in deliveries.get_many(tx, [done, held])]
        assert retention.redact(tx, several, before) == len(page.ids) == 1
        assert events.redacted(tx, several) == set(page.ids)
        detail = deliveries.detail(tx, done)
        assert detail is not None
        assert [one.payload for one in detail.attempts] == [None]
        assert retention.count_events(tx) == 2
        assert retention.delete(tx, several, before) == 1
        assert [one.id for one in deliveries.list(tx, DeliveryFilter())] == [held]
        assert deliveries.list(tx, DeliveryFilter(search="TWO")) == []


def test_expired_keys_and_old_unmatched_receipts_are_deleted(
    store: Store, fill: Callable[..., list[str]], tick: Callable[..., datetime]
) -> None:
    fill(3)
    with store.write() as tx:
        for number in range(3):
            one = Receipt(
                identity=f"{number}",
                destination="iterable",
                event_name="emailSend",
                type=ReceiptType.SENT,
            )
            receipts.insert(tx, one, None, None)
    before = tick(days=31) - timedelta(days=1)
    with store.write() as tx:
        page = retention.expired_keys(tx, after=None, limit=2)
        rest = retention.expired_keys(tx, after=page.after, limit=2)
        assert retention.delete_keys(tx, [*page.ids, *rest.ids]) == 3
        assert rest.after is None
        assert retention.delete_unmatched_receipts(tx, before, 2) == 2
        assert receipts.count_unmatched(tx) == 1
