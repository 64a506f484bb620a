"""Captures without people: nothing personal survives, and rewards keep their shape."""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge import capture, voucherify
from bridge.anonymous import Anonymiser
from bridge.capture import Found
from bridge.model import Capture, Parsed
from bridge.resources import samples

KEY, SECRET = b"a key", "test-secret"
FOUND = list(capture.find(samples() / "voucherify"))
SIGNED = {
    "x-voucherify-signature": "00" * 32,
    "x-request-id": "req-of-crm-10482",
    "content-type": "application/json",
}
PERSONAL = re.compile(
    r".*(name|email|phone|source_?id|user_?id|code|line_\d|city|postal).*|id|tracking_id"
)


def anonymous(one: Capture, key: bytes = KEY) -> Capture:
    return Anonymiser(key, SECRET).capture(one)


def leaves(
    value: Any, name: str = "", above: str = ""
) -> Iterator[tuple[str, str, Any]]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from leaves(one, key.lower(), name)
    elif isinstance(value, list):
        for one in value:
            yield from leaves(one, name, above)
    else:
        yield name, above, value


def personal(body: bytes) -> set[str]:
    """List what names somebody, found in another way than the program finds it."""
    return {
        str(value)
        for name, above, value in leaves(json.loads(body))
        if PERSONAL.fullmatch(name)
        and not isinstance(value, bool | None)
        and len(str(value)) >= 4
        and above != "campaign"
        and not str(value).startswith("camp_")
        and name != "campaign_name"
        # An error's own number, in answers of the API.
        and not (name == "code" and isinstance(value, int))
    }


def shape(parsed: Parsed) -> Any:
    return (
        *(parsed.is_hashed, parsed.kind, parsed.event_type, parsed.problem),
        [
            (
                *(len(one.vouchers), len(one.codes), one.published, len(one.also)),
                *(one.customer_id is None, one.source_id is None, one.email is None),
                *(one.is_handed_over, one.keep, one.key.count(":")),
                one.key.partition(":")[0] if ":" in one.key else "",
                one.raw is None,
                one.publication_id is None,
                sorted(one.facts),
                [voucher.get("type") for voucher in one.vouchers],
                one.campaign.get("name"),
            )
            for one in parsed.rewards
        ],
    )


@pytest.mark.parametrize("found", FOUND, ids=lambda one: Path(one.where).stem)
def test_no_personal_value_of_a_sample_survives_anywhere(found: Found) -> None:
    original = Capture(body=found.capture.body, headers=SIGNED)
    made = anonymous(original)
    everything = made.body.decode() + json.dumps(dict(made.headers))
    survivors = {one for one in personal(original.body) if one in everything}
    assert personal(original.body)
    assert survivors == set()
    assert "crm-10482" not in everything


@pytest.mark.parametrize("found", FOUND, ids=lambda one: Path(one.where).stem)
def test_the_rewards_keep_their_shape(found: Found) -> None:
    before = voucherify.parse(found.capture)
    after = voucherify.parse(anonymous(found.capture))
    assert shape(after) == shape(before)


def test_keys_agree_across_captures_as_they_did_before() -> None:
    before = [keys(found.capture) for found in FOUND]
    after = [keys(anonymous(found.capture)) for found in FOUND]
    assert partition(before) == partition(after)
    assert not set().union(*before) & set().union(*after)


def keys(one: Capture) -> set[str]:
    parsed = voucherify.parse(one)
    return {
        key
        for reward in parsed.rewards
        for key, _ in voucherify.keys_of(reward)
        if not key.startswith("raw:")
    }


def partition(several: list[set[str]]) -> list[list[bool]]:
    return [[bool(one & other) for other in several] for one in several]


def test_the_same_value_has_the_same_stand_in_under_one_key_only() -> None:
    first, again, other = (Anonymiser(key, SECRET) for key in (KEY, KEY, b"another"))
    assert first.text("crm-10482") == again.text("crm-10482")
    assert first.text("crm-10482") != other.text("crm-10482")
    assert first.text("Ana@shop.example") == first.text("ana@shop.example")


def test_what_comes_out_is_signed_under_the_test_secret() -> None:
    made = anonymous(Capture(body=FOUND[0].capture.body, headers=SIGNED))
    voucherify.verify(made.body, made.headers["x-voucherify-signature"], [SECRET])
    assert set(made.headers) == {"x-voucherify-signature", "content-type"}
    unsigned = anonymous(FOUND[0].capture)
    assert "x-voucherify-signature" not in unsigned.headers


@pytest.mark.parametrize("body", [b"Ana Whitfield, crm-10482", b"\xff\xfe Ana", b""])
def test_what_is_no_json_is_replaced_whole(body: bytes) -> None:
    made = anonymous(Capture(body=body)).body
    assert b"Ana" not in made
    assert b"10482" not in made


@example(name="0000", code=":::¼", number=0)
@example(name="data", code="customer", number=0)
@given(name=st.text(min_size=4), code=st.text(min_size=4), number=st.integers())
def test_names_codes_and_numbers_are_replaced_whatever_they_are(
    name: str, code: str, number: int
) -> None:
    document = {
        "id": "whs_1bdd617fc45656cb",
        "data": {
            "customer": {"source_id": number, "name": name, "metadata": {"a": name}},
            "voucher": {"code": code},
        },
    }
    body = json.dumps(document).encode()
    made = json.loads(anonymous(Capture(body=body)).body)
    customer = made["data"]["customer"]
    for before, after in (
        (name, customer["name"]),
        (name, customer["metadata"]["a"]),
        (code, made["data"]["voucher"]["code"]),
    ):
        is_letters = any(one.isalnum() for one in before)
        assert (after != before) or not is_letters or voucherify.is_absent(before)
    if abs(number) > 9:
        assert customer["source_id"] != number


@example(number=1e-7)
@example(number=1e22)
@example(number=5e-324)
@example(number=1.7976931348623157e308)
@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_replaced_by_another_of_its_kind(number: float) -> None:
    body = json.dumps({"data": {"metadata": {"score": number}}}).encode()
    made = anonymous(Capture(body=body)).body
    score = json.loads(made)["data"]["metadata"]["score"]
    assert isinstance(score, float)
    assert math.isfinite(score)
    assert score != number
    assert anonymous(Capture(body=body)).body == made
