"""Receipts of what became of messages, applied to a real store."""

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.config import Config, load
from bridge.integrations import find
from bridge.integrations.iterable.receipts import IterableReceipts
from bridge.model import (
    Attempt,
    AttemptResult,
    Circuit,
    CircuitState,
    Claim,
    DeliveryStatus,
    MatchedBy,
    ReceiptResult,
    Trigger,
    route_circuit,
)
from bridge.receipts import HandledReceipt, ReceiptHandler
from bridge.store import (
    Store,
    circuits,
    deliveries,
    new_id,
    open_store,
    queue,
    receipts,
)
from bridge.store.ingest import ingest
from tests.store.conftest import Clock, new_delivery, new_event

pytestmark = pytest.mark.integration

FILE = """
destinations: {iterable: {data_center: us}}
routes:
  - {name: r, previous_names: [old], match: {}, campaign_id: 1, template: t.j2}
  - {name: same, match: {}, campaign_id: 1, template: t.j2}
  - {name: other, match: {}, campaign_id: 2, template: t.j2}
"""
ENVIRONMENT = {
    "ITERABLE_API_KEY": "key-0123456789",
    "ITERABLE_WEBHOOK_SECRET": "receipt-word",
}
S, R = DeliveryStatus, ReceiptResult
Tell = Callable[..., HandledReceipt]
Sent = Callable[..., str]
Tick = Callable[..., datetime]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tick(clock: Clock) -> Tick:
    """Move the store's clock on: `tick(hours=25)`."""

    def move(**span: float) -> datetime:
        clock.now += timedelta(**span)
        return clock.now

    return move


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'bridge.db'}", clock)
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "t.j2").write_text("{}")
    (tmp_path / "config.yaml").write_text(FILE)
    return load(tmp_path / "config.yaml", ENVIRONMENT, find_integration=find)


@pytest.fixture
def handler(config: Config, store: Store) -> ReceiptHandler:
    return ReceiptHandler(config, store)


def read(config: Config, body: bytes) -> Any:
    receipt = IterableReceipts(config.destinations["iterable"]).read(body)
    assert receipt is not None
    return receipt


@pytest.fixture
def tell(config: Config, handler: ReceiptHandler, clock: Clock) -> Tell:
    """Report something of a message that happens now."""

    def tell_receipt(event: str = "emailSend", **fields: Any) -> HandledReceipt:
        top = {name: fields.pop(name, None) for name in ("email", "userId")}
        created = f"{clock.now:%Y-%m-%d %H:%M:%S} +00:00"
        data = {"createdAt": created, "campaignId": 1} | fields
        body = {"eventName": event, **top, "dataFields": data}
        return handler.receive(read(config, json.dumps(body).encode()))

    return tell_receipt


@pytest.fixture
def under_way(store: Store) -> Callable[..., Claim]:
    """Store a delivery and have a worker claim it."""

    def claimed(key: str | None = None, **changes: Any) -> Claim:
        known = {"capture": changes.pop("capture")} if "capture" in changes else {}
        new = new_delivery(key or f"pub:{new_id()}:v_1", **changes)
        with store.write() as tx:
            ingest(tx, [(new_event(new, **known), None)])
            [claim] = queue.claim(
                tx,
                [new.route],
                is_fresh=True,
                limit=1,
                lease=timedelta(seconds=30),
                token=new_id(),
            )
        return claim

    return claimed


Ends = Callable[..., list[str]]


@pytest.fixture
def ends(store: Store, clock: Clock) -> Ends:
    """Have the attempt of a claim end; list whom that moved."""

    def ended(
        claim: Claim, trigger: Trigger, campaign: int = 1, **fields: Any
    ) -> list[str]:
        payload = {"campaignId": campaign, "dataFields": fields}
        attempt = Attempt(
            number=claim.attempt_no,
            started_at=clock.now,
            duration=timedelta(milliseconds=80),
            outcome="SUCCESS",
            status=200,
            code="Success",
            reason="accepted",
            request_id=None,
            payload=json.dumps(payload).encode(),
        )
        result = AttemptResult(
            claim=claim,
            trigger=trigger,
            reason=None,
            delay=timedelta(hours=1),
            attempt=attempt,
        )
        with store.write() as tx:
            return queue.settle(tx, [result])

    return ended


