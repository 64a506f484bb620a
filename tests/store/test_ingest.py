"""Which event was first: repeats, business keys, and events decided again."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from bridge.model import CustomerLimit, EventStatus, NewDelivery, NewEvent
from bridge.store import Store, new_id
from tests.store.conftest import new_delivery, new_event
from tests.store.ledger import (
    add,
    delivery_ids,
    delivery_row,
    event_rows,
    status_of,
    together,
)

Tick = Callable[..., datetime]
DAY = timedelta(days=1)


def partial(waits_for: str = "pub:p:*") -> NewEvent:
    """A publication that shows one of its three vouchers."""
    return new_event(
        status=EventStatus.PARKED,
        reason="3 vouchers, 1 shown",
        waits_for=waits_for,
        already_covered_by=(("r", "pub:p:v1"),),
    )


def whole() -> NewDelivery:
    keys = tuple((f"pub:p:{one}", 30 * DAY) for one in ("*", "v1", "v2", "v3"))
    return new_delivery("pub:p:*", keys=keys)


def merged(publication: str, *vouchers: str, **changes: Any) -> NewDelivery:
    """One message for a publication's vouchers, all given to one customer."""
    keys = [(f"pub:{publication}:*", 30 * DAY)]
    keys += [(f"pub:{publication}:{one}", 30 * DAY) for one in vouchers]
    keys += [(f"code:{one}:cust_1", DAY) for one in vouchers]
    return new_delivery(keys[0][0], keys=tuple(keys), **changes)


def single(voucher: str) -> NewDelivery:
    """One message for a reward's voucher."""
    key = f"rewarded:{new_id()}"
    return new_delivery(key, keys=((key, 30 * DAY), (f"code:{voucher}:cust_1", DAY)))


def test_repeat_is_a_duplicate_that_names_the_deliveries_of_the_first(
    store: Store,
) -> None:
    first = add(store, new_event(new_delivery(), transport_key="whs_1"))
    again = add(store, new_event(new_delivery(), transport_key="whs_1"))
    assert again.status is EventStatus.DUPLICATE
    assert (again.event_id, again.deliveries) == (first.event_id, first.deliveries)
    [event] = event_rows(store)
    assert (event.repeats, event.status) == (1, EventStatus.STORED)
    assert event.repeated_at is not None


def test_expired_key_is_taken_over(store: Store, tick: Tick) -> None:
    keys = (("code:v:c", timedelta(hours=25)),)
    add(store, new_event(new_delivery(keys=keys)))
    tick(hours=24)
    early = add(store, new_event(new_delivery(keys=keys)))
    tick(hours=1)
    late = new_delivery(keys=keys)
    assert early.status is EventStatus.DUPLICATE
    assert add(store, new_event(late)).deliveries == (late.id,)
    tick(hours=24)
    again = add(store, new_event(new_delivery(keys=keys)))
    assert again.deliveries == (late.id,)


def test_hashed_transport_key_recognises_a_repeat_for_25_hours_only(
    store: Store, tick: Tick
) -> None:
    def repeat() -> str:
        event = new_event(transport_key="sha256:1", is_hashed=True)
        return add(store, event).event_id

    first = repeat()
    tick(hours=24, minutes=59)
    assert repeat() == first
    tick(minutes=1)
    late = repeat()
    assert late != first
    assert repeat() == late
    assert event_rows(store)[0].transport_key is None


def test_one_key_in_common_is_enough(store: Store) -> None:
    code = ("code:v:cust", timedelta(hours=25))
    rewarded = new_delivery("rewarded:r:a", keys=(("rewarded:r:a", 30 * DAY), code))
    published = new_delivery("pub:p:v", keys=(("pub:p:v", 30 * DAY), code))
    first = add(store, new_event(rewarded))
    second = add(store, new_event(published))
    assert second.deliveries == first.deliveries == (rewarded.id,)


def test_chain_of_common_keys_in_one_commit_ends_at_the_first(store: Store) -> None:
    chains = ["ac", "bc", "bd", "de", "f"]
    several = [
        new_event(new_delivery(one[0], keys=tuple((key, DAY) for key in one)))
        for one in chains
    ]
    first, *losers, alone = together(store, several)
    assert first.status is alone.status is EventStatus.STORED
    assert {one.deliveries for one in losers} == {first.deliveries}
    assert delivery_ids(store) == {*first.deliveries, *alone.deliveries}


def test_event_sent_before_in_part_makes_the_rest(store: Store) -> None:
    add(store, new_event(new_delivery("a")))
    rest = new_delivery("b")
    stored = add(store, new_event(new_delivery("a"), rest))
    assert stored.status is EventStatus.STORED
    assert stored.deliveries == (rest.id,)
    assert "1 of its messages sent before" in (stored.reason or "")


