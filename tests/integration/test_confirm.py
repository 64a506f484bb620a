"""Reports of what became of messages, applied to a real store."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.config import Config, load
from bridge.confirm import Confirm, Told
from bridge.model import (
    Arrival,
    Became,
    Capture,
    Cause,
    Claim,
    DeliveryStatus,
    GateState,
    KeptReport,
    Lane,
    Match,
    NewDelivery,
    Settlement,
)
from bridge.store import By, Store, Story, gate_of, new_id
from tests.integration.conftest import Clock

pytestmark = pytest.mark.integration

SAMPLES = Path(__file__).parents[2] / "samples" / "iterable"
FILE = """
iterable: {data_center: us}
routes:
  - {name: r, formerly: [old], when: {}, campaign_id: 1, template: t.j2}
"""
S = DeliveryStatus


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "t.j2").write_text("{}")
    (tmp_path / "config.yaml").write_text(FILE)
    return load(tmp_path / "config.yaml", {})


@pytest.fixture
def confirm(config: Config, store: Store) -> Confirm:
    return Confirm(config, store)


@pytest.fixture
def told(confirm: Confirm, clock: Clock) -> Callable[..., Told]:
    """Report something of a message that happens now."""

    def told(event: str = "emailSend", **fields: Any) -> Told:
        top = {name: fields.pop(name, None) for name in ("email", "userId")}
        created = f"{clock.now:%Y-%m-%d %H:%M:%S} +00:00"
        data = {"createdAt": created, "campaignId": 1} | fields
        body = {"eventName": event, **top, "dataFields": data}
        return confirm.receive(json.dumps(body).encode(), 4)

    return told


Ends = Callable[..., list[str]]


@pytest.fixture
def ends(store: Store, settlement: Callable[..., Settlement]) -> Ends:
    """Have the attempt of a claim end; list whom that moved."""

    def ends(claim: Claim, cause: Cause, campaign: int = 1) -> list[str]:
        done = settlement(claim, cause)
        assert done.attempt is not None
        payload = json.dumps({"campaignId": campaign}).encode()
        done = replace(done, attempt=replace(done.attempt, payload=payload))
        with store.write() as tx:
            return store.queue.settle(tx, [done])

    return ends


UnderWay = Callable[..., Claim]


@pytest.fixture
def under_way(
    store: Store,
    new_arrival: Callable[..., Arrival],
    new_delivery: Callable[..., NewDelivery],
    claim: Callable[..., list[Claim]],
) -> UnderWay:
    """Store a delivery and have a worker claim it."""

    def under_way(key: str | None = None, **changes: Any) -> Claim:
        known = {"capture": changes.pop("capture")} if "capture" in changes else {}
        new = new_delivery(key or f"pub:{new_id()}:v_1", **changes)
        store.commits.add(new_arrival(new, **known))
        (claimed,) = claim()
        return claimed

    return under_way


Sent = Callable[..., str]


@pytest.fixture
def sent(under_way: UnderWay, ends: Ends) -> Sent:
    """Store a delivery and have Iterable take it; return its id."""

    def sent(campaign: int = 1, **changes: Any) -> str:
        claim = under_way(**changes)
        ends(claim, Cause.ANSWERED_OK, campaign)
        return claim.delivery_id

    return sent


def story(store: Store, delivery_id: str) -> Story:
    found = store.ledger.story(delivery_id)
    assert found is not None
    return found


def status(store: Store, delivery_id: str) -> DeliveryStatus:
    return story(store, delivery_id).delivery.status


def unmatched(store: Store) -> list[KeptReport]:
    return store.ledger.unmatched(100)[0]


def ours(delivery_id: str) -> dict[str, Any]:
    return {"transactionalData": {"bridgeId": delivery_id}}


def sample(number: str) -> dict[str, Any]:
    document = json.loads(next(SAMPLES.glob(f"{number}_*.json")).read_text())
    assert document["kind"] == "system_webhook"
    return dict(document)


#: As samples say by what they correlate, and what becomes of the delivery.
FOUND_BY = {
    "transactionalData.publicationId": Match.PUBLICATION_ID,
    "campaign+person+time": Match.PERSON,
}
BECOMES = {"handed_over": S.CONFIRMED, "skipped": S.UNDELIVERED}


@pytest.mark.parametrize("number", ["s34", "s35"])
def test_a_sample_correlates_as_it_expects(
    store: Store, confirm: Confirm, clock: Clock, sent: Sent, number: str
) -> None:
    read = sample(number)
    expected, body = read["expected"], read["request"]["body"]
    clock.now = datetime.fromisoformat(expected["occurred_at"]) - timedelta(seconds=3)
    key = f"pub:{expected.get('publication_id', 'another')}:v_1"
    delivery_id = sent(
        campaign=expected["campaign_id"],
        key=key,
        recipient=body["email"],
    )
    clock.now += timedelta(seconds=10)
    told = confirm.receive(json.dumps(body).encode(), 4)
    assert told.delivery_id == delivery_id
    assert told.match is FOUND_BY[expected["correlate_by"]]
    told_story = story(store, delivery_id)
    assert told_story.delivery.status is BECOMES[expected["delivery"]]
    assert expected.get("reason", "") in (told_story.delivery.reason or "")
    (report,) = told_story.reports
    assert report.message_id == expected["message_id"]
    assert report.became is told_story.delivery.status


def test_our_id_finds_the_delivery(
    store: Store, told: Callable[..., Told], sent: Sent
) -> None:
    delivery_id = sent()
    found = told(messageId="m", **ours(delivery_id))
    assert (found.became, found.match) == (Became.CONFIRMED, Match.BRIDGE_ID)
    assert status(store, delivery_id) is S.CONFIRMED


def test_another_bridge_s_id_is_nobody_else_s(
    store: Store, told: Callable[..., Told], sent: Sent
) -> None:
    delivery_id = sent()
    found = told(userId="user-1", **ours(new_id()))
    assert found.became is Became.UNMATCHED
    assert status(store, delivery_id) is S.ACCEPTED
    assert [one.event_name for one in unmatched(store)] == ["emailSend"]


def test_a_bounce_finds_its_delivery_by_the_message(
    store: Store, told: Callable[..., Told], sent: Sent
) -> None:
    delivery_id = sent()
    told(messageId="m", **ours(delivery_id))
    found = told("emailBounce", messageId="m", recipientState="HardBounce")
    assert (found.became, found.match) == (Became.UNDELIVERED, Match.MESSAGE_ID)
    row = story(store, delivery_id).delivery
    assert row.status is S.UNDELIVERED
    assert "HardBounce" in (row.reason or "")


def test_a_bounce_that_overtakes_its_send_is_applied_when_that_comes(
    store: Store, told: Callable[..., Told], sent: Sent
) -> None:
    delivery_id = sent()
    assert told("emailBounce", messageId="m").became is Became.UNMATCHED
    told(messageId="m", **ours(delivery_id))
    assert status(store, delivery_id) is S.UNDELIVERED
    names = [one.event_name for one in story(store, delivery_id).reports]
    assert names == ["emailBounce", "emailSend"]
    assert unmatched(store) == []


def test_a_complaint_proves_that_the_message_arrived(
    store: Store, told: Callable[..., Told], sent: Sent
) -> None:
    delivery_id = sent()
    told("emailComplaint", messageId="m", **ours(delivery_id))
    assert status(store, delivery_id) is S.CONFIRMED


def test_without_ids_the_nearest_earlier_send_is_meant(
    store: Store, told: Callable[..., Told], sent: Sent, tick: Callable[..., Any]
) -> None:
    first = sent()
    tick(minutes=5)
    second, other = sent(), sent(campaign=2)
    tick(seconds=20)
    assert told("emailSendSkip", userId="user-1", messageId="a").delivery_id == second
    assert told("emailSendSkip", userId="user-1", messageId="b").delivery_id == first
    again = told("emailSendSkip", userId="user-1", messageId="c")
    assert again.became is Became.UNMATCHED
    assert status(store, other) is S.ACCEPTED


def test_two_sends_of_a_publication_are_told_apart_by_time(
    told: Callable[..., Told], sent: Sent, tick: Callable[..., Any]
) -> None:
    made = []
    for number in range(2):
        made.append(sent(key=f"pub:pub_1:v_{number}"))
        tick(minutes=1)
    ids = {"transactionalData": {"publicationId": "pub_1"}}
    assert told(messageId="a", **ids).delivery_id == made[1]
    assert told(messageId="b", **ids).delivery_id == made[0]


@pytest.mark.parametrize(
    "created", ["0001-01-01 00:00:00 +00:00", "9999-12-31 23:59:59 +00:00", "today"]
)
def test_a_time_that_cannot_be_is_taken_for_now(
    store: Store,
    told: Callable[..., Told],
    sent: Sent,
    tick: Callable[..., Any],
    created: str,
) -> None:
    sent(key="pub:pub_1:v_1")
    tick(minutes=1)
    last = sent(key="pub:pub_1:v_2")
    nobody = told(email="leo@shop.example", messageId="a", createdAt=created)
    assert nobody.became is Became.UNMATCHED
    assert [one.message_id for one in unmatched(store)] == ["a"]
    ids = {"transactionalData": {"publicationId": "pub_1"}}
    assert told(messageId="b", createdAt=created, **ids).delivery_id == last


def test_a_skip_that_names_an_address_finds_the_user_known_by_it(
    told: Callable[..., Told], sent: Sent
) -> None:
    first = sent()
    told(email="Ana@Shop.example", userId="user-1", messageId="m", **ours(first))
    second = sent()
    found = told("emailSendSkip", email="ana@shop.example", messageId="n")
    assert (found.delivery_id, found.match) == (second, Match.PERSON)


@pytest.mark.parametrize(
    ("address", "becomes"),
    [("Ana@Shop.example", Became.UNDELIVERED), ("leo@shop.example", Became.UNMATCHED)],
)
def test_a_skip_finds_whom_voucherify_knows_by_its_address(
    told: Callable[..., Told], sent: Sent, address: str, becomes: Became
) -> None:
    customer = {"source_id": "user-1", "id": "cust_1", "email": "ana@shop.example"}
    voucher = {"id": "v_1", "code": "C", "type": "DISCOUNT_VOUCHER"}
    publication = {"id": "pub_9", "vouchers_id": ["v_1"]}
    data = {"customer": customer, "publication": publication, "voucher": voucher}
    event = {"type": "customer.publication.succeeded"}
    source = {"id": "distr_1", "object": "distribution"}
    document = {"id": "whs_9", "data": data, "event": event, "source": source}
    body = json.dumps(document).encode()
    sent(key="pub:pub_9:v_1", capture=Capture(body=body))
    found = told("emailSendSkip", email=address, messageId="m")
    assert found.became is becomes


def test_no_address_is_kept(store: Store, told: Callable[..., Told]) -> None:
    told(email="ana@shop.example", userId="user-1", messageId="m")
    with store.read() as tx:
        row = tx.connection.exec_driver_sql("SELECT * FROM reports").one()
    assert not any("ana" in str(value) or "user-1" in str(value) for value in row)


def test_an_old_send_is_not_meant(
    told: Callable[..., Told], sent: Sent, tick: Callable[..., Any]
) -> None:
    sent()
    tick(hours=25)
    assert told(userId="user-1", messageId="m").became is Became.UNMATCHED


@pytest.mark.parametrize("fields", [{"messageId": "m"}, {}], ids=["id", "no id"])
def test_a_repeat_changes_nothing(
    store: Store, told: Callable[..., Told], sent: Sent, fields: dict[str, Any]
) -> None:
    delivery_id = sent()
    fields |= ours(delivery_id)
    assert told("emailSend", **fields).became is Became.CONFIRMED
    assert told("emailSend", **fields).became is Became.REPEATED
    assert len(story(store, delivery_id).reports) == 1


def test_what_came_too_early_is_decided_again_when_it_is_repeated(
    store: Store, told: Callable[..., Told], sent: Sent
) -> None:
    fields = {"userId": "user-1", "messageId": "m"}
    assert told("emailSendSkip", **fields).became is Became.UNMATCHED
    delivery_id = sent()
    assert told("emailSendSkip", **fields).became is Became.UNDELIVERED
    assert status(store, delivery_id) is S.UNDELIVERED
    assert unmatched(store) == []


def test_repeats_that_come_at_once_are_applied_once(
    confirm: Confirm, sent: Sent
) -> None:
    data = {"campaignId": 1, "messageId": "m", **ours(sent())}
    body = json.dumps({"eventName": "emailSend", "dataFields": data}).encode()
    with ThreadPoolExecutor(8) as threads:
        became = [
            one.result().became
            for one in [threads.submit(confirm.receive, body, 4) for _ in range(16)]
        ]
    assert sorted(became) == ["confirmed", *["repeated"] * 15]


@pytest.mark.parametrize(
    "report",
    [
        ("emailSend", {}, S.CONFIRMED),
        ("emailSendSkip", {"reason": "FrequencyCapping"}, S.UNDELIVERED),
    ],
    ids=["sent", "skipped"],
)
def test_a_report_that_overtakes_its_settle_is_not_downgraded(
    store: Store,
    told: Callable[..., Told],
    under_way: UnderWay,
    ends: Ends,
    report: tuple[str, dict[str, Any], DeliveryStatus],
) -> None:
    event, fields, becomes = report
    claim = under_way()
    told(event, messageId="m", **fields, **ours(claim.delivery_id))
    assert ends(claim, Cause.ANSWERED_OK) == []
    found = story(store, claim.delivery_id)
    assert found.delivery.status is becomes
    assert [one.number for one in found.attempts] == [1]
    assert (found.delivery.number, found.delivery.attempts) == (1, 1)
    assert found.delivery.due_at is None


@pytest.mark.parametrize(
    "cause", [Cause.OUTCOME_UNKNOWN, Cause.NOT_PROCESSED, Cause.UNUSABLE]
)
def test_our_id_confirms_what_waits_or_is_in_doubt(
    store: Store,
    told: Callable[..., Told],
    under_way: UnderWay,
    ends: Ends,
    cause: Cause,
) -> None:
    claim = under_way()
    ends(claim, cause)
    assert status(store, claim.delivery_id) in (S.IN_DOUBT, S.PENDING, S.HELD)
    told(messageId="m", **ours(claim.delivery_id))
    row = story(store, claim.delivery_id).delivery
    assert (row.status, row.due_at) == (S.CONFIRMED, None)


def test_what_is_under_way_is_not_moved_on_a_guess(
    store: Store, told: Callable[..., Told], under_way: UnderWay
) -> None:
    claim = under_way("pub:pub_1:v_1")
    found = told(messageId="m", transactionalData={"publicationId": "pub_1"})
    assert (found.delivery_id, found.became) == (claim.delivery_id, Became.NOTED)
    assert status(store, claim.delivery_id) is S.SENDING


def test_a_late_report_of_the_first_send_does_not_end_a_redelivery(
    store: Store, told: Callable[..., Told], sent: Sent, tick: Callable[..., Any]
) -> None:
    delivery_id = sent()
    tick(minutes=10)
    with store.write() as tx:
        store.ledger.redeliver(tx, [delivery_id], by=By.SHELL, force=True)
    early = "2020-02-29 12:00:01 +00:00"
    found = told(messageId="m", createdAt=early, **ours(delivery_id))
    assert found.became is Became.NOTED
    assert status(store, delivery_id) is S.PENDING


def gate(store: Store) -> GateState:
    with store.write() as tx:
        return store.gates.get(tx, gate_of("r")).state


def test_a_reason_to_mend_closes_the_gate_until_one_is_reported_sent(
    store: Store,
    told: Callable[..., Told],
    sent: Sent,
    tick: Callable[..., Any],
) -> None:
    first, late = sent(), sent()
    skipped = told("emailSendSkip", reason="EmptyContent", messageId="a", **ours(first))
    assert skipped.closed == "route:r"
    assert gate(store) is GateState.CLOSED
    # It was sent before the gate closed, so it proves nothing of the mending.
    assert told(messageId="b", **ours(late)).opened is None
    tick(minutes=6)
    probe = sent()
    assert told(messageId="c", **ours(probe)).opened == "route:r"
    assert gate(store) is GateState.OPEN


@pytest.mark.parametrize(
    "reason", ["DuplicateMarketingMessage", "DataFeedError", "InvalidRecipientEmail"]
)
def test_other_reasons_leave_the_gate_open(
    store: Store, told: Callable[..., Told], sent: Sent, reason: str
) -> None:
    delivery_id = sent()
    told("emailSendSkip", reason=reason, messageId="m", **ours(delivery_id))
    assert status(store, delivery_id) is S.UNDELIVERED
    assert gate(store) is GateState.OPEN


def test_a_person_s_pause_stays(
    store: Store, told: Callable[..., Told], sent: Sent
) -> None:
    delivery_id = sent()
    with store.write() as tx:
        store.gates.pause(tx, gate_of("r"), "by hand")
    told("emailSendSkip", reason="EmptyContent", messageId="m", **ours(delivery_id))
    assert gate(store) is GateState.PAUSED


def test_undelivered_waits_for_an_operator(
    store: Store, told: Callable[..., Told], sent: Sent, claim: Callable[..., Any]
) -> None:
    delivery_id = sent()
    told("emailSendSkip", reason="DataFeedError", messageId="m", **ours(delivery_id))
    assert claim() == claim(lane=Lane.RETRY) == []
    with store.write() as tx:
        assert store.ledger.redeliver(tx, [delivery_id], by=By.SHELL) == [delivery_id]
    assert len(claim()) == 1


def test_other_events_are_not_kept(store: Store, told: Callable[..., Told]) -> None:
    found = told("emailOpen", messageId="m")
    assert (found.became, found.event_name) == (Became.IGNORED, "emailOpen")
    assert unmatched(store) == []
