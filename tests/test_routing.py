"""Which route each message takes."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bridge.config import Match, Route
from bridge.model import Capture, Customer, Group, Message, ParsedWebhook
from bridge.routing import Planned, plan
from tests.integrations.voucherify import SOURCE

RAW_BODY = {"campaignId": 1, "recipientUserId": "crm-1"}


def route(name: str = "any", *, group_by: Any = "voucher", **match: Any) -> Route:
    return Route(
        name=name,
        source="voucherify",
        destination="iterable",
        match=Match(**match),
        recipient=("source_id",),
        group_by=group_by,
        endpoint="email/target",
        campaign_id=1,
        template="triggered_email.json.j2",
    )


def message(number: int = 1, *, size: int = 1, **changes: Any) -> Message:
    values: dict[str, Any] = {
        "key": f"pub:pub_1:v_{number}",
        "key_ttl": timedelta(days=30),
        "customer": Customer(id="cust_1"),
        "codes": (f"C-{number}",),
        "campaigns": ("Reward coupons", "Perks [Gold]", "camp_perks", "camp_coupons"),
        "voucher_types": ("DISCOUNT_VOUCHER",),
        "group": Group(id="pub_1", size=size),
        "data": {"reward": {}, "vouchers": [{}]},
    }
    return Message(**(values | changes))


def event(
    *messages: Message, event_type: str | None = "voucher.published"
) -> ParsedWebhook:
    return ParsedWebhook(
        transport_key="whs_1",
        is_hashed=False,
        kind="project",
        event_type=event_type,
        messages=messages,
    )


def planned_for(
    parsed: ParsedWebhook, *routes: Route, endpoint: str | None = None
) -> tuple[Planned, ...]:
    capture = Capture(body=b"", endpoint=endpoint)
    return plan(parsed, routes, SOURCE, capture=capture)


def names(
    parsed: ParsedWebhook, *routes: Route, endpoint: str | None = None
) -> list[str]:
    return [one.route.name for one in planned_for(parsed, *routes, endpoint=endpoint)]


def fits(
    one: Message, event_type: str | None = "voucher.published", **match: Any
) -> bool:
    return names(event(one, event_type=event_type), route(**match)) == ["any"]


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
    assert fits(message(), events=(pattern,)) is is_match


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
    assert fits(message(), campaigns=("none", pattern)) is is_match


def test_vouchers_match_by_type() -> None:
    assert fits(message(), vouchers=("GIFT_VOUCHER", "DISCOUNT_VOUCHER"))
    assert not fits(message(), vouchers=("GIFT_VOUCHER", "NONE"))


def test_raw_routes_take_raw_messages_only_and_the_other_way_round() -> None:
    raw = message(raw=RAW_BODY)
    assert fits(raw, raw=True)
    assert not fits(raw, raw=False)
    assert fits(message(), raw=False)
    assert not fits(message(), raw=True)


def test_a_route_that_leaves_it_open_takes_a_raw_message_on_its_conditions() -> None:
    raw = message(raw=RAW_BODY, campaigns=())
    assert fits(raw, events=("voucher.*",))
    assert not fits(raw, event_type=None, events=("*",))
    assert not fits(raw, campaigns=("*",))


def test_a_compatible_endpoint_leads_to_raw_routes_only() -> None:
    routes = (route("open"), route("raw", raw=True))
    raw = event(message(raw=RAW_BODY))
    assert names(raw, *routes) == ["open"]
    assert names(raw, *routes, endpoint="push/target") == ["raw"]
    assert names(event(message()), *routes, endpoint="push/target") == []


def test_a_publication_is_planned_whole() -> None:
    both = event(message(1, size=2), message(2, size=2))
    (planned,) = planned_for(both, route(group_by="publication"))
    assert planned.message.key == "pub:pub_1:*"
    assert planned.message.codes == ("C-1", "C-2")
    assert not planned.is_partial


def test_a_publication_that_shows_less_than_it_has_is_partial() -> None:
    (planned,) = planned_for(event(message(1, size=3)), route(group_by="publication"))
    assert planned.is_partial
    assert planned.message.group == Group(id="pub_1", size=3)


def test_one_voucher_on_a_route_for_publications_takes_both_keys() -> None:
    (planned,) = planned_for(event(message(1)), route(group_by="publication"))
    assert planned.message.key == "pub:pub_1:*"
    assert [key for key, _ in planned.message.alias_keys] == ["pub:pub_1:v_1"]


def test_what_is_no_publication_stays_single_on_a_route_for_publications() -> None:
    single = message(key="rewarded:r_1:rewa_1", group=None)
    (planned,) = planned_for(event(single), route(group_by="publication"))
    assert planned.message == single


def test_points_on_a_card_are_no_publication_of_the_card() -> None:
    points = message(key="points:e:r:v_1", group=None)
    (planned,) = planned_for(event(points), route(group_by="publication"))
    assert planned.message == points


def test_routes_of_another_source_are_skipped() -> None:
    other = replace(route("other"), source="segment")
    assert names(event(message()), other, route("mine")) == ["mine"]


def test_a_pattern_may_be_written_as_in_voucherifys_reference() -> None:
    assert fits(message(), events=("EVENTS.VOUCHER.PUBLISHED",))
    assert fits(message(), events=("EVENTS.VOUCHER.*",))
