"""Event data to messages: what each event gives, and to whom."""

import json
from datetime import timedelta
from typing import Any

import pytest

from bridge.model import Capture, Group, Message, ParsedWebhook
from tests.integrations.voucherify import facts_of, parse

ANA = {"id": "cust_ana", "source_id": "crm-ana", "email": "ana@shop.example"}
LEO = {"id": "cust_leo", "source_id": "crm-leo", "email": "leo@shop.example"}
CARD = {"id": "v_card", "code": "CARD-1", "type": "LOYALTY_CARD"}
COUPON = {"id": "v_new", "code": "NEW-1", "type": "DISCOUNT_VOUCHER"}
PUBLICATION = {"id": "pub_1", "vouchers_id": ["v_new"]}
FALLBACK = "evcus_1"


def read(event_type: str, kind: str = "distribution", **data: Any) -> ParsedWebhook:
    source = "webhook" if kind == "project" else "distribution"
    envelope = {
        "id": "whs_1",
        "type": "a label",
        "data": data,
        "source": {"object": source},
        "event": {"id": FALLBACK, "type": event_type},
    }
    return parse(Capture(body=json.dumps(envelope).encode()))


def only(event_type: str, kind: str = "distribution", **data: Any) -> Message:
    parsed = read(event_type, kind, **data)
    assert parsed.problem is None
    (reward,) = parsed.messages
    return reward


def rewarded(**changes: Any) -> dict[str, Any]:
    data = {
        "customer": ANA,
        "holder": ANA,
        "voucher": CARD,
        "redemption": {"id": "r_1"},
        "reward": {"assignment_id": "rewa_1", "voucher": COUPON},
        "referral_tier": None,
        "custom_event": None,
    }
    return data | changes


class TestRewardedPerson:
    def reward(self, **voucher: Any) -> dict[str, Any]:
        return {"assignment_id": "rewa_1", "voucher": COUPON | voucher}

    @pytest.mark.parametrize("role", ["customer", "holder"])
    def test_the_holder_of_the_rewards_voucher_wins(self, role: str) -> None:
        others = {"customer": ANA, "holder": ANA, role: LEO}
        data = rewarded(reward=self.reward(holder_id="cust_leo"), **others)
        reward = only("customer.rewarded", **data)
        assert (reward.customer.id, reward.customer.source_id) == (
            "cust_leo",
            "crm-leo",
        )
        assert reward.customer.email == "leo@shop.example"

    def test_a_holder_nobody_describes_parks_the_event(self) -> None:
        data = rewarded(reward=self.reward(holder_id="cust_other"))
        parsed = read("customer.rewarded", **data)
        assert parsed.messages == ()
        assert parsed.problem is not None
        assert "somebody other" in parsed.problem

    def test_the_holder_is_not_given_the_customers_source_id(self) -> None:
        nameless = LEO | {"source_id": None, "email": None}
        data = rewarded(holder=nameless, reward=self.reward(holder_id="cust_leo"))
        reward = only("customer.rewarded", **data)
        assert (reward.customer.source_id, reward.customer.email) == (None, None)


class TestCustomer:
    def person(self, **data: Any) -> tuple[Any, Any, Any]:
        publication = {"id": "pub_1"} | data.pop("publication", {})
        data |= {"publication": publication, "voucher": COUPON}
        reward = only("voucher.published", **data)
        return reward.customer.id, reward.customer.source_id, reward.customer.email

    def test_the_customer_comes_first(self) -> None:
        publication = {"customer": LEO, "tracking_id": "crm-leo"}
        found = self.person(customer=ANA, holder=LEO, publication=publication)
        assert found == ("cust_ana", "crm-ana", "ana@shop.example")

    def test_an_opaque_tracking_id_is_nobodys_name(self) -> None:
        assert self.person(publication={"tracking_id": "track_8RF="})[1] is None

    @pytest.mark.parametrize(
        "missing", [None, "", " ", "null", "undefined", "None"], ids=repr
    )
    def test_gaps_are_filled_from_the_same_customer(self, missing: Any) -> None:
        gaps = {"id": "cust_ana", "source_id": missing, "email": missing}
        found = self.person(customer=gaps, publication={"customer": ANA})
        assert found == ("cust_ana", "crm-ana", "ana@shop.example")

    def test_gaps_are_never_filled_from_somebody_else(self) -> None:
        gaps = {"id": "cust_ana", "source_id": "{{customer.source_id}}"}
        found = self.person(customer=gaps, holder=LEO, publication={"customer": LEO})
        assert found == ("cust_ana", None, None)


