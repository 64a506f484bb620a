"""Iterable's system webhooks: authentication, reading, meaning."""

import json
from base64 import b64encode
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.config import DestinationConfig, Verify
from bridge.errors import SignatureError
from bridge.integrations import Request
from bridge.integrations.iterable.receipts import (
    EVENTS,
    IterableReceipts,
    meaning_of,
)
from bridge.model import Classification, Receipt, ReceiptType

SAMPLES = Path(__file__).parents[2] / "samples" / "iterable"
#: How the samples call what a receipt says.
WORDS = {
    "handed_over": ReceiptType.SENT,
    "skipped": ReceiptType.SKIPPED,
    "bounced": ReceiptType.BOUNCED,
}


SECRETS = ("receipt-word", "next-word")
CONFIG = DestinationConfig(
    name="iterable-eu",
    kind="iterable",
    base_url="https://api.eu.iterable.com",
    timeout=timedelta(seconds=15),
    rate_per_second=50,
    verify=Verify(after=timedelta(seconds=60), rate_per_second=3),
    secrets={"webhook_secret": SECRETS},
    variables={"webhook_secret": "EU_SECRET"},
)
RECEIPTS = IterableReceipts(CONFIG)


def samples() -> list[dict[str, Any]]:
    read = (json.loads(path.read_text()) for path in sorted(SAMPLES.glob("*.json")))
    return [sample for sample in read if sample.get("kind") == "system_webhook"]


def webhook(event: str = "emailSend", **fields: Any) -> bytes:
    return json.dumps({"eventName": event, "dataFields": fields}).encode()


def receipt(body: bytes) -> Receipt:
    found = RECEIPTS.read(body)
    assert found is not None
    return found


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample["id"])
def test_a_sample_reads_as_it_expects(sample: dict[str, Any]) -> None:
    expected = sample["expected"]
    found = receipt(json.dumps(sample["request"]["body"]).encode())
    assert found.type is WORDS[expected["delivery"]]
    assert found.message_id == expected["message_id"]
    assert found.campaign_id == expected["campaign_id"]
    assert found.publication_id == expected.get("publication_id")
    assert found.reason == expected.get("reason")
    assert found.occurred_at == datetime.fromisoformat(expected["occurred_at"])
    if "classification" in expected:
        assert meaning_of(found.reason)[0] == expected["classification"]
    for text in expected["must_not_log"]:
        assert text not in repr(found)


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ("emailSend", ReceiptType.SENT),
        ("pushSend", ReceiptType.SENT),
        ("smsSend", ReceiptType.SENT),
        ("inAppSend", ReceiptType.SENT),
        ("webPushSend", ReceiptType.SENT),
        ("emailSendSkip", ReceiptType.SKIPPED),
        ("pushSendSkip", ReceiptType.SKIPPED),
        ("smsSendSkip", ReceiptType.SKIPPED),
        ("inAppSendSkip", ReceiptType.SKIPPED),
        ("webPushSendSkip", ReceiptType.SKIPPED),
        ("emailBounce", ReceiptType.BOUNCED),
        ("pushBounce", ReceiptType.BOUNCED),
        ("smsBounce", ReceiptType.BOUNCED),
        ("emailComplaint", ReceiptType.COMPLAINED),
    ],
)
def test_each_event_has_its_type(event: str, kind: ReceiptType) -> None:
    assert receipt(webhook(event)).type is kind


@pytest.mark.parametrize(
    "fields",
    [
        {"transactionalData": {"bridgeId": "id-1"}},
        {"metadata": {"bridgeId": "id-1"}},
        {"transactionalData": {"metadata": {"bridgeId": "id-1"}}},
        {"transactionalData": {"bridgeId": 7}, "metadata": {"bridgeId": "id-1"}},
    ],
    ids=[
        "data fields",
        "metadata",
        "metadata in data fields",
        "the one that is usable",
    ],
)
def test_our_id_is_found_wherever_it_may_come_back(fields: dict[str, Any]) -> None:
    assert receipt(webhook(**fields)).bridge_id == "id-1"


