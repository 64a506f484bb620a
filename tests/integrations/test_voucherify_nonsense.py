"""Whatever bytes an authentic sender posts, reading them ends in a `ParsedWebhook`."""

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RecipientError
from bridge.integrations.voucherify.envelope import data_of
from bridge.model import Capture, Message, ParsedWebhook
from bridge.recipients import recipient_of
from tests.integrations.voucherify import SOURCE, keys_of, parse

SAMPLES = [
    path.read_bytes()
    for path in sorted(
        (Path(__file__).parents[2] / "samples" / "voucherify").glob("[01]*.json")
    )
]
WORDS = [
    "id",
    "type",
    "data",
    "source",
    "event",
    "object",
    "customer",
    "holder",
    "publication",
    "voucher",
    "vouchers",
    "vouchers_id",
    "code",
    "reward",
    "reward_redemption",
    "redemption",
    "transaction",
    "balance",
    "points",
    "campaign",
    "campaignId",
    "recipientUserId",
    "recipientEmail",
    "dataFields",
    "couponCode",
    "voucherify",
    "publicationId",
    "voucherId",
    "customerId",
    "source_id",
    "email",
    "tracking_id",
    "customer_id",
    "holder_id",
    "distribution",
    "earning_rule",
    "state",
    "result",
    "webhook_id",
    "pending_points",
    "listIds",
]
EVENTS = [
    "voucher.published",
    "publication.succeeded",
    "customer.publication.succeeded",
    "customer.rewarded",
    "customer.rewarded.loyalty_points",
    "customer.referred",
    "customer.reward_redemptions.completed",
    "customer.custom_event",
    "customer.loyalty.tier.upgraded",
    "manual_distribution_schedule",
    "voucher.gift.balance_added",
    "voucher.loyalty_card.transaction.created",
]

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=8)
    | st.sampled_from(["", "null", "{{x}}", "webhook", "distribution", "event"])
    | st.sampled_from(EVENTS)
)
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=4), inner)
    ),
    max_leaves=25,
)


def dump(document: Any) -> bytes:
    return json.dumps(document).encode()


def recipient_or_reason(reward: Message) -> str:
    try:
        return recipient_of(reward.customer, ["source_id", "email"]).name
    except RecipientError as error:
        return error.reason


def check(parsed: ParsedWebhook) -> None:
    """Hold what every reader of a `ParsedWebhook` relies on."""
    assert parsed.problem is None or parsed.messages == ()
    assert parsed.transport_key.isprintable()
    assert parsed.event_type is None or parsed.event_type.isprintable()
    data_of(parsed.document)
    assert json.dumps(
        [one.data for one in parsed.messages], ensure_ascii=False
    ).encode()
    assert len({reward.key for reward in parsed.messages}) == len(parsed.messages)
    for reward in parsed.messages:
        stored = [key for key, _ in keys_of(reward)] + list(reward.codes)
        assert all(text.isprintable() for text in stored)
        assert all(len(text.encode()) < 1100 for text in stored)
        assert SOURCE.find(parsed, reward.key) == reward
        assert recipient_or_reason(reward).isprintable()


@given(data=documents, event=st.sampled_from(EVENTS), source=documents)
def test_any_data_in_an_envelope_is_read_without_an_error(
    data: Any, event: str, source: Any
) -> None:
    envelope = {"id": "whs_1", "data": data, "event": {"id": "ev_1", "type": event}}
    check(parse(Capture(body=dump(envelope | {"source": source}))))
    check(parse(Capture(body=dump(envelope | {"source": {"object": "webhook"}}))))


@given(
    sample=st.sampled_from(SAMPLES),
    at=st.integers(min_value=0, max_value=8000),
    put=st.binary(max_size=6),
)
def test_a_damaged_sample_is_read_without_an_error(
    sample: bytes, at: int, put: bytes
) -> None:
    check(parse(Capture(body=sample[:at] + put + sample[at + len(put) :])))
    check(parse(Capture(body=sample[:at])))