class TestPublication:
    def codes(self, **data: Any) -> list[str]:
        data |= {"customer": ANA}
        parsed = read("publication.succeeded", "project", **data)
        return [code for reward in parsed.messages for code in reward.codes]

    def test_several_vouchers_are_read_as_objects(self) -> None:
        both = [COUPON, COUPON | {"id": "v_2", "code": "NEW-2"}]
        assert self.codes(publication=PUBLICATION, vouchers=both) == [
            "NEW-1",
            "NEW-2",
        ]

    def test_a_list_of_codes_is_read_and_each_is_a_key(self) -> None:
        publication = {"id": "pub_1", "vouchers": ["NEW-1", "NEW-2"]}
        parsed = read("publication.succeeded", customer=ANA, publication=publication)
        assert [(reward.key, reward.codes) for reward in parsed.messages] == [
            ("pub:pub_1:NEW-1", ("NEW-1",)),
            ("pub:pub_1:NEW-2", ("NEW-2",)),
        ]

    def test_a_publication_that_shows_one_of_three_says_so(self) -> None:
        publication = {"id": "pub_1", "vouchers_id": ["v_new", "v_2", "v_3"]}
        reward = only(
            "voucher.published", customer=ANA, publication=publication, voucher=COUPON
        )
        assert reward.group == Group(id="pub_1", size=3)

    def test_a_failed_publication_is_no_reward(self) -> None:
        failed = PUBLICATION | {"result": "FAILURE"}
        parsed = read("publication.succeeded", customer=ANA, publication=failed)
        assert (parsed.messages, parsed.problem) == ((), None)

    def test_a_publication_without_a_voucher_parks(self) -> None:
        parsed = read("voucher.published", customer=ANA, publication=PUBLICATION)
        assert parsed.problem == "the publication shows no voucher"

    @pytest.mark.parametrize("code", [None, "", "undefined", "{{voucher.code}}", "\0"])
    def test_a_voucher_without_a_code_parks(self, code: Any) -> None:
        parsed = read(
            "voucher.published",
            customer=ANA,
            publication=PUBLICATION,
            voucher=COUPON | {"code": code},
        )
        assert parsed.problem == "the voucher has no code that could be shown"


KEYS: dict[str, tuple[str, dict[str, Any], str]] = {
    "rewarded": ("customer.rewarded", rewarded(), "rewarded:r_1:rewa_1"),
    "rewarded-tier": (
        "customer.rewarded",
        rewarded(referral_tier={"id": "rft_1"}),
        "rewarded:r_1:rewa_1:rft_1",
    ),
    "rewarded-custom-event": (
        "customer.rewarded",
        rewarded(redemption=None, custom_event={"id": "event_1"}),
        "rewarded:event_1:rewa_1",
    ),
    "rewarded-nameless": (
        "customer.rewarded",
        rewarded(redemption=None, referral_tier={"id": "rft_1"}),
        FALLBACK,
    ),
    "points": (
        "customer.rewarded.loyalty_points",
        {
            "customer": ANA,
            "voucher": CARD,
            "event": {"id": "evcus_2"},
            "earning_rule": {"id": "ern_1"},
        },
        "points:evcus_2:ern_1:v_card",
    ),
    "redeemed": (
        "customer.reward_redemptions.pending",
        {"customer": ANA, "reward_redemption": {"id": "rewr_1", "state": "PENDING"}},
        "rewr:rewr_1:PENDING",
    ),
    "credits": (
        "customer.voucher.gift.balance_added",
        {"customer": ANA, "voucher": CARD, "transaction": {"id": "vtx_1"}},
        "vtx:vtx_1",
    ),
    "transaction": (
        "voucher.loyalty_card.transaction.created",
        {"holder": LEO, "voucher": CARD, "transaction": {"id": "vtx_2"}},
        "vtx:vtx_2",
    ),
    "referred-by-event": (
        "customer.referred",
        {"customer": ANA, "voucher": CARD, "custom_event": {"id": "event_1"}},
        "referred:event_1",
    ),
    "manual-without-code": (
        "manual_distribution_schedule",
        {"customer": ANA, "distribution": {"id": "distr_1"}, "promotion_tier": {}},
        "dist:distr_1:cust_ana",
    ),
    "custom-event": (
        "customer.custom_event",
        {"customer": ANA, "event": {"id": "event_1"}, "event_schema": {}},
        "cev:event_1",
    ),
    "tier": (
        "customer.loyalty.tier.upgraded",
        {"customer": ANA, "loyalty_tier_to": {"id": "lt_1"}},
        FALLBACK,
    ),
    "written": ("customer.publication.succeeded", {"who": "crm-1"}, "whs_1"),
}


