import json
from typing import Any

import pytest

from bridge.errors import RenderError
from bridge.model import ENDPOINTS, Recipient, UserId
from tests.unit.payloads import payload, render

RAW: dict[str, Any] = {
    "campaignId": 16504306,
    "recipientUserId": "crm-10482",
    "dataFields": {"couponCode": "BACK-4hTq81Zm", "note": None, "empty": ""},
}
PASSTHROUGH = "{{ body | passthrough }}"


def whole(**members: Any) -> str:
    """Write a payload template without expressions; `None` leaves a member out."""
    document: dict[str, Any] = {"campaignId": 1, "recipientUserId": "u"} | members
    return json.dumps({key: one for key, one in document.items() if one is not None})


def test_the_body_is_compact_utf_8() -> None:
    sent = render('{ "campaignId": 1,\n "recipientUserId": {{ "żółć" }} }')
    assert sent.body == '{"campaignId":1,"recipientUserId":"żółć"}'.encode()


@pytest.mark.parametrize("key", ["data_fields", "userId", "RecipientUserId", "x", ""])
def test_an_unknown_key_at_the_top_is_refused(key: str) -> None:
    with pytest.raises(RenderError, match="is no key of email/target"):
        payload(whole(**{key: {}}))


def test_the_unknown_key_is_named_where_the_template_itself_has_it() -> None:
    with pytest.raises(RenderError, match="`data_fields` is no key"):
        payload(whole(data_fields={}))


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_metadata_is_a_key_of_email_and_push_only(endpoint: str) -> None:
    source = whole(metadata={"bridgeId": "b"})
    if endpoint in ("email/target", "push/target"):
        assert payload(source, endpoint=endpoint)["metadata"] == {"bridgeId": "b"}
    else:
        with pytest.raises(RenderError, match=f"`metadata` is no key of {endpoint}"):
            payload(source, endpoint=endpoint)


@pytest.mark.parametrize(
    "campaign_id", ["1", "", True, 1.0, 0, -1, 2**63, [1], {"id": 1}]
)
def test_campaign_id_must_be_a_json_number(campaign_id: Any) -> None:
    with pytest.raises(RenderError, match="campaignId must be a whole number"):
        payload(whole(campaignId=campaign_id))


def test_campaign_id_is_needed() -> None:
    with pytest.raises(RenderError, match="campaignId is missing"):
        payload('{"recipientUserId": "u", "campaignId": null}')


@pytest.mark.parametrize(
    "members",
    [
        {"recipientUserId": None},
        {"recipientEmail": "a@shop.example"},
    ],
    ids=["none", "both"],
)
def test_exactly_one_recipient_is_needed(members: dict[str, Any]) -> None:
    with pytest.raises(RenderError, match="exactly one of recipientUserId"):
        payload(whole(**members))


@pytest.mark.parametrize("user_id", [7, True, "", ["u"]])
def test_a_recipient_must_be_a_text(user_id: Any) -> None:
    with pytest.raises(RenderError, match="recipientUserId must be a text"):
        payload(whole(recipientUserId=user_id))


@pytest.mark.parametrize(
    ("recipient", "expected"),
    [
        (Recipient(user_id=UserId("crm-1")), {"recipientUserId": "crm-1"}),
        (Recipient(email="a@shop.example"), {"recipientEmail": "a@shop.example"}),
    ],
)
def test_either_recipient_fits_one_template(
    recipient: Recipient, expected: dict[str, str]
) -> None:
    source = (
        '{"campaignId": 1, "recipientUserId": {{ recipient.user_id | optional }}, '
        '"recipientEmail": {{ recipient.email | optional }}}'
    )
    assert payload(source, recipient=recipient) == {"campaignId": 1} | expected


def test_the_absent_recipient_is_an_error_if_the_template_insists() -> None:
    with pytest.raises(RenderError, match="is empty"):
        payload('{"campaignId": 1, "recipientEmail": {{ recipient.email }}}')


@pytest.mark.parametrize(
    "send_at",
    [
        "2026-08-20T09:15:11Z",
        "2026-08-20 09:15:11 +00:00",
        "2026-08-20 09:15",
        "2026-08-20",
        "2026-02-30 09:15:11",
        "2026-08-20 25:00:00",
        "٢٠٢٦-08-20 09:15:11",
        1787217311,
        "",
    ],
)
def test_send_at_must_be_written_iterables_way(send_at: Any) -> None:
    with pytest.raises(RenderError, match="sendAt must be a UTC time"):
        payload(whole(sendAt=send_at))


def test_send_at_can_be_made_of_an_iso_time() -> None:
    source = (
        '{"campaignId": 1, "recipientUserId": "u", '
        '"sendAt": {{ (voucher.expiration_date | iterable_date)[:19] }}}'
    )
    assert payload(source)["sendAt"] == "2099-09-30 21:59:59"


@pytest.mark.parametrize("key", ["dataFields", "metadata"])
def test_fields_must_be_an_object(key: str) -> None:
    with pytest.raises(RenderError, match=f"{key} must be an object"):
        payload(whole(**{key: ["couponCode"]}))


def test_allow_repeat_must_be_true_or_false() -> None:
    with pytest.raises(RenderError, match="allowRepeatMarketingSends must be true"):
        payload(whole(allowRepeatMarketingSends="true"))
    assert payload(whole(allowRepeatMarketingSends=False))[
        "allowRepeatMarketingSends"
    ] is (False)