@pytest.fixture
def sent(under_way: Callable[..., Claim], ends: Ends) -> Sent:
    """Store a delivery and have it accepted; return its id."""

    def accepted(
        campaign: int = 1, fields: dict[str, Any] | None = None, **changes: Any
    ) -> str:
        claim = under_way(**changes)
        ends(claim, Trigger.ANSWERED_OK, campaign, **(fields or {}))
        return claim.delivery_id

    return accepted


def detail(store: Store, delivery_id: str) -> Any:
    with store.read() as tx:
        found = deliveries.detail(tx, delivery_id)
    assert found is not None
    return found


def status(store: Store, delivery_id: str) -> DeliveryStatus:
    found = detail(store, delivery_id).delivery.status
    assert isinstance(found, DeliveryStatus)
    return found


def unmatched(store: Store) -> list[Any]:
    with store.read() as tx:
        return [*receipts.newest(tx, 100, only_unmatched=True)]


def circuit(store: Store, route: str = "r") -> Circuit:
    with store.write() as tx:
        return circuits.get(tx, route_circuit(route))


def ours(delivery_id: str) -> dict[str, Any]:
    return {"transactionalData": {"bridgeId": delivery_id}}


# Which delivery a receipt is about.


def test_our_id_finds_the_delivery(store: Store, tell: Tell, sent: Sent) -> None:
    delivery_id = sent()
    found = tell(messageId="m", **ours(delivery_id))
    assert (found.result, found.matched_by) == (R.CONFIRMED, MatchedBy.BRIDGE_ID)
    assert status(store, delivery_id) is S.CONFIRMED


def test_a_bounce_finds_its_delivery_by_the_message(
    store: Store, tell: Tell, sent: Sent
) -> None:
    delivery_id = sent()
    tell(messageId="m", **ours(delivery_id))
    found = tell("emailBounce", messageId="m", recipientState="HardBounce")
    assert (found.result, found.matched_by) == (R.UNDELIVERED, MatchedBy.MESSAGE_ID)
    row = detail(store, delivery_id).delivery
    assert row.status is S.UNDELIVERED
    assert "HardBounce" in row.reason


def test_a_bounce_that_overtakes_its_send_is_applied_when_that_comes(
    store: Store, tell: Tell, sent: Sent
) -> None:
    delivery_id = sent()
    assert tell("emailBounce", messageId="m").result is R.UNMATCHED
    handled = tell(messageId="m", **ours(delivery_id))
    assert [one.result for one in handled.earlier] == [R.UNDELIVERED]
    assert status(store, delivery_id) is S.UNDELIVERED
    names = [one.event_name for one in detail(store, delivery_id).receipts]
    assert names == ["emailBounce", "emailSend"]
    assert unmatched(store) == []


def test_without_ids_the_nearest_earlier_send_is_meant(
    store: Store, tell: Tell, sent: Sent, tick: Tick
) -> None:
    first = sent()
    tick(minutes=5)
    second, other = sent(), sent(campaign=2)
    tick(seconds=20)
    assert tell("emailSendSkip", userId="user-1", messageId="a").delivery_id == second
    assert tell("emailSendSkip", userId="user-1", messageId="b").delivery_id == first
    again = tell("emailSendSkip", userId="user-1", messageId="c")
    assert again.result is R.UNMATCHED
    assert status(store, other) is S.ACCEPTED


# What a receipt changes.


