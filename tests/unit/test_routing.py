from datetime import timedelta
from typing import Any

import pytest

from bridge.config import Condition, Route
from bridge.model import Capture, Parsed, Reward
from bridge.routing import endpoint_of, plan

RAW_BODY = {"campaignId": 1, "recipientUserId": "crm-1"}


def route(name: str = "any", *, per: Any = "voucher", **when: Any) -> Route:
    return Route(
        name=name,
        formerly=(),
        when=Condition(**when),
        recipient=("source_id",),
        per=per,
        endpoint="email/target",
        campaign_id=1,
        template="triggered_email.json.j2",
        in_doubt="verify",
    )


def reward(number: int = 1, **changes: Any) -> Reward:
    voucher = {
        "id": f"v_{number}",
        "code": f"C-{number}",
        "type": "DISCOUNT_VOUCHER",
        "campaign": "Reward coupons",
        "campaign_id": "camp_coupons",
    }
    values: dict[str, Any] = {
        "key": f"pub:pub_1:v_{number}",
        "keep": timedelta(days=30),
        "customer_id": "cust_1",
        "vouchers": (voucher,),
        "codes": (f"C-{number}",),
        "campaign": {"id": "camp_perks", "name": "Perks [Gold]"},
        "publication_id": "pub_1",
        "published": 1,
    }
    return Reward(**(values | changes))


def event(*rewards: Reward, event_type: str | None = "voucher.published") -> Parsed:
    return Parsed(
        transport_key="whs_1",
        is_hashed=False,
        kind="project",
        event_type=event_type,
        rewards=rewards,
        document={},
    )


def names(parsed: Parsed, *routes: Route, door: str | None = None) -> list[str]:
    return [planned.route.name for planned in plan(parsed, routes, door=door)]


def fits(
    one: Reward, event_type: str | None = "voucher.published", **when: Any
) -> bool:
    return names(event(one, event_type=event_type), route(**when)) == ["any"]


def test_the_first_matching_route_wins() -> None:
    routes = (route("a", events=("other",)), route("b"), route("c"))
    assert names(event(reward()), *routes) == ["b"]


def test_no_match_is_an_empty_plan() -> None:
    assert plan(event(reward()), [route(events=("other",))]) == ()
    assert plan(event(), [route()]) == ()


@pytest.mark.parametrize(
    ("pattern", "is_match"),
    [
        ("voucher.published", True),
        ("voucher.*", True),
        ("*", True),
        ("Voucher.published", False),
        ("voucher", False),
    ],
)
def test_events_are_case_sensitive_patterns(pattern: str, is_match: bool) -> None:
    assert fits(reward(), events=(pattern,)) is is_match


@pytest.mark.parametrize(
    ("pattern", "is_match"),
    [
        ("Perks [Gold]", True),
        ("Perks*", True),
        ("camp_perks", True),
        ("Reward coupons", True),
        ("camp_coupons", True),
        ("perks*", False),
        ("Perks", False),
    ],
)
def test_campaigns_match_by_name_or_id_of_event_or_voucher(
    pattern: str, is_match: bool
) -> None:
    assert fits(reward(), campaigns=("none", pattern)) is is_match


def test_a_reward_without_a_campaign_matches_no_campaign() -> None:
    one = reward(campaign={}, vouchers=({"campaign": None, "campaign_id": 7},))
    assert not fits(one, campaigns=("*",))


def test_vouchers_match_by_type() -> None:
    assert fits(reward(), vouchers=("GIFT_VOUCHER", "DISCOUNT_VOUCHER"))
    assert not fits(reward(), vouchers=("GIFT_VOUCHER", "NONE"))


def test_none_matches_a_reward_without_a_code() -> None:
    assert fits(reward(vouchers=(), codes=()), vouchers=("NONE",))
    assert not fits(reward(vouchers=(), codes=()), vouchers=("DISCOUNT_VOUCHER",))
    assert not fits(reward(vouchers=()), vouchers=("NONE",))
    assert not fits(reward(vouchers=({"type": []},)), vouchers=("NONE",))


def test_raw_routes_take_raw_rewards_only_and_the_other_way_round() -> None:
    raw = reward(raw=RAW_BODY)
    assert fits(raw, raw=True)
    assert not fits(raw, raw=False)
    assert fits(reward(), raw=False)
    assert not fits(reward(), raw=True)


def test_a_route_that_leaves_it_open_takes_a_raw_reward_on_its_conditions() -> None:
    raw = reward(raw=RAW_BODY, vouchers=(), campaign={})
    assert fits(raw, events=("voucher.*",))
    assert not fits(raw, event_type=None, events=("*",))
    assert not fits(raw, campaigns=("*",))


def test_a_door_leads_to_raw_routes_only() -> None:
    routes = (route("open"), route("raw", raw=True))
    raw = event(reward(raw=RAW_BODY))
    assert names(raw, *routes) == ["open"]
    assert names(raw, *routes, door="push/target") == ["raw"]
    assert names(event(reward()), *routes, door="push/target") == []


def test_the_doors_endpoint_wins() -> None:
    assert endpoint_of(Capture(body=b""), route()) == "email/target"
    door = Capture(body=b"", door="push/target")
    assert endpoint_of(door, route()) == "push/target"


def test_each_voucher_is_planned_by_itself() -> None:
    planned = plan(event(reward(1), reward(2)), [route()])
    assert [one.reward.key for one in planned] == ["pub:pub_1:v_1", "pub:pub_1:v_2"]
    assert not any(one.is_partial for one in planned)


def test_a_publication_is_planned_whole() -> None:
    both = event(reward(1, published=2), reward(2, published=2))
    (planned,) = plan(both, [route(per="publication")])
    assert planned.reward.key == "pub:pub_1:*"
    assert planned.reward.codes == ("C-1", "C-2")
    assert not planned.is_partial


def test_a_publication_that_shows_less_than_it_has_is_partial() -> None:
    (planned,) = plan(event(reward(1, published=3)), [route(per="publication")])
    assert planned.is_partial
    assert planned.reward.published == 3


def test_one_voucher_on_a_route_for_publications_takes_both_keys() -> None:
    (planned,) = plan(event(reward(1)), [route(per="publication")])
    assert (planned.reward.key, planned.reward.also) == (
        "pub:pub_1:*",
        ("pub:pub_1:v_1",),
    )


def test_a_code_told_with_its_publication_is_told_nowhere_else() -> None:
    gift = {"id": "v_2", "code": "C-2", "type": "GIFT_VOUCHER"}
    both = event(reward(1), reward(2, vouchers=(gift,)))
    routes = (
        route("gifts", vouchers=("GIFT_VOUCHER",)),
        route("all", per="publication"),
    )
    (planned,) = plan(both, routes)
    assert planned.route.name == "all"
    assert planned.reward.codes == ("C-1", "C-2")


def test_what_is_no_publication_stays_single_on_a_route_for_publications() -> None:
    single = reward(key="rewarded:r_1:rewa_1", publication_id=None)
    (planned,) = plan(event(single), [route(per="publication")])
    assert planned.reward == single


def test_points_on_a_card_are_no_publication_of_the_card() -> None:
    points = reward(key="points:e:r:v_1", is_handed_over=False)
    (planned,) = plan(event(points), [route(per="publication")])
    assert planned.reward == points