@pytest.mark.parametrize("said", ["", "a b", "x@y.example", 7, None, "x" * 65])
def test_a_reason_that_is_no_plain_word_is_not_kept(said: Any) -> None:
    assert receipt(webhook("emailSendSkip", reason=said)).reason is None


@pytest.mark.parametrize(
    ("reason", "meaning"),
    [
        ("CampaignDeactivated", Classification.CONFIG),
        ("CatalogCollectionLookupError", Classification.CONFIG),
        ("DataFeedError", Classification.RETRY),
        ("FrequencyCapping", Classification.SUCCESS_LIKE),
        ("InvalidRecipientEmail", Classification.PERMANENT),
        ("SomethingNew", Classification.PERMANENT),
        (None, Classification.PERMANENT),
    ],
)
def test_a_reason_has_a_meaning(reason: str | None, meaning: Classification) -> None:
    assert meaning_of(reason)[0] is meaning


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=10,
)
FIELDS = st.dictionaries(
    st.sampled_from(
        ["messageId", "campaignId", "createdAt", "reason", "transactionalData", "email"]
    ),
    JSON,
)


@given(st.sampled_from(sorted(EVENTS)), JSON | FIELDS, JSON, JSON)
def test_any_value_in_any_field_is_read(
    event: str, fields: Any, email: Any, user: Any
) -> None:
    document = {
        "eventName": event,
        "dataFields": fields,
        "email": email,
        "userId": user,
    }
    assert receipt(json.dumps(document).encode()).event_name == event


@pytest.mark.parametrize(
    ("event", "reason", "stops"),
    [
        ("emailSendSkip", "CampaignDeactivated", True),
        ("emailSendSkip", "FrequencyCapping", False),
        ("emailSendSkip", None, False),
        ("emailBounce", "CampaignDeactivated", False),
    ],
)
def test_a_reason_of_configuration_stops_the_route(
    event: str, reason: str | None, stops: bool
) -> None:
    found = receipt(webhook(event, reason=reason, recipientState=reason))
    assert found.stops_route is stops
    assert (found.explanation is not None) is (event == "emailSendSkip")
    assert found.destination == "iterable-eu"


PAYLOAD = {"campaignId": 7, "dataFields": {"couponCode": "A-1", "offer": {"n": 1}}}


@pytest.mark.parametrize(
    ("campaign", "fields", "may_be"),
    [
        (7, {}, True),
        ("7", {"couponCode": "A-1", "unknown": "x"}, True),
        (7, {"couponCode": "A-2"}, False),
        (7, {"offer": {"n": 2}}, True),
        (8, {"couponCode": "A-1"}, False),
        (None, {}, False),
    ],
)
def test_a_receipt_is_about_a_payload_that_nothing_in_it_contradicts(
    campaign: Any, fields: dict[str, Any], may_be: bool
) -> None:
    found = receipt(webhook(campaignId=campaign, transactionalData=fields))
    assert RECEIPTS.may_be_about(found, json.dumps(PAYLOAD).encode()) is may_be
    assert not RECEIPTS.may_be_about(found, b"{") or campaign is None


def check(headers: dict[str, str], reader: IterableReceipts = RECEIPTS) -> None:
    reader.verify(Request(path=reader.path, body=b"{}", headers=headers))


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer receipt-word"},
        {"authorization": "Basic next-word"},
        {"authorization": "receipt-word"},
        {"authorization": f"Basic {b64encode(b'me:receipt-word').decode()}"},
        {"authorization": "Bearer wrong", "x-bridge-secret": " next-word "},
    ],
)
def test_a_secret_is_accepted_wherever_iterable_can_put_it(
    headers: dict[str, str],
) -> None:
    check(headers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer "},
        {"authorization": "Bearer receipt-wor"},
        {"authorization": "Basic \xff"},
        {"x-bridge-secret": "wrong"},
    ],
)
def test_what_knows_no_secret_is_rejected(headers: dict[str, str]) -> None:
    with pytest.raises(SignatureError, match="no secret that is known here"):
        check(headers)
