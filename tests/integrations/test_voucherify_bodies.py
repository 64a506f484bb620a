"""Bodies that are not what the documentation promises: a defined outcome each."""

import json
from typing import Any

import pytest

from bridge.model import Capture, ParsedWebhook
from tests.integrations.voucherify import parse

CUSTOMER = {"id": "cust_1", "source_id": "crm-1", "email": "ana@shop.example"}
DATA: dict[str, Any] = {
    "customer": CUSTOMER,
    "publication": {"id": "pub_1", "vouchers_id": ["v_1"]},
    "voucher": {"id": "v_1", "code": "WLCM-1", "type": "DISCOUNT_VOUCHER"},
}


def envelope(data: Any = DATA, **changes: Any) -> dict[str, Any]:
    whole = {
        "id": "whs_1",
        "type": "voucher.published",
        "data": data,
        "source": {"id": "wh_1", "object": "webhook"},
        "event": {"id": "evvou_1", "type": "voucher.published"},
    }
    return whole | changes


def read(document: Any, *, endpoint: str | None = None) -> ParsedWebhook:
    return parse(Capture(body=json.dumps(document).encode(), endpoint=endpoint))


NOT_USABLE = {
    "empty": (b"", "is empty"),
    "blank": (b" \r\n", "is empty"),
    "plain-text": (b"hello", "is not JSON"),
    "cut-off": (b'{"id": "whs_1"', "is not JSON"),
    "unquoted-value": (b'{"recipientUserId": crm-1}', "is not JSON"),
    "unescaped-quote": (b'{"dataFields": {"n": "a "b" c"}}', "is not JSON"),
    "unescaped-line-end": (b'{"dataFields": {"n": "a\nb"}}', "is not JSON"),
    "two-documents": (b"{}{}", "is not JSON"),
    "latin-1": ('{"name": "Zoë"}'.encode("latin-1"), "is not UTF-8"),
    "surrogate-bytes": (b'{"a": "\xed\xa0\x80"}', "is not UTF-8"),
    "utf-16": ('{"id": "whs_1"}'.encode("utf-16"), "is not UTF-8"),
    "array": (b"[]", "is a list"),
    "array-of-iterable": (b'[{"campaignId": 1, "recipientUserId": "a"}]', "is a list"),
    "null": (b"null", "is null"),
    "text": (b'"hello"', "is a text"),
    "number": (b"17", "is a number"),
    "true": (b"true", "is a number or a truth value"),
    "empty-object": (b"{}", "neither Voucherify's envelope"),
    "test-button": (b'{"test": true, "message": "Test webhook"}', "neither"),
    "customer-alone": (b'{"customer": {"id": "cust_1"}}', "neither"),
    "api-error": (b'{"code": 400, "key": "x", "message": "y"}', "neither"),
    "nan": (b'{"campaignId": NaN}', "NaN or Infinity"),
    "infinity": (b'{"campaignId": -Infinity}', "NaN or Infinity"),
    "huge-float": (b'{"campaignId": 1e999}', "too large"),
    "huge-integer": (b'{"campaignId": ' + b"9" * 65 + b"}", "more than 64 digits"),
    "million-digits": (b"9" * 1_000_000, "more than 64 digits"),
    "deep": (b"[" * 101 + b"]" * 101, "deeper than 100"),
    "deeper-than-the-reader": (b'{"a":' * 500_000, "deeper than 100"),
}


@pytest.mark.parametrize(("body", "reason"), NOT_USABLE.values(), ids=NOT_USABLE)
def test_an_unusable_body_says_why_and_holds_no_message(
    body: bytes, reason: str
) -> None:
    parsed = parse(Capture(body=body))
    assert parsed.problem is not None
    assert reason in parsed.problem
    assert parsed.messages == ()
    assert parsed.kind == "unknown"
    assert parsed.is_hashed


