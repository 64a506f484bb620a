"""Who was first: repeats of an event, keys of a reward, and events decided again."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from bridge.model import Arrival, EventStatus, NewDelivery, Stored
from bridge.store import DeliveryFilter, EventFilter, Store, new_id

pytestmark = pytest.mark.integration

Made = Callable[..., Any]
DAY = timedelta(days=1)


def together(store: Store, arrivals: Sequence[Arrival]) -> list[Stored]:
    """Store arrivals in one commit, in their order."""
    with ThreadPoolExecutor(len(arrivals)) as threads:
        adds = []
        with store.write():
            for number, one in enumerate(arrivals, start=1):
                adds.append(threads.submit(store.commits.add, one))
                while store.commits.waiting < number:
                    pass
        return [one.result() for one in adds]


def made(store: Store) -> set[str]:
    return {one.id for one in store.ledger.deliveries(DeliveryFilter(limit=1000))}


def test_repeat_is_a_duplicate_that_names_the_deliveries_of_the_first(
    store: Store, new_arrival: Made, new_delivery: Made
) -> None:
    first = store.commits.add(new_arrival(new_delivery(), transport_key="whs_1"))
    again = store.commits.add(new_arrival(new_delivery(), transport_key="whs_1"))
    assert again.status is EventStatus.DUPLICATE
    assert (again.event_id, again.deliveries) == (first.event_id, first.deliveries)
    [event] = store.ledger.events(EventFilter())
    assert (event.repeats, event.status) == (1, EventStatus.STORED)
    assert event.repeated_at is not None


def test_same_event_several_times_in_one_commit_makes_one_delivery(
    store: Store,
    new_arrival: Made,
    new_delivery: Made,
) -> None:
    arrivals = [new_arrival(new_delivery(), transport_key="whs_1") for _ in range(5)]
    first, *others = together(store, arrivals)
    assert first.status is EventStatus.STORED
    assert {one.status for one in others} == {EventStatus.DUPLICATE}
    assert {one.deliveries for one in others} == {first.deliveries}
    assert made(store) == set(first.deliveries)
    [event] = store.ledger.events(EventFilter())
    assert event.repeats == 4


def test_two_events_of_one_reward_make_one_delivery(
    store: Store, new_arrival: Made, new_delivery: Made
) -> None:
    first = store.commits.add(new_arrival(new_delivery("pub:p:v")))
    other = store.commits.add(new_arrival(new_delivery("pub:p:v")))
    assert other.status is EventStatus.DUPLICATE
    assert other.deliveries == first.deliveries
    assert first.deliveries[0] in (other.reason or "")
    assert made(store) == set(first.deliveries)
    event = store.ledger.event(other.event_id)
    assert event is not None
    assert (event.status, event.reason) == (EventStatus.DUPLICATE, other.reason)


def test_repeat_of_a_duplicate_names_the_same_winner(
    store: Store, new_arrival: Made, new_delivery: Made
) -> None:
    first = store.commits.add(new_arrival(new_delivery()))
    for _ in range(2):
        one = store.commits.add(new_arrival(new_delivery(), transport_key="whs_2"))
        assert one.status is EventStatus.DUPLICATE
        assert one.deliveries == first.deliveries


def test_one_key_in_common_is_enough(
    store: Store, new_arrival: Made, new_delivery: Made
) -> None:
    code = ("code:v:cust", timedelta(hours=25))
    rewarded = new_delivery("rewarded:r:a", keys=(("rewarded:r:a", 30 * DAY), code))
    published = new_delivery("pub:p:v", keys=(("pub:p:v", 30 * DAY), code))
    first = store.commits.add(new_arrival(rewarded))
    second = store.commits.add(new_arrival(published))
    assert second.deliveries == first.deliveries == (rewarded.id,)


def test_loser_leaves_its_free_keys_to_the_winner(
    store: Store, new_arrival: Made, new_delivery: Made
) -> None:
    first = store.commits.add(new_arrival(new_delivery("a")))
    keys = (("a", DAY), ("b", DAY))
    store.commits.add(new_arrival(new_delivery("a", keys=keys)))
    third = store.commits.add(new_arrival(new_delivery("b")))
    assert (third.status, third.deliveries) == (EventStatus.DUPLICATE, first.deliveries)


def test_chain_of_common_keys_in_one_commit_ends_at_the_first(
    store: Store,
    new_arrival: Made,
    new_delivery: Made,
) -> None:
    chains = ["ac", "bc", "bd", "de", "f"]
    arrivals = [
        new_arrival(new_delivery(one[0], keys=tuple((key, DAY) for key in one)))
        for one in chains
    ]
    first, *losers, alone = together(store, arrivals)
    assert first.status is alone.status is EventStatus.STORED
    assert {one.deliveries for one in losers} == {first.deliveries}
    assert made(store) == {*first.deliveries, *alone.deliveries}


def test_same_key_on_another_route_is_another_delivery(
    store: Store, new_arrival: Made, new_delivery: Made
) -> None:
    for route in ("one", "two"):
        stored = store.commits.add(new_arrival(new_delivery(route=route)))
        assert stored.status is EventStatus.STORED


def test_event_told_before_in_part_makes_the_rest(
    store: Store, new_arrival: Made, new_delivery: Made
) -> None:
    store.commits.add(new_arrival(new_delivery("a")))
    rest = new_delivery("b")
    stored = store.commits.add(new_arrival(new_delivery("a"), rest))
    assert stored.status is EventStatus.STORED
    assert stored.deliveries == (rest.id,)
    assert "1 of its rewards told before" in (stored.reason or "")


def test_two_rewards_of_one_event_with_a_common_key_make_one_delivery(
    store: Store, new_arrival: Made, new_delivery: Made
) -> None:
    twins = new_delivery("a"), new_delivery("a")
    stored = store.commits.add(new_arrival(*twins))
    assert stored.deliveries == (twins[0].id,)


def test_expired_key_is_taken_over(
    store: Store, tick: Callable[..., datetime], new_arrival: Made, new_delivery: Made
) -> None:
    keys = (("code:v:c", timedelta(hours=25)),)
    store.commits.add(new_arrival(new_delivery(keys=keys)))
    tick(hours=24)
    early = store.commits.add(new_arrival(new_delivery(keys=keys)))
    tick(hours=1)
    late = new_delivery(keys=keys)
    assert early.status is EventStatus.DUPLICATE
    assert store.commits.add(new_arrival(late)).deliveries == (late.id,)
    tick(hours=24)
    again = store.commits.add(new_arrival(new_delivery(keys=keys)))
    assert again.deliveries == (late.id,)


def test_hashed_transport_key_recognises_a_repeat_for_25_hours_only(
    store: Store, tick: Callable[..., datetime], new_arrival: Made
) -> None:
    def add() -> Stored:
        arrival = new_arrival(transport_key="sha256:1", is_hashed=True)
        return store.commits.add(arrival)

    first = add()
    tick(hours=24, minutes=59)
    assert add().event_id == first.event_id
    tick(minutes=1)
    late = add()
    assert late.event_id != first.event_id
    assert add().event_id == late.event_id
    old = store.ledger.event(first.event_id)
    assert old is not None
    assert old.transport_key is None


def test_sent_transport_key_recognises_a_repeat_for_ever(
    store: Store, tick: Callable[..., datetime], new_arrival: Made, new_delivery: Made
) -> None:
    store.commits.add(new_arrival(new_delivery(), transport_key="whs_1"))
    tick(days=400)
    again = store.commits.add(new_arrival(new_delivery(), transport_key="whs_1"))
    assert again.status is EventStatus.DUPLICATE


def test_renamed_route_knows_the_keys_of_its_earlier_name(
    store: Store, new_arrival: Made, new_delivery: Made
) -> None:
    first = store.commits.add(new_arrival(new_delivery(route="old")))
    renamed = new_delivery(route="new", route_names=("new", "older", "old"))
    second = store.commits.add(new_arrival(renamed))
    assert second.deliveries == first.deliveries
    # The key counts under the new name, too, now that it was met there.
    third = store.commits.add(new_arrival(new_delivery(route="new")))
    assert third.deliveries == first.deliveries


def test_expired_key_of_an_earlier_name_does_not_count(
    store: Store, tick: Callable[..., datetime], new_arrival: Made, new_delivery: Made
) -> None:
    store.commits.add(new_arrival(new_delivery(route="old")))
    tick(days=31)
    renamed = new_delivery(route="new", route_names=("new", "old"))
    assert store.commits.add(new_arrival(renamed)).deliveries == (renamed.id,)


@pytest.mark.parametrize("status", [EventStatus.PARKED, EventStatus.IGNORED])
def test_unused_event_that_comes_again_is_decided_again_on_its_own_row(
    store: Store, new_arrival: Made, new_delivery: Made, status: EventStatus
) -> None:
    unused = new_arrival(transport_key="whs_1", status=status, reason="why")
    first = store.commits.add(unused)
    delivery = new_delivery()
    second = store.commits.add(new_arrival(delivery, transport_key="whs_1"))
    assert second.status is EventStatus.STORED
    assert (second.event_id, second.deliveries) == (first.event_id, (delivery.id,))
    [event] = store.ledger.events(EventFilter())
    assert (event.status, event.reason) == (EventStatus.STORED, None)
    assert event.repeats == 1
    story = store.ledger.story(delivery.id)
    assert story is not None
    assert story.event.id == first.event_id


def test_unused_event_decided_again_to_no_avail_tells_the_new_reason(
    store: Store, new_arrival: Made
) -> None:
    parked = EventStatus.PARKED
    first = new_arrival(transport_key="whs_1", status=parked, reason="one")
    again = new_arrival(transport_key="whs_1", status=parked, reason="two")
    store.commits.add(first)
    stored = store.commits.add(again)
    assert (stored.event_id, stored.reason) == (first.id, "two")
    [event] = store.ledger.events(EventFilter(status=parked))
    assert event.reason == "two"


def test_stored_event_is_decided_again_by_its_id(
    store: Store, tick: Callable[..., datetime], new_arrival: Made, new_delivery: Made
) -> None:
    first = new_arrival(transport_key="sha256:1", is_hashed=True)
    store.commits.add(first)
    tick(days=9)
    decided = new_arrival(new_delivery(), transport_key="sha256:1", is_hashed=True)
    stored = store.commits.add(decided, again=first.id)
    assert (stored.event_id, stored.status) == (first.id, EventStatus.STORED)
    [event] = store.ledger.events(EventFilter())
    assert event.repeats == 0
    twice = store.commits.add(decided, again=first.id)
    assert twice.status is EventStatus.DUPLICATE
    assert twice.deliveries == stored.deliveries


def test_deciding_again_an_event_that_is_gone_stores_it_anew(
    store: Store, new_arrival: Made, new_delivery: Made
) -> None:
    arrival = new_arrival(new_delivery())
    stored = store.commits.add(arrival, again=new_arrival().id)
    assert (stored.event_id, stored.status) == (arrival.id, EventStatus.STORED)


def partial(new_arrival: Made, **changes: Any) -> Arrival:
    values: dict[str, Any] = {
        "status": EventStatus.PARKED,
        "reason": "3 vouchers, 1 shown",
        "waits_for": "pub:p:*",
        "covered_by": (("r", "pub:p:v1"),),
    }
    arrival: Arrival = new_arrival(**(values | changes))
    return arrival


def whole(new_delivery: Made) -> NewDelivery:
    keys = tuple((f"pub:p:{one}", 30 * DAY) for one in ("*", "v1", "v2", "v3"))
    delivery: NewDelivery = new_delivery("pub:p:*", keys=keys)
    return delivery


def test_whole_publication_clears_the_part_that_was_parked(
    store: Store, new_arrival: Made, new_delivery: Made
) -> None:
    parked = store.commits.add(partial(new_arrival))
    other = store.commits.add(partial(new_arrival, waits_for="pub:q:*"))
    assert parked.status is EventStatus.PARKED
    delivery = whole(new_delivery)
    store.commits.add(new_arrival(delivery))
    cleared = store.ledger.event(parked.event_id)
    assert cleared is not None
    assert cleared.status is EventStatus.DUPLICATE
    assert delivery.id in (cleared.reason or "")
    [left] = store.ledger.events(EventFilter(status=EventStatus.PARKED))
    assert left.id == other.event_id


def test_part_that_comes_after_the_whole_is_a_duplicate(
    store: Store, new_arrival: Made, new_delivery: Made
) -> None:
    first = store.commits.add(new_arrival(whole(new_delivery)))
    late = store.commits.add(partial(new_arrival))
    assert (late.status, late.deliveries) == (EventStatus.DUPLICATE, first.deliveries)


@pytest.mark.parametrize("order", [1, -1])
def test_part_and_whole_in_one_commit_end_as_one_delivery(
    store: Store,
    new_arrival: Made,
    new_delivery: Made,
    order: int,
) -> None:
    both = [partial(new_arrival), new_arrival(whole(new_delivery))][::order]
    together(store, both)
    listed = {one.status for one in store.ledger.events(EventFilter())}
    assert listed == {EventStatus.DUPLICATE, EventStatus.STORED}
    assert len(made(store)) == 1


def test_publication_of_thousands_of_vouchers_is_stored_and_recognised(
    store: Store, new_arrival: Made, new_delivery: Made
) -> None:
    def rewards() -> list[NewDelivery]:
        return [new_delivery(f"pub:p:v{number}") for number in range(3000)]

    first = store.commits.add(new_arrival(*rewards()))
    again = store.commits.add(new_arrival(*rewards()))
    assert len(first.deliveries) == 3000
    assert again.status is EventStatus.DUPLICATE
    assert set(again.deliveries) == set(first.deliveries)


def several(
    new_delivery: Made, publication: str, *vouchers: str, **changes: Any
) -> NewDelivery:
    """One message for a publication's vouchers, all given to one customer."""
    keys = [(f"pub:{publication}:*", 30 * DAY)]
    keys += [(f"pub:{publication}:{one}", 30 * DAY) for one in vouchers]
    keys += [(f"code:{one}:cust_1", DAY) for one in vouchers]
    made: NewDelivery = new_delivery(keys[0][0], keys=tuple(keys), **changes)
    return made


