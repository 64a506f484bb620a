import json
from datetime import timedelta
from typing import Any

import pytest

from bridge.model import Capture, Parsed, Reward
from bridge.voucherify import keys_of, parse

IDS = {
    "event": "customer.publication.succeeded",
    "publicationId": "pub_1",
    "voucherId": "v_1",
    "customerId": "cust_1",
}


def read(**body: Any) -> Parsed:
    whole = {"campaignId": 1, "recipientUserId": "crm-1"} | body
    return parse(Capture(body=json.dumps(whole).encode()))


def only(**body: Any) -> Reward:
    parsed = read(**body)
    assert parsed.problem is None
    (reward,) = parsed.rewards
    return reward


def test_each_code_is_read_in_order() -> None:
    fields = {"couponCode": "A-1", "name": "Ana", "second_code": "B-2", "code": 77}
    assert only(dataFields=fields).codes == ("A-1", "B-2", "77")


def test_codes_of_other_things_are_no_codes() -> None:
    fields = {"countryCode": "", "postal_code": None, "zipCode": "1000"}
    assert only(dataFields=fields).codes == ()


def test_a_picture_of_the_code_is_not_taken_for_the_code() -> None:
    assert only(dataFields={"qrCode": "https://x.example/" + "U" * 300}).codes == ()


@pytest.mark.parametrize(
    "value",
    ["", " ", None, "null", "undefined", "None", "{{voucher.code}}", "X-{{code}}"],
    ids=repr,
)
def test_a_code_nobody_filled_in_parks_and_names_the_field(value: Any) -> None:
    parsed = read(dataFields={"couponCode": value})
    assert parsed.rewards == ()
    assert parsed.problem == "dataFields.couponCode is empty or was not filled in"


def test_any_field_that_is_a_placeholder_parks_and_names_the_field() -> None:
    parsed = read(dataFields={"couponCode": "A-1", "greeting": " {{customer.name}}"})
    assert parsed.problem == "dataFields.greeting is a placeholder nobody filled in"


@pytest.mark.parametrize(
    "value", ["", None, "Hello {{ name", "Hi {{name}}!", [], {"a": "{{b}}"}]
)
def test_other_fields_may_hold_anything(value: Any) -> None:
    assert only(dataFields={"greeting": value}).codes == ()


def test_a_field_name_that_could_be_personal_is_not_repeated() -> None:
    parsed = read(dataFields={"ana@shop.example code": None})
    assert parsed.problem == "a data field is empty or was not filled in"


@pytest.mark.parametrize("fields", [[], "text", 7])
def test_data_fields_that_are_no_object_park(fields: Any) -> None:
    assert read(dataFields=fields).problem == "dataFields is not an object"


@pytest.mark.parametrize("value", [None, "", "undefined", "{{customer.source_id}}"])
def test_a_recipient_nobody_filled_in_is_absent(value: Any) -> None:
    reward = only(recipientUserId=value, recipientEmail=value)
    assert (reward.source_id, reward.email) == (None, None)


def test_a_recipient_that_is_a_number_stays_one() -> None:
    assert only(recipientUserId=10482).source_id == 10482


def test_the_body_itself_is_kept_for_passing_through() -> None:
    body = {"campaignId": "7", "recipientUserId": "crm-1", "sendAt": "x", "odd": 1}
    assert only(**body).raw == body


def test_mapped_ids_make_the_key_of_the_publication() -> None:
    parsed = read(voucherify=IDS, dataFields={"couponCode": "A-1"})
    assert parsed.event_type == "customer.publication.succeeded"
    assert keys_of(parsed.rewards[0]) == (
        ("pub:pub_1:v_1", timedelta(days=30)),
        ("code:v_1:cust_1", timedelta(hours=25)),
    )
    assert parsed.rewards[0].vouchers == ({"id": "v_1", "code": "A-1"},)


@pytest.mark.parametrize("name", ["publicationId", "voucherId"])
@pytest.mark.parametrize("value", [None, "", "{{publication.id}}", [], "a\nb"])
def test_ids_nobody_filled_in_leave_the_hash(name: str, value: Any) -> None:
    parsed = read(voucherify=IDS | {name: value})
    reward = parsed.rewards[0]
    assert reward.key == parsed.transport_key.replace("sha256:", "raw:")
    assert reward.keep == timedelta(hours=25)


def test_iterables_keys_inside_an_envelope_are_raw_under_its_id() -> None:
    data = {"campaignId": 1, "recipientEmail": "ana@shop.example"}
    envelope = {
        "id": "whs_1",
        "data": data,
        "source": {"object": "distribution"},
        "event": {"id": "evcus_1", "type": "customer.custom_event"},
    }
    parsed = parse(Capture(body=json.dumps(envelope).encode()))
    (reward,) = parsed.rewards
    assert (reward.key, reward.raw) == ("whs_1", data)
    assert reward.keep == timedelta(days=30)
    assert (parsed.kind, parsed.event_type) == ("distribution", "customer.custom_event")


def test_iterables_keys_in_nested_data_are_found() -> None:
    envelope = {
        "id": "whs_1",
        "data": {"data": {"campaignId": 1, "recipientUserId": "crm-1"}},
        "source": {"object": "distribution"},
        "event": {},
    }
    (reward,) = parse(Capture(body=json.dumps(envelope).encode())).rewards
    assert reward.source_id == "crm-1"