def test_the_retired_form_is_named_with_the_way_out() -> None:
    parsed = read(
        {
            "id": "ev_1",
            "object": "event",
            "webhook_id": "wh_1",
            "project_id": "proj_1",
            "type": "voucher.published",
            "data": {"object": DATA["voucher"]},
            "metadata": {},
        }
    )
    assert parsed.problem is not None
    assert "retired" in parsed.problem
    assert "v2024-01-01" in parsed.problem


def test_a_hundred_levels_and_every_bracket_in_a_text_are_fine() -> None:
    nested: Any = 1
    for _ in range(98):
        nested = [nested]
    data = DATA | {"extra": nested, "text": "[{" * 5000}
    assert read(envelope(data)).problem is None
    deeper = read(envelope(data | {"extra": [nested]}))
    assert deeper.problem == "the body is nested deeper than 100 levels"


@pytest.mark.parametrize("half", ["\\ud83d", "\\uDE00", "\\ude00\\ud83d"])
def test_half_an_emoji_is_replaced_where_it_does_no_harm(half: str) -> None:
    named = DATA | {"customer": CUSTOMER | {"name": "Zo HALF", "HALF": 1}}
    body = json.dumps(envelope(named)).replace("HALF", half).encode()
    (message,) = parse(Capture(body=body)).messages
    assert message.data["customer"]["name"].startswith("Zo \N{REPLACEMENT CHARACTER}")
    assert json.dumps(message.data, ensure_ascii=False).encode()


BARE = {
    "manual": ({"distribution": {"id": "distr_1"}}, "manual_distribution_schedule"),
    "redemption": (
        {"reward_redemption": {"id": "rewr_1", "state": "PENDING"}, "publication": {}},
        "customer.reward_redemptions.pending",
    ),
    "points": (
        {"earning_rule": {"id": "ern_1"}, "publication": {}},
        "customer.rewarded.loyalty_points",
    ),
    "reward": ({"reward": {"id": "rew_1"}}, "customer.rewarded"),
    "referred": ({"referrer": {"id": "cust_2"}}, "customer.referred"),
    "tier": ({"loyalty_tier_to": {"id": "lt_1"}}, "customer.loyalty.tier"),
    "gift": (
        {"transaction": {"id": "vtx_1"}, "voucher": {"type": "GIFT_VOUCHER"}},
        "customer.voucher.gift.balance_added",
    ),
    "card": (
        {"transaction": {"id": "vtx_1"}, "voucher": {"type": "LOYALTY_CARD"}},
        "customer.voucher.loyalty_card.points_added",
    ),
    "expired": (
        {"transaction": {"id": "vtx_1"}, "buckets": []},
        "customer.voucher.loyalty_card.points_expired",
    ),
    "unclear": ({"voucher": {"id": "v_1"}}, None),
}


@pytest.mark.parametrize(("objects", "event_type"), BARE.values(), ids=BARE)
def test_the_event_of_bare_data_is_inferred(
    objects: dict[str, Any], event_type: str | None
) -> None:
    parsed = read({"customer": CUSTOMER} | objects)
    assert parsed.event_type == event_type
    assert len(parsed.messages) == 1


@pytest.mark.parametrize(
    "bad", [None, "", "null", "{{id}}", "a\x00b", "\xe9" * 128, []]
)
def test_an_envelope_without_a_usable_id_is_known_by_its_hash(bad: Any) -> None:
    parsed = read(envelope(id=bad))
    assert parsed.is_hashed
    assert parsed.transport_key.startswith("sha256:")
    assert len(parsed.messages) == 1


def test_the_hash_ignores_blanks_and_tells_endpoints_apart() -> None:
    raw = {"campaignId": 1, "recipientUserId": "crm 1"}
    pretty = json.dumps(raw, indent=2).encode()
    key = read(raw).transport_key
    assert parse(Capture(body=pretty)).transport_key == key
    by_email = read(raw, endpoint="email/target").transport_key
    by_push = read(raw, endpoint="push/target").transport_key
    assert len({key, by_email, by_push}) == 3