@pytest.mark.parametrize(("event_type", "data", "key"), KEYS.values(), ids=KEYS)
def test_the_business_key_is_the_first_available(
    event_type: str, data: dict[str, Any], key: str
) -> None:
    reward = only(event_type, **data)
    assert reward.key == key
    assert reward.key_ttl == timedelta(days=30)


@pytest.mark.parametrize("kind", ["project", "distribution"])
@pytest.mark.parametrize(
    "event_type",
    [
        "customer.something.new",
        "customer.consents.given",
        "order.created",
        "voucher.deleted",
        "customer.redemption.failed",
    ],
)
def test_an_event_that_is_not_listed_is_no_reward(event_type: str, kind: str) -> None:
    parsed = read(event_type, kind, customer=ANA, voucher=CARD)
    assert (parsed.messages, parsed.problem) == ((), None)


PENDING = {"id": "lopp_1", "points": 50}


def test_points_that_become_active_are_one_message_by_whatever_event() -> None:
    name = "voucher.loyalty_card.pending_points.activated"
    movement: dict[str, Any] = {
        "transaction": {"id": "vtx_1"},
        "balance": {"points": 50},
    }
    common: dict[str, Any] = {
        "customer": ANA,
        "voucher": CARD,
        "pending_points": PENDING,
    }
    first = only(f"customer.{name}", **common)
    second = only(name, "project", **common, **movement)
    assert first.key == second.key == "points:lopp_1:activated"
    assert facts_of(first)["points"] == facts_of(second)["points"] == 50
    assert [key for key, _ in second.alias_keys] == ["vtx:vtx_1"]


def test_a_template_gets_the_objects_of_the_event() -> None:
    campaign = {"id": "camp_1", "name": "Perks"}
    data: dict[str, Any] = {"customer": ANA, "campaign": campaign, "voucher": COUPON}
    message = only("voucher.published", publication=PUBLICATION, **data)
    assert message.data == {
        "reward": {
            "key": "pub:pub_1:v_new",
            "code": "NEW-1",
            "codes": ["NEW-1"],
            "published": 1,
            "publication_id": "pub_1",
        },
        "customer": ANA,
        "campaign": campaign,
        "publication": PUBLICATION,
        "voucher": COUPON,
        "vouchers": [COUPON],
    }


@pytest.mark.parametrize(
    "event_type", ["customer.rewarded", "customer.reward_redemptions.completed"]
)
def test_the_paying_card_is_never_shown(event_type: str) -> None:
    bought = only(event_type, **rewarded(reward_redemption={"id": "rewr_1"}))
    assert bought.codes == ("NEW-1",)
    material = rewarded(reward={"assignment_id": "rewa_1", "name": "Bottle"})
    without = only(event_type, **material)
    assert (without.data["vouchers"], without.codes) == ([], ())
    assert facts_of(without) == {"name": "Bottle"}


FACTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "points": ({"balance": {"points": 900}}, {"points": 900}),
    "expired": ({"points": 0, "balance": {"points": 5}}, {"points": 0}),
    "null": ({"points": None, "balance": {"points": 5}}, {"points": 5}),
    "amount": ({"balance": {"amount": -400}}, {"amount": -400}),
    "detail": (
        {"transaction": {"id": "t", "details": {"balance": {"points": 7}}}},
        {"points": 7},
    ),
    "nothing": ({"balance": "much"}, {}),
}


@pytest.mark.parametrize(("data", "facts"), FACTS.values(), ids=FACTS)
def test_facts_are_what_the_event_says_and_no_more(
    data: dict[str, Any], facts: dict[str, Any]
) -> None:
    event_type = "customer.voucher.loyalty_card.points_added"
    reward = only(event_type, customer=ANA, voucher=CARD, **data)
    assert facts_of(reward) == facts
