from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from bridge.model import Arrival, Capture, EventStatus, NewDelivery
from bridge.steering.planning import Fate, Nothing, Planner, RouteKey, Source, summary

KEEP = timedelta(days=30)


def delivery(
    *keys: str, route: str = "rewards", names: Sequence[str] = (), to: str = "crm-1"
) -> NewDelivery:
    return NewDelivery(
        id="d",
        route=route,
        route_names=(route, *names),
        endpoint="email/target",
        key=keys[0],
        keys=tuple((key, KEEP) for key in keys),
        recipient=to,
        customer_id=None,
        codes=(),
        campaign=None,
    )


def arrival(
    transport_key: str,
    *deliveries: NewDelivery,
    status: EventStatus = EventStatus.STORED,
    covered_by: tuple[RouteKey, ...] = (),
) -> Arrival:
    return Arrival(
        id="e",
        capture=Capture(body=transport_key.encode()),
        transport_key=transport_key,
        is_hashed=False,
        kind="project",
        event_type=None,
        status=status,
        reason=None if status is EventStatus.STORED else "because",
        deliveries=deliveries,
        covered_by=covered_by,
    )


def decider(*arrivals: Arrival) -> Callable[[Capture], Arrival]:
    """Decide what was prepared for the test."""
    prepared = {one.capture.body: one for one in arrivals}
    return lambda capture: prepared[capture.body]


@dataclass
class Known:
    """A ledger that knows what it is told to."""

    used: dict[str, str] = field(default_factory=dict)
    taken: dict[RouteKey, str] = field(default_factory=dict)
    waiting: frozenset[str] = frozenset()

    def used_events(self, transport_keys: Sequence[str]) -> Mapping[str, str]:
        return {key: self.used[key] for key in transport_keys if key in self.used}

    def taken_keys(self, pairs: Sequence[RouteKey]) -> Mapping[RouteKey, str]:
        return {pair: self.taken[pair] for pair in pairs if pair in self.taken}

    def sent(self, delivery_ids: Collection[str]) -> Collection[str]:
        return set(delivery_ids) - self.waiting


def fates(
    *arrivals: Arrival, known: Known | None = None, again: str | None = None
) -> list[Fate]:
    sources = [
        Source(where=f"file {number}", capture=one.capture, again=again)
        for number, one in enumerate(arrivals)
    ]
    planner = Planner(decider(*arrivals), known or Nothing())
    return [step.fate for step in planner.plan(sources)]


def test_a_webhook_nobody_has_heard_of_is_new() -> None:
    assert fates(arrival("whs_1", delivery("pub:1"))) == [Fate.NEW]


def test_a_webhook_the_ledger_has_is_already_sent() -> None:
    known = Known(used={"whs_1": "e0"}, taken={("rewards", "pub:1"): "d0"})
    assert fates(arrival("whs_1", delivery("pub:1")), known=known) == [Fate.SENT]


def test_what_iterable_has_not_taken_is_only_known() -> None:
    pair = ("rewards", "pub:1")
    waits = Known(used={"whs_1": "e0"}, taken={pair: "d0"}, waiting=frozenset({"d0"}))
    again = arrival("whs_1", delivery("pub:1"))
    told = arrival("whs_2", delivery("pub:1"))
    assert fates(again, told, known=waits) == [Fate.KNOWN, Fate.KNOWN]


def test_a_webhook_half_of_which_waits_is_only_known() -> None:
    taken = {("rewards", "pub:1"): "d0", ("rewards", "pub:2"): "d1"}
    known = Known(taken=taken, waiting=frozenset({"d1"}))
    one = arrival("whs_1", delivery("pub:1"), delivery("pub:2"))
    assert fates(one, known=known) == [Fate.KNOWN]


def test_a_stored_event_decided_again_is_not_its_own_duplicate() -> None:
    known = Known(used={"whs_1": "e0"})
    one = arrival("whs_1", delivery("pub:1"))
    assert fates(one, known=known, again="e0") == [Fate.NEW]


def test_any_taken_key_makes_a_delivery_already_sent() -> None:
    known = Known(taken={("rewards", "code:v_1:cust_1"): "d0"})
    one = arrival("whs_1", delivery("rewarded:1", "code:v_1:cust_1"))
    assert fates(one, known=known) == [Fate.SENT]


def test_a_key_under_an_earlier_name_of_the_route_counts() -> None:
    known = Known(taken={("old", "pub:1"): "d0"})
    one = arrival("whs_1", delivery("pub:1", names=["old"]))
    assert fates(one, known=known) == [Fate.SENT]


def test_a_key_of_another_route_does_not_count() -> None:
    known = Known(taken={("other", "pub:1"): "d0"})
    assert fates(arrival("whs_1", delivery("pub:1")), known=known) == [Fate.NEW]


def test_two_events_of_one_reward_in_one_folder_make_one_message() -> None:
    first = arrival("whs_1", delivery("rewarded:1", "code:v_1:cust_1"))
    second = arrival("whs_2", delivery("pub:1", "code:v_1:cust_1"))
    third = arrival("whs_3", delivery("pub:1"))
    assert fates(first, second, third) == [Fate.NEW, Fate.KNOWN, Fate.KNOWN]


def test_one_free_reward_among_taken_ones_is_new() -> None:
    known = Known(taken={("rewards", "pub:1"): "d0"})
    one = arrival("whs_1", delivery("pub:1"), delivery("pub:2"))
    assert fates(one, known=known) == [Fate.NEW]


def test_parked_and_ignored_webhooks_stay_what_they_are() -> None:
    parked = arrival("whs_1", status=EventStatus.PARKED)
    ignored = arrival("whs_2", status=EventStatus.IGNORED)
    assert fates(parked, ignored) == [Fate.PARKED, Fate.IGNORED]


def test_a_partial_publication_told_whole_before_is_already_sent() -> None:
    pair = ("rewards", "pub:1:v_1")
    parked = arrival("whs_1", status=EventStatus.PARKED, covered_by=(pair,))
    assert fates(parked, known=Known(taken={pair: "d0"})) == [Fate.SENT]


def test_the_summary_counts_messages_and_different_people() -> None:
    first = arrival("whs_1", delivery("pub:1"), delivery("pub:2"))
    second = arrival("whs_2", delivery("pub:3", to="crm-2"), delivery("pub:4", to=""))
    sources = [Source(where="x", capture=one.capture) for one in (first, second)]
    total = summary(list(Planner(decider(first, second), Nothing()).plan(sources)))
    assert (total.fates[Fate.NEW], total.messages, total.people) == (2, 4, 2)
