import json
from typing import Any

import pytest

from bridge.errors import RenderError
from bridge.model import Json, Parsed, Recipient, Reward, UserId
from tests.unit.payloads import BRIDGE_ID, CUSTOMER, VOUCHER, compiled, route, value
from tests.unit.payloads import parsed as parsed_of
from tests.unit.payloads import reward as reward_of

LEO = {"id": "cust_2", "name": "Leo Martens"}


def seen(
    expression: str,
    data: dict[str, Json],
    *,
    kind: str = "project",
    parsed: Parsed | None = None,
    **changes: Any,
) -> Any:
    source = (
        '{"campaignId": 1, "recipientUserId": "u", "dataFields": {"x": {{ '
        + expression
        + " }}}}"
    )
    reward: Reward = reward_of(**changes)
    sent = compiled(source).render(
        route(endpoint="sms/target"),
        endpoint="email/target",
        parsed=parsed or parsed_of(data, kind=kind),
        reward=reward,
        recipient=Recipient(user_id=UserId("crm-10482")),
        delivery_id=BRIDGE_ID,
    )
    return json.loads(sent.body)["dataFields"]["x"]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("reward.key", "pub:pub_1:v_1"),
        ("reward.code", "WLCM-7Qx2Lp"),
        ("reward.codes", ["WLCM-7Qx2Lp"]),
        ("reward.publication_id", "pub_1"),
        ("reward.published", 1),
        ("customer.name", "Ana Whitfield"),
        ("voucher.discount.amount_off", 1500),
        ("vouchers | length", 1),
        ("campaign.name", "Welcome Codes"),
        ("publication.id", "pub_1"),
        ("event.id", "evvou_1"),
        ("event.type", "voucher.published"),
        ("event.created_at", "2026-08-20T09:15:11.880Z"),
        ("recipient.user_id", "crm-10482"),
        ("recipient.email | optional", None),
        ("route.name", "welcome"),
        ("route.campaign_id", 16504306),
        ("route.endpoint", "email/target"),
        ("body.data.customer.id", "cust_1"),
        ("bridge_id", BRIDGE_ID),
    ],
)
def test_every_name_of_the_context_has_its_value(
    expression: str, expected: Any
) -> None:
    assert value(expression) == expected


def test_facts_of_the_event_are_attributes_of_the_reward() -> None:
    facts = {"points": 900, "amount": 400, "name": "Free bottle", "type": "MATERIAL"}
    expression = "[reward.points, reward.amount, reward.name, reward.type]"
    assert seen(expression, {}, facts=facts) == [900, 400, "Free bottle", "MATERIAL"]


@pytest.mark.parametrize("name", ["code", "publication_id", "points"])
def test_what_the_reward_lacks_is_undefined(name: str) -> None:
    with pytest.raises(RenderError, match=f"reward has no `{name}`"):
        seen(f"reward.{name}", {}, codes=(), vouchers=(), publication_id=None)


def test_objects_the_webhook_lacks_are_empty() -> None:
    changes: dict[str, Any] = {"vouchers": (), "campaign": {}, "publication_id": None}
    expression = "[customer, voucher, vouchers, campaign, publication]"
    assert seen(expression, {}, customer_id=None, **changes) == [{}, {}, [], {}, {}]


@pytest.mark.parametrize(
    "data",
    [
        {"customer": CUSTOMER},
        {"customer": LEO, "holder": CUSTOMER},
        {"customer": LEO, "reward": {"customer": CUSTOMER}},
        {"customer": LEO, "publication": {"customer": CUSTOMER}},
        {"customer": "x", "holder": None, "publication": {"customer": CUSTOMER}},
    ],
)
def test_the_customer_is_the_one_who_gets_the_reward(data: dict[str, Json]) -> None:
    assert seen("customer.name", data) == "Ana Whitfield"


def test_nobody_elses_name_stands_in_for_the_customers() -> None:
    with pytest.raises(RenderError, match="customer has no `name`"):
        seen("customer.name", {"customer": LEO, "holder": LEO})
    assert seen("customer.id", {"customer": LEO}) == "cust_1"


def test_the_event_is_the_envelopes_not_the_one_that_triggered_it() -> None:
    trigger = {"id": "evcus_trigger", "type": "customer.order.paid"}
    assert seen("event.id", {"event": trigger}) == "evvou_1"
    at_the_root = parsed_of({"event": trigger}, kind="raw")
    assert seen("event", {}, parsed=at_the_root) == {"type": "voucher.published"}


def test_data_may_be_nested_once_more() -> None:
    assert seen("customer.name", {"data": {"customer": CUSTOMER}}) == "Ana Whitfield"


def test_body_is_iterables_own_request_where_there_is_one() -> None:
    raw = {"campaignId": 1, "dataFields": {"couponCode": "X"}}
    document = parsed_of(raw, kind="distribution")
    assert seen("body.dataFields.couponCode", {}, raw=raw, parsed=document) == "X"


def test_all_vouchers_of_a_publication_are_listed() -> None:
    both = (VOUCHER, {**VOUCHER, "id": "v_2", "code": "B"})
    codes = seen("vouchers | map(attribute='code')", {}, vouchers=both)
    assert codes == ["WLCM-7Qx2Lp", "B"]
