"""What webhooks become, decided without a store."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from bridge import logging as logs
from bridge.config import Config, Match, Route, SourceConfig
from bridge.intake import MAX_MESSAGES, Intake
from bridge.integrations.voucherify.source import VoucherifySource
from bridge.model import Capture, EventStatus, IngestResult, NewEvent, Recipient

SAMPLES = Path(__file__).parents[1] / "samples" / "voucherify"
ROUTE = Route(
    name="rewards",
    previous_names=("old",),
    source="voucherify",
    match=Match(),
    recipient=("source_id",),
    destination="iterable",
    endpoint="email/target",
    campaign_id=1,
    template="t.j2",
)


class Stored:
    """Answers as the store would, without one."""

    def __init__(self, result: IngestResult | None = None) -> None:
        self.asked: list[tuple[NewEvent, str | None, float]] = []
        self._result = result

    def __call__(self, item: tuple[NewEvent, str | None], timeout: float) -> "Stored":
        self.asked.append((*item, timeout))
        return self

    def wait(self) -> IngestResult:
        assert self._result is not None
        return self._result


class _Config:
    """The one part of a configuration that intake reads."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        self.routes = routes


class _Anybody:
    """A destination that accepts every recipient."""

    def check_recipient(self, recipient: Recipient) -> None:
        """Accept it."""


def intake(*routes: Route, submit: Stored | None = None) -> Intake:
    config: Any = _Config(routes or (ROUTE,))
    assert "routes" in Config.__dataclass_fields__
    source = VoucherifySource(SourceConfig(name="voucherify", kind="voucherify"))
    destinations: Any = {"iterable": _Anybody()}
    return Intake(config, {"voucherify": source}, destinations, submit or Stored())


def sample(number: str, **data: Any) -> Capture:
    """Read a sample webhook, some keys of its data replaced."""
    body = next(SAMPLES.glob(f"{number}_*.json")).read_bytes()
    if data:
        document = json.loads(body)
        document["data"] |= data
        body = json.dumps(document).encode()
    return Capture(body=body)


def test_a_reward_becomes_a_delivery_with_person_code_and_keys() -> None:
    event = intake().decide(sample("14"))
    assert event.status is EventStatus.STORED
    [delivery] = event.deliveries
    assert (delivery.recipient, delivery.codes) == ("crm-10482", ("THX-9vB30k",))
    assert delivery.route_names == ("rewards", "old")
    assert (delivery.destination, delivery.endpoint) == ("iterable", "email/target")
    assert delivery.campaign == "Reward coupons"
    first, second = (key for key, _ in delivery.keys)
    assert first == delivery.key
    assert second.startswith("code:")


def test_a_grouped_publication_is_one_delivery_with_every_key() -> None:
    event = intake(replace(ROUTE, group_by="publication")).decide(sample("13"))
    [delivery] = event.deliveries
    assert delivery.codes == ("AUT-2mFp8", "AUT-w7Hq1")
    assert sum(key.startswith("pub:") for key, _ in delivery.keys) == 3


def test_a_part_of_a_publication_is_parked_until_the_whole_arrives() -> None:
    whole = json.loads(sample("13").body)
    first = whole["data"].pop("vouchers")[0]
    whole["data"]["voucher"] = first
    whole["event"]["type"] = whole["type"] = "voucher.published"
    capture = Capture(body=json.dumps(whole).encode())
    event = intake(replace(ROUTE, group_by="publication")).decide(capture)
    assert event.status is EventStatus.PARKED
    assert event.reason == "2 vouchers, 1 shown; subscribe to publication.succeeded"
    assert event.waits_for == "pub:pub_TaXITCusD30Phtb2t1HViOBH4G3LCKou:*"
    single = f"pub:pub_TaXITCusD30Phtb2t1HViOBH4G3LCKou:{first['id']}"
    assert event.already_covered_by == (("rewards", single), ("old", single))


def test_an_event_without_a_recipient_is_parked_with_the_reason() -> None:
    nobody = {"customer": {"id": "cust_1", "email": "a@x.example"}}
    event = intake().decide(sample("01", **nobody, publication=None))
    assert (event.status, event.deliveries) == (EventStatus.PARKED, ())
    assert event.reason is not None
    assert "a@x.example" not in event.reason


def test_what_a_source_fails_to_read_is_parked_and_logged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_: object, capture: Capture) -> None:
        raise ZeroDivisionError(capture.body)

    monkeypatch.setattr(VoucherifySource, "parse", fail)
    with capture_logs() as entries:
        event = intake().decide(sample("01"))
    assert event.status is EventStatus.PARKED
    assert event.reason is not None
    assert "voucherify failed to read it (ZeroDivisionError)" in event.reason
    assert event.transport_key == intake().decide(sample("01")).transport_key
    assert event.transport_key != intake().decide(sample("14")).transport_key
    assert [entry["event"] for entry in entries] == ["event.unreadable"]


def test_an_event_with_too_many_messages_is_parked() -> None:
    document = json.loads(sample("13").body)
    voucher = document["data"]["vouchers"][0]
    document["data"]["vouchers"] = [
        voucher | {"id": f"v_{number}", "code": f"C-{number}"}
        for number in range(MAX_MESSAGES + 1)
    ]
    event = intake().decide(Capture(body=json.dumps(document).encode()))
    assert event.status is EventStatus.PARKED
    assert event.reason == "501 messages in one webhook; at most 500"


def test_what_is_held_at_once_is_logged_after_the_commit() -> None:
    result = IngestResult(
        event_id="e1",
        status=EventStatus.STORED,
        reason=None,
        deliveries=("d1", "d2"),
        held=("d2",),
    )
    stored = Stored(result)
    logs.configure("INFO", "text")
    with capture_logs() as lines:
        found = intake(submit=stored).receive(
            sample("01"), timeout=2.5, reprocess_event_id="e0", request_id="r1"
        )
    assert found is result
    [(event, again, timeout)] = stored.asked
    assert (event.status, again, timeout) == (EventStatus.STORED, "e0", 2.5)
    received, held = lines
    assert (received["event"], received["request_id"]) == ("event.received", "r1")
    assert (held["event"], held["delivery_id"]) == ("delivery.held", "d2")
