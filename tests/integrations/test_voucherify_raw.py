"""Iterable's own request written in Voucherify's payload designer."""

import json
from datetime import timedelta
from typing import Any

import pytest

from bridge.model import Capture, Group, Message, ParsedWebhook
from tests.integrations.voucherify import keys_of, parse

IDS = {
    "event": "customer.publication.succeeded",
    "publicationId": "pub_1",
    "voucherId": "v_1",
    "customerId": "cust_1",
}


def read(**body: Any) -> ParsedWebhook:
    whole = {"campaignId": 1, "recipientUserId": "crm-1"} | body
    return parse(Capture(body=json.dumps(whole).encode()))


def only(**body: Any) -> Message:
    parsed = read(**body)
    assert parsed.problem is None
    (message,) = parsed.messages
    return message


CODES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "named": ({"couponCode": "A-1", "name": "Ana", "code": "B"}, ("A-1", "B")),
    "numbers": ({"promoCode": 77, "code": 404, "voucher": {"code": 8}}, ("77", "8")),
    "cases": (
        {"voucher_code": "A", "PROMO-CODE": "B", "giftCard code": "C"},
        ("A", "B", "C"),
    ),
    "nested": (
        {"voucher": {"code": "A-1"}, "offers": [{"code": "B-2"}]},
        ("A-1", "B-2"),
    ),
    "list": ({"voucherCodes": ["A-1", "B-2"]}, ("A-1", "B-2")),
    "twice": ({"couponCode": "A-1", "code": "A-1"}, ("A-1",)),
    "vague": ({"welcomeCode": "A-1", "batchCode": 7}, ("A-1",)),
    "vague beside named": ({"welcomeCode": "", "couponCode": "A-1"}, ("A-1",)),
    "pictures": (
        {"qrCode": "https://x.example/qr", "barCode": "https://x.example/bar"},
        (),
    ),
    "picture first": (
        {"qrCode": "https://x.example/qr", "storeCode": "LIS", "couponCode": "QR-1"},
        ("QR-1",),
    ),
    "address": ({"couponCode": "https://shop.example/c/1"}, ()),
    "others": ({"countryCode": "", "postal_code": None, "zipCode": "1000"}, ()),
    "status": ({"statusCode": 200, "country": {"code": "NL"}}, ()),
}


@pytest.mark.parametrize(("fields", "codes"), CODES.values(), ids=CODES)
def test_codes_are_found_by_name(fields: dict[str, Any], codes: Any) -> None:
    assert only(dataFields=fields).codes == tuple(codes)


@pytest.mark.parametrize(
    "value",
    ["", " ", None, "null", "undefined", "None", "{{voucher.code}}", "X-{{code}}"],
    ids=repr,
)
@pytest.mark.parametrize(
    ("shape", "path"),
    [
        (lambda value: {"couponCode": value}, "couponCode"),
        (lambda value: {"voucher": {"code": value}}, "voucher.code"),
        (lambda value: {"offers": [{"code": value}]}, "offers[0].code"),
        (lambda value: {"welcomeCode": value}, "welcomeCode"),
    ],
    ids=["top", "nested", "list", "vague"],
)
def test_a_code_that_was_not_filled_in_parks_and_names_the_field(
    value: Any, shape: Any, path: str
) -> None:
    parsed = read(dataFields=shape(value))
    assert parsed.messages == ()
    assert parsed.problem == f"dataFields.{path} is empty or was not filled in"


def test_a_field_name_that_could_be_personal_is_not_repeated() -> None:
    parsed = read(dataFields={"ana@shop.example code": None})
    assert parsed.problem == "a data field is empty or was not filled in"


@pytest.mark.parametrize("value", [None, "", "undefined", "{{customer.source_id}}"])
def test_a_recipient_that_was_not_filled_in_is_absent(value: Any) -> None:
    reward = only(recipientUserId=value, recipientEmail=value)
    assert (reward.customer.source_id, reward.customer.email) == (None, None)


def test_mapped_ids_make_the_key_of_the_publication() -> None:
    parsed = read(voucherify=IDS, dataFields={"couponCode": "A-1"})
    assert parsed.event_type == "customer.publication.succeeded"
    assert keys_of(parsed.messages[0]) == (
        ("pub:pub_1:v_1", timedelta(days=30)),
        ("code:v_1:cust_1", timedelta(hours=25)),
    )
    assert parsed.messages[0].data["vouchers"] == [{"id": "v_1", "code": "A-1"}]
    assert parsed.messages[0].group == Group(id="pub_1", size=1)


@pytest.mark.parametrize("name", ["publicationId", "voucherId"])
@pytest.mark.parametrize("value", [None, "", "{{publication.id}}", [], "a\nb"])
def test_ids_that_was_not_filled_in_leave_the_hash(name: str, value: Any) -> None:
    parsed = read(voucherify=IDS | {name: value})
    reward = parsed.messages[0]
    assert reward.key == parsed.transport_key.replace("sha256:", "raw:")
    assert reward.key_ttl == timedelta(hours=25)


def test_iterables_keys_inside_an_envelope_are_raw_under_its_id() -> None:
    data = {"campaignId": 1, "recipientEmail": "ana@shop.example"}
    envelope = {
        "id": "whs_1",
        "data": data,
        "source": {"object": "distribution"},
        "event": {"id": "evcus_1", "type": "customer.custom_event"},
    }
    parsed = parse(Capture(body=json.dumps(envelope).encode()))
    (reward,) = parsed.messages
    assert (reward.key, reward.raw) == ("whs_1", data)
    assert reward.key_ttl == timedelta(days=30)
    assert (parsed.kind, parsed.event_type) == ("distribution", "customer.custom_event")
