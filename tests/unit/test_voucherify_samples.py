import json
from pathlib import Path
from typing import Any

import pytest

from bridge import identity, voucherify
from bridge.errors import SignatureError
from bridge.model import Capture, Parsed

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
answers = pytest.mark.parametrize("entry", params(is_api=True))


def body_of(entry: dict[str, Any]) -> bytes:
    return (FOLDER / str(entry["file"])).read_bytes()


def parse(entry: dict[str, Any]) -> Parsed:
    return voucherify.parse(Capture(body=body_of(entry)))


def test_the_manifest_lists_every_sample() -> None:
    listed = {entry["file"] for entry in entries()}
    assert listed == {path.name for path in FOLDER.glob("*.json")}


@pytest.mark.parametrize("entry", params(is_api=False) + params(is_api=True))
def test_the_signature_verifies_as_sent_and_pretty_printed(
    entry: dict[str, Any],
) -> None:
    body = body_of(entry)
    compact = voucherify.strip_insignificant(body)
    assert voucherify.sign(compact, SECRET) == entry["signature"]
    voucherify.verify(compact, entry["signature"], [SECRET])
    voucherify.verify(body, entry["signature"], [SECRET])
    with pytest.raises(SignatureError):
        voucherify.verify(body, entry["signature"], ["another"])


@webhooks
def test_kind_and_event_are_those_of_the_manifest(entry: dict[str, Any]) -> None:
    parsed = parse(entry)
    assert parsed.problem is None
    assert parsed.kind == ("raw" if entry["raw"] else entry["kind"])
    assert parsed.event_type == entry["event"]


@webhooks
def test_codes_are_those_of_the_manifest(entry: dict[str, Any]) -> None:
    codes = [code for reward in parse(entry).rewards for code in reward.codes]
    assert codes == entry["codes"]


@webhooks
def test_the_recipient_is_that_of_the_manifest(entry: dict[str, Any]) -> None:
    expected = entry["recipient"]
    for reward in parse(entry).rewards:
        who = identity.recipient(reward, ["source_id"])
        assert who.user_id == expected.get("source_id", expected.get("userId"))
        assert reward.email == expected.get("email")


@webhooks
def test_the_business_key_is_that_of_the_manifest(entry: dict[str, Any]) -> None:
    parsed = parse(entry)
    expected = entry["business_key"]
    if expected is None:
        # The fallback: the envelope's id, or the body's hash where there is none.
        fallback = parsed.transport_key.replace("sha256:", "raw:")
        assert [reward.key for reward in parsed.rewards] == [fallback]
        return
    if expected.endswith(":*"):
        assert voucherify.whole_publication(parsed.rewards).key == expected
    else:
        assert [reward.key for reward in parsed.rewards] == [expected]
    assert voucherify.find_reward(parsed, expected) is not None


@webhooks
def test_points_and_amount_are_those_of_the_manifest(entry: dict[str, Any]) -> None:
    (reward, *_) = parse(entry).rewards
    assert reward.facts.get("points") == entry.get("points")
    assert reward.facts.get("amount") == entry.get("amount")


@webhooks
def test_pretty_printing_changes_nothing(entry: dict[str, Any]) -> None:
    compact = voucherify.strip_insignificant(body_of(entry))
    assert voucherify.parse(Capture(body=compact)) == parse(entry)


@answers
def test_answers_of_the_api_are_no_webhooks(entry: dict[str, Any]) -> None:
    parsed = parse(entry)
    assert parsed.problem is not None
    assert parsed.rewards == ()
    assert parsed.is_hashed


def test_the_transport_key_is_the_envelopes_id() -> None:
    body = (FOLDER / "01_project_voucher_published_discount.json").read_bytes()
    parsed = voucherify.parse(Capture(body=body))
    assert parsed.transport_key == "whs_11bf20b1d17afe0bd2"
    assert not parsed.is_hashed


def test_a_material_reward_carries_its_name_and_no_paying_card() -> None:
    body = (FOLDER / "07_project_customer_rewarded_material.json").read_bytes()
    (reward,) = voucherify.parse(Capture(body=body)).rewards
    assert reward.facts == {"name": "Free bottle", "type": "MATERIAL"}
    assert reward.vouchers == ()


def test_a_referral_reward_shows_the_reward_and_never_the_referral_code() -> None:
    path = FOLDER / "14_distribution_customer_rewarded_referral_coupon.json"
    (reward,) = voucherify.parse(Capture(body=path.read_bytes())).rewards
    assert reward.codes == ("THX-9vB30k",)
    assert [voucher["code"] for voucher in reward.vouchers] == ["THX-9vB30k"]
    assert "REF-an4a2" not in repr(reward)


def test_both_vouchers_of_a_publication_are_rewards_of_their_own() -> None:
    path = FOLDER / "13_project_publication_succeeded_multi.json"
    parsed = voucherify.parse(Capture(body=path.read_bytes()))
    assert [reward.codes for reward in parsed.rewards] == [
        ("AUT-2mFp8",),
        ("AUT-w7Hq1",),
    ]
    assert {reward.published for reward in parsed.rewards} == {2}


def test_a_rewarded_coupon_and_its_publication_share_a_key() -> None:
    path = FOLDER / "14_distribution_customer_rewarded_referral_coupon.json"
    rewarded = voucherify.parse(Capture(body=path.read_bytes()))
    data = {
        "customer": rewarded.document["data"]["customer"],
        "publication": {"id": "pub_1"},
        "voucher": rewarded.document["data"]["reward"]["voucher"],
    }
    published = voucherify.parse(Capture(body=json.dumps(data).encode()))
    keys = [
        {key for key, _ in voucherify.keys_of(parsed.rewards[0])}
        for parsed in (rewarded, published)
    ]
    voucher_id = data["voucher"]["id"]
    assert keys[0] & keys[1] == {f"code:{voucher_id}:{data['customer']['id']}"}