def single(new_delivery: Made, voucher: str) -> NewDelivery:
    """One message for a reward's voucher."""
    key = f"rewarded:{new_id()}"
    keys = ((key, 30 * DAY), (f"code:{voucher}:cust_1", DAY))
    made: NewDelivery = new_delivery(key, keys=keys)
    return made


def test_whole_of_which_a_part_was_told_is_parked_and_leaves_the_rest_free(
    store: Store, new_arrival: Made, new_delivery: Made
) -> None:
    told = store.commits.add(new_arrival(single(new_delivery, "x")))
    both = store.commits.add(new_arrival(several(new_delivery, "p", "x", "y")))
    assert both.status is EventStatus.PARKED
    assert both.deliveries == ()
    assert both.reason is not None
    assert told.deliveries[0] in both.reason
    rest = store.commits.add(new_arrival(single(new_delivery, "y")))
    assert rest.status is EventStatus.STORED


def test_whole_of_which_every_code_was_told_is_a_duplicate(
    store: Store, new_arrival: Made, new_delivery: Made
) -> None:
    for voucher in ("x", "y"):
        store.commits.add(new_arrival(single(new_delivery, voucher)))
    both = store.commits.add(new_arrival(several(new_delivery, "p", "x", "y")))
    assert both.status is EventStatus.DUPLICATE


def test_whole_of_an_earlier_route_name_is_a_duplicate(
    store: Store, new_arrival: Made, new_delivery: Made
) -> None:
    store.commits.add(new_arrival(several(new_delivery, "p", "x", "y")))
    renamed = {"route": "new", "route_names": ("new", "r")}
    again = new_arrival(several(new_delivery, "p", "x", "y", **renamed))
    assert store.commits.add(again).status is EventStatus.DUPLICATE


def test_what_a_parked_whole_lets_go_of_is_free_in_the_same_commit(
    store: Store,
    new_arrival: Made,
    new_delivery: Made,
) -> None:
    store.commits.add(new_arrival(single(new_delivery, "x")))
    both = new_arrival(several(new_delivery, "p", "x", "y"))
    rest = new_arrival(single(new_delivery, "y"))
    together(store, [both, rest])
    events = {one.id: one.status for one in store.ledger.events(EventFilter())}
    assert events[both.id] is EventStatus.PARKED
    assert events[rest.id] is EventStatus.STORED