def test_renamed_route_knows_the_keys_of_its_previous_name(store: Store) -> None:
    first = add(store, new_event(new_delivery(route="old")))
    renamed = new_delivery(route="new", route_names=("new", "older", "old"))
    second = add(store, new_event(renamed))
    assert second.deliveries == first.deliveries
    # The key counts under the new name, too, now that it was met there.
    third = add(store, new_event(new_delivery(route="new")))
    assert third.deliveries == first.deliveries


@pytest.mark.parametrize("status", [EventStatus.PARKED, EventStatus.IGNORED])
def test_unused_event_that_comes_again_is_decided_again_on_its_own_row(
    store: Store, status: EventStatus
) -> None:
    unused = new_event(transport_key="whs_1", status=status, reason="why")
    first = add(store, unused)
    delivery = new_delivery()
    second = add(store, new_event(delivery, transport_key="whs_1"))
    assert second.status is EventStatus.STORED
    assert (second.event_id, second.deliveries) == (first.event_id, (delivery.id,))
    [event] = event_rows(store)
    assert (event.status, event.reason) == (EventStatus.STORED, None)
    assert event.repeats == 1
    assert delivery_row(store, delivery.id).event_id == first.event_id


def test_stored_event_is_decided_again_by_its_id(store: Store, tick: Tick) -> None:
    first = new_event(transport_key="sha256:1", is_hashed=True)
    add(store, first)
    tick(days=9)
    decided = new_event(new_delivery(), transport_key="sha256:1", is_hashed=True)
    stored = add(store, decided, again=first.id)
    assert (stored.event_id, stored.status) == (first.id, EventStatus.STORED)
    [event] = event_rows(store)
    assert event.repeats == 0
    twice = add(store, decided, again=first.id)
    assert twice.status is EventStatus.DUPLICATE
    assert twice.deliveries == stored.deliveries


def test_whole_publication_clears_the_part_that_was_parked(store: Store) -> None:
    parked = add(store, partial())
    other = add(store, partial(waits_for="pub:q:*"))
    assert parked.status is EventStatus.PARKED
    delivery = whole()
    add(store, new_event(delivery))
    rows = {row.id: row for row in event_rows(store)}
    assert rows[parked.event_id].status == EventStatus.DUPLICATE
    assert delivery.id in rows[parked.event_id].reason
    assert rows[other.event_id].status == EventStatus.PARKED


def test_whole_of_which_a_part_was_sent_is_parked_and_leaves_the_rest_free(
    store: Store,
) -> None:
    sent = add(store, new_event(single("x")))
    both = add(store, new_event(merged("p", "x", "y")))
    assert both.status is EventStatus.PARKED
    assert both.deliveries == ()
    assert both.reason is not None
    assert sent.deliveries[0] in both.reason
    rest = add(store, new_event(single("y")))
    assert rest.status is EventStatus.STORED


@pytest.mark.parametrize("text", ["a\ud800b", "a\0b", "\u00fc\0\udfff"])
def test_text_no_database_can_hold_is_stored_readable(store: Store, text: str) -> None:
    limit = CustomerLimit(max=1, window=DAY)
    one = new_delivery(text, recipient=text, campaign=text, codes=(text,), limit=limit)
    add(store, new_event(one, reason=text))
    assert "\ufffd" in delivery_row(store, one.id).recipient
    assert "\ufffd" in event_rows(store)[0].reason


class TestCustomerLimit:
    LIMIT = CustomerLimit(max=2, window=DAY)

    def limited(self, key: str, **changes: Any) -> NewDelivery:
        return new_delivery(key, limit=self.LIMIT, **changes)

    def test_what_is_beyond_it_is_held_until_the_window_is_over(
        self, store: Store, tick: Tick
    ) -> None:
        three = [self.limited(key) for key in "abc"]
        first = add(store, new_event(*three))
        assert first.held == (three[2].id,)
        assert status_of(store, three[2].id) == "held"
        assert "more than 2" in delivery_row(store, three[2].id).reason
        tick(days=1)
        assert add(store, new_event(self.limited("d"))).held == ()

    def test_it_counts_by_person_and_over_previous_names_of_the_route(
        self, store: Store
    ) -> None:
        add(store, new_event(*(self.limited(key, route="old") for key in "ab")))
        names = {"route": "r", "route_names": ("r", "old")}
        other = self.limited("c", recipient="user-2", **names)
        own = self.limited("d", **names)
        assert add(store, new_event(other, own)).held == (own.id,)
