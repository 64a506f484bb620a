"""The contract's samples, read as their manifest says."""

import json
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import SignatureError
from bridge.integrations.voucherify.signature import sign, strip_insignificant, verify
from bridge.model import Capture, ParsedWebhook
from bridge.recipients import recipient_of
from tests.integrations.voucherify import SOURCE, keys_of

FOLDER = Path(__file__).parents[2] / "samples" / "voucherify"
SECRET = "vf-test-secret-1"


def entries() -> list[dict[str, Any]]:
    text = (FOLDER / "manifest.jsonl").read_text(encoding="utf-8")
    return [entry for entry in map(json.loads, text.splitlines()) if "file" in entry]


def params(*, is_api: bool) -> list[Any]:
    return [
        pytest.param(entry, id=entry["file"].removesuffix(".json"))
        for entry in entries()
        if (entry["kind"] == "api") is is_api
    ]


webhooks = pytest.mark.parametrize("entry", params(is_api=False))


def body_of(entry: dict[str, Any]) -> bytes:
    return (FOLDER / str(entry["file"])).read_bytes()


def parse(entry: dict[str, Any]) -> ParsedWebhook:
    return SOURCE.parse(Capture(body=body_of(entry)))


def test_the_manifest_lists_every_sample() -> None:
    listed = {entry["file"] for entry in entries()}
    assert listed == {path.name for path in FOLDER.glob("*.json")}


@pytest.mark.parametrize("entry", params(is_api=False) + params(is_api=True))
def test_the_signature_verifies_as_sent_and_pretty_printed(
    entry: dict[str, Any],
) -> None:
    body = body_of(entry)
    compact = strip_insignificant(body)
    assert sign(compact, SECRET) == entry["signature"]
    verify(compact, entry["signature"], [SECRET])
    verify(body, entry["signature"], [SECRET])
    with pytest.raises(SignatureError):
        verify(body, entry["signature"], ["another"])


@webhooks
def test_kind_and_event_are_those_of_the_manifest(entry: dict[str, Any]) -> None:
    parsed = parse(entry)
    assert parsed.problem is None
    assert parsed.kind == ("raw" if entry["raw"] else entry["kind"])
    assert parsed.event_type == entry["event"]


@webhooks
def test_codes_are_those_of_the_manifest(entry: dict[str, Any]) -> None:
    codes = [code for reward in parse(entry).messages for code in reward.codes]
    assert codes == entry["codes"]


@webhooks
def test_the_recipient_is_that_of_the_manifest(entry: dict[str, Any]) -> None:
    expected = entry["recipient"]
    for reward in parse(entry).messages:
        who = recipient_of(reward.customer, ["source_id"])
        assert who.user_id == expected.get("source_id", expected.get("userId"))
        assert reward.customer.email == expected.get("email")


@webhooks
def test_the_business_key_is_that_of_the_manifest(entry: dict[str, Any]) -> None:
    parsed = parse(entry)
    expected = entry["business_key"]
    if expected is None:
        # The fallback: the envelope's id, or the body's hash where there is none.
        fallback = parsed.transport_key.replace("sha256:", "raw:")
        assert [reward.key for reward in parsed.messages] == [fallback]
        return
    if expected.endswith(":*"):
        assert SOURCE.merge(parsed.messages).key == expected
    else:
        assert [reward.key for reward in parsed.messages] == [expected]
    assert SOURCE.find(parsed, expected) is not None


def test_a_rewarded_coupon_and_its_publication_share_a_key() -> None:
    path = FOLDER / "14_distribution_customer_rewarded_referral_coupon.json"
    rewarded = SOURCE.parse(Capture(body=path.read_bytes()))
    data = {
        "customer": rewarded.document["data"]["customer"],
        "publication": {"id": "pub_1"},
        "voucher": rewarded.document["data"]["reward"]["voucher"],
    }
    published = SOURCE.parse(Capture(body=json.dumps(data).encode()))
    keys = [
        {key for key, _ in keys_of(parsed.messages[0])}
        for parsed in (rewarded, published)
    ]
    voucher_id = data["voucher"]["id"]
    assert keys[0] & keys[1] == {f"code:{voucher_id}:{data['customer']['id']}"}