@pytest.mark.parametrize("fields", [{"messageId": "m"}, {}], ids=["id", "no id"])
def test_a_repeat_changes_nothing(
    store: Store, tell: Tell, sent: Sent, fields: dict[str, Any]
) -> None:
    delivery_id = sent()
    fields |= ours(delivery_id)
    assert tell("emailSend", **fields).result is R.CONFIRMED
    assert tell("emailSend", **fields).result is R.REPEATED
    assert len(detail(store, delivery_id).receipts) == 1


@pytest.mark.parametrize(
    ("event", "becomes"),
    [("emailSend", S.CONFIRMED), ("emailSendSkip", S.UNDELIVERED)],
)
def test_a_receipt_that_overtakes_its_attempt_is_not_undone(
    store: Store,
    tell: Tell,
    under_way: Callable[..., Claim],
    ends: Ends,
    event: str,
    becomes: DeliveryStatus,
) -> None:
    claim = under_way()
    tell(event, messageId="m", **ours(claim.delivery_id))
    assert ends(claim, Trigger.ANSWERED_OK) == []
    found = detail(store, claim.delivery_id)
    assert found.delivery.status is becomes
    assert [one.number for one in found.attempts] == [1]
    assert found.delivery.due_at is None


@pytest.mark.parametrize(
    "trigger", [Trigger.OUTCOME_UNKNOWN, Trigger.NOT_PROCESSED, Trigger.UNUSABLE]
)
def test_our_id_confirms_what_waits_or_is_in_doubt(
    store: Store,
    tell: Tell,
    under_way: Callable[..., Claim],
    ends: Ends,
    trigger: Trigger,
) -> None:
    claim = under_way()
    ends(claim, trigger)
    assert status(store, claim.delivery_id) in (S.IN_DOUBT, S.PENDING, S.HELD)
    tell(messageId="m", **ours(claim.delivery_id))
    row = detail(store, claim.delivery_id).delivery
    assert (row.status, row.due_at) == (S.CONFIRMED, None)


def test_what_is_under_way_is_not_moved_on_a_guess(
    store: Store, tell: Tell, under_way: Callable[..., Claim]
) -> None:
    claim = under_way("pub:pub_1:v_1")
    found = tell(messageId="m", transactionalData={"publicationId": "pub_1"})
    assert (found.delivery_id, found.result) == (claim.delivery_id, R.NOTED)
    assert status(store, claim.delivery_id) is S.SENDING


# What a receipt means for the route.


def test_a_reason_of_configuration_stops_the_route_of_the_delivery(
    store: Store, tell: Tell, sent: Sent
) -> None:
    delivery_id = sent()
    handled = tell(
        "emailSendSkip", reason="EmptyContent", messageId="a", **ours(delivery_id)
    )
    assert handled.result is R.UNDELIVERED
    assert handled.opened == ("route:r",)
    assert "give the template a content" in (circuit(store).reason or "")
    assert circuit(store, "same").state is CircuitState.CLOSED


def test_where_no_delivery_matches_it_stops_every_route_of_the_campaign(
    store: Store, tell: Tell
) -> None:
    handled = tell("emailSendSkip", reason="CampaignDeactivated", messageId="a")
    assert (handled.result, handled.opened) == (
        R.UNMATCHED,
        ("route:r", "route:same"),
    )
    assert circuit(store).state is CircuitState.OPEN
    unknown = tell("emailSendSkip", reason="EmptyContent", messageId="b", campaignId=99)
    assert unknown.opened == ()


def test_only_a_message_sent_since_closes_the_circuit(
    store: Store, tell: Tell, sent: Sent, tick: Tick
) -> None:
    late = sent()
    tell("emailSendSkip", reason="EmptyContent", messageId="a")
    assert tell(messageId="b", **ours(late)).closed is None
    tick(minutes=6)
    trial = sent()
    assert tell(messageId="c", **ours(trial)).closed == "route:r"
    assert circuit(store).state is CircuitState.CLOSED