@pytest.mark.parametrize("source", ["[]", '"text"', "1", "{{ reward.code }}"])
def test_a_payload_is_an_object(source: str) -> None:
    with pytest.raises(RenderError, match="must be an object"):
        payload(source)


@pytest.mark.parametrize(
    "source", ["", "{", '{"a": }', "{'a': 1}", '{"a": 1,}', "{}{}", '{"a": "\n"}']
)
def test_what_is_not_json_is_refused(source: str) -> None:
    with pytest.raises(RenderError, match="the result is not JSON"):
        payload(source)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_must_be_finite(number: str) -> None:
    source = whole(dataFields={"x": "NUMBER"}).replace('"NUMBER"', number)
    with pytest.raises(RenderError, match="not finite"):
        payload(source)


def test_a_key_typed_twice_is_refused() -> None:
    with pytest.raises(RenderError, match="the same key twice"):
        payload('{"campaignId": 1, "recipientUserId": "u", "campaignId": 2}')


def test_half_a_character_is_refused() -> None:
    with pytest.raises(RenderError, match="lone surrogate"):
        payload('{"campaignId": 1, "recipientUserId": "\\ud83c"}')


def test_json_nested_too_deeply_is_refused() -> None:
    deep = "[" * 20_000 + "]" * 20_000
    with pytest.raises(RenderError, match="nested too deeply"):
        payload(f'{{"campaignId": 1, "recipientUserId": "u", "metadata": {deep}}}')


def test_passthrough_keeps_iterables_keys_and_empty_values() -> None:
    sent = render(PASSTHROUGH, raw=RAW | {"sendAt": None}, campaign_id=None)
    assert json.loads(sent.body) == RAW
    assert (sent.names_campaign, sent.dropped) == (True, 0)


def test_passthrough_drops_and_counts_unknown_keys() -> None:
    raw = RAW | {"voucherify": {"publicationId": "pub_1"}, "metadata": {}, "X": 1}
    sent = render(PASSTHROUGH, raw=raw, campaign_id=None, endpoint="sms/target")
    assert json.loads(sent.body) == RAW
    assert sent.dropped == 3


def test_passthrough_names_the_recipient_of_the_route_and_no_other() -> None:
    raw = RAW | {"recipientUserId": 10482, "recipientEmail": "ana@shop.example"}
    assert payload(PASSTHROUGH, raw=raw) == RAW
    by_email = payload(
        PASSTHROUGH, raw=raw, recipient=Recipient(email="ana@shop.example")
    )
    assert by_email["recipientEmail"] == "ana@shop.example"
    assert "recipientUserId" not in by_email


@pytest.mark.parametrize(
    "campaign_id",
    [16504306, "16504306", " 16504306 "],
    ids=["number", "digits", "digits and blanks"],
)
def test_passthrough_makes_a_campaign_id_in_digits_a_number(campaign_id: Any) -> None:
    sent = payload(PASSTHROUGH, raw=RAW | {"campaignId": campaign_id}, campaign_id=None)
    assert sent["campaignId"] == 16504306


@pytest.mark.parametrize(
    "campaign_id", ["{{campaign.id}}", "", "12a", "-1", "١٢", True, 1.5, [1]]
)
def test_passthrough_refuses_any_other_campaign_id(campaign_id: Any) -> None:
    with pytest.raises(RenderError, match="campaignId must be a whole number"):
        payload(PASSTHROUGH, raw=RAW | {"campaignId": campaign_id}, campaign_id=None)


def test_passthrough_without_any_campaign_is_refused() -> None:
    raw = {key: one for key, one in RAW.items() if key != "campaignId"}
    with pytest.raises(RenderError, match="campaignId is missing"):
        payload(PASSTHROUGH, raw=raw, campaign_id=None)


def test_the_routes_campaign_comes_before_the_bodys() -> None:
    sent = render(PASSTHROUGH, raw=RAW, campaign_id=7)
    assert json.loads(sent.body)["campaignId"] == 7
    assert sent.names_campaign is False


@pytest.mark.parametrize(
    "key", ["dataFields", "allowRepeatMarketingSends", "sendAt", "metadata"]
)
def test_passthrough_checks_what_it_hands_on(key: str) -> None:
    with pytest.raises(RenderError, match=f"{key} must be"):
        payload(PASSTHROUGH, raw=RAW | {key: "{{text}}"})


@pytest.mark.parametrize("expression", ["1", "none", "vouchers", "customer.nick"])
def test_passthrough_needs_an_object(expression: str) -> None:
    with pytest.raises(RenderError, match="passthrough` needs an object"):
        payload(f"{{{{ ({expression}) | passthrough }}}}")


def test_a_raw_body_can_be_extended() -> None:
    source = (
        '{"campaignId": {{ body.campaignId }}, "recipientUserId": {{ recipient.user_id'
        ' }}, "dataFields": {{ dict(body.dataFields, bridgeId=bridge_id) | optional }}}'
    )
    sent = payload(source, raw=RAW)["dataFields"]
    assert sent["couponCode"] == "BACK-4hTq81Zm"
    assert sent["bridgeId"].startswith("0198")
