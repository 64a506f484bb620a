"""Iterable's system webhooks, read."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.iterable import means, named_event, read_report
from bridge.iterable.reports import EVENTS, REASONS
from bridge.model import Classification, News, Report

SAMPLES = Path(__file__).parents[2] / "samples" / "iterable"
#: How the samples call what a report says.
WORDS = {"handed_over": News.SENT, "skipped": News.SKIPPED, "bounced": News.BOUNCED}


def samples() -> list[dict[str, Any]]:
    read = (json.loads(path.read_text()) for path in sorted(SAMPLES.glob("*.json")))
    return [sample for sample in read if sample.get("kind") == "system_webhook"]


def webhook(event: str = "emailSend", **fields: Any) -> bytes:
    return json.dumps({"eventName": event, "dataFields": fields}).encode()


def report(body: bytes) -> Report:
    found = read_report(body)
    assert found is not None
    return found


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample["id"])
def test_a_sample_reads_as_it_expects(sample: dict[str, Any]) -> None:
    expected = sample["expected"]
    found = report(json.dumps(sample["request"]["body"]).encode())
    assert found.news is WORDS[expected["delivery"]]
    assert found.message_id == expected["message_id"]
    assert found.campaign_id == expected["campaign_id"]
    assert found.publication_id == expected.get("publication_id")
    assert found.reason == expected.get("reason")
    assert found.occurred_at == datetime.fromisoformat(expected["occurred_at"])
    if "classification" in expected:
        assert means(found.reason)[0] == expected["classification"]
    for text in expected["must_not_log"]:
        assert text not in repr(found)


def test_there_are_samples_of_system_webhooks() -> None:
    assert {sample["expected"]["delivery"] for sample in samples()} == {
        "handed_over",
        "skipped",
    }


@pytest.mark.parametrize(
    ("event", "news"),
    [
        ("emailSend", News.SENT),
        ("pushSend", News.SENT),
        ("smsSend", News.SENT),
        ("inAppSend", News.SENT),
        ("webPushSend", News.SENT),
        ("emailSendSkip", News.SKIPPED),
        ("pushSendSkip", News.SKIPPED),
        ("smsSendSkip", News.SKIPPED),
        ("inAppSendSkip", News.SKIPPED),
        ("webPushSendSkip", News.SKIPPED),
        ("emailBounce", News.BOUNCED),
        ("pushBounce", News.BOUNCED),
        ("smsBounce", News.BOUNCED),
        ("emailComplaint", News.COMPLAINED),
    ],
)
def test_each_event_has_its_news(event: str, news: News) -> None:
    assert report(webhook(event)).news is news


@pytest.mark.parametrize("event", ["emailOpen", "emailClick", "customEvent", ""])
def test_other_events_bring_no_news(event: str) -> None:
    assert read_report(webhook(event)) is None


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
    assert report(webhook(**fields)).bridge_id == "id-1"


def test_message_and_event_make_the_identity() -> None:
    first, other = webhook(messageId="m"), webhook(messageId="m", labels=["new"])
    assert report(first).identity == report(other).identity
    bounce = webhook("emailBounce", messageId="m")
    assert report(first).identity != report(bounce).identity


def test_without_a_message_id_the_bytes_make_the_identity() -> None:
    one, other = webhook("smsSend", campaignId=1), webhook("smsSend", campaignId=2)
    assert report(one).identity == report(one).identity != report(other).identity


def test_times_are_utc_whatever_their_offset() -> None:
    found = report(webhook(createdAt="2026-01-01 01:30:00 +02:00"))
    assert found.occurred_at == datetime(2025, 12, 31, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize("said", ["", "a b", "x@y.example", 7, None, "x" * 65])
def test_a_reason_that_is_no_plain_word_is_not_kept(said: Any) -> None:
    assert report(webhook("emailSendSkip", reason=said)).reason is None


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
    assert means(reason)[0] is meaning


def test_every_reason_comes_with_advice() -> None:
    assert all(advice for _, advice in REASONS.values())


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
    assert report(json.dumps(document).encode()).event_name == event


@given(st.binary(max_size=200))
def test_any_bytes_are_read(body: bytes) -> None:
    assert read_report(body) is None
    assert named_event(body) is None


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"eventName": ' + b"9" * 5000 + b"}",
        b'{"eventName": "emailSend", "dataFields": {"campaignId": ' + b"9" * 40 + b"}}",
        b'{"eventName": "emailSend", "dataFields": {"createdAt": '
        b'"0001-01-01 00:00:00 +23:00"}}',
        b'{"eventName": "emailSend", "dataFields": {"createdAt": '
        b'"0001-01-01 00:00:00 +00:00"}}',
        b'{"eventName": "emailSend", "dataFields": {"createdAt": '
        b'"9999-12-31 23:59:59 +00:00"}}',
    ],
    ids=[
        *("nested", "huge number", "campaign too large"),
        *("before all time", "first of all time", "last of all time"),
    ],
)
def test_extremes_are_read(body: bytes) -> None:
    found = read_report(body)
    assert found is None or (found.campaign_id, found.occurred_at) == (None, None)
