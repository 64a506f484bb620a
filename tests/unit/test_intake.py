import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bridge.config import Condition, Route
from bridge.intake import Intake, Pending
from bridge.model import Arrival, Capture, EventStatus, Stored

SAMPLES = Path(__file__).parents[2] / "samples" / "voucherify"
ROUTE = Route(
    name="rewards",
    formerly=("old",),
    when=Condition(),
    recipient=("source_id",),
    per="voucher",
    endpoint="email/target",
    campaign_id=1,
    template="t.j2",
    in_doubt="hold",
)


def new_ids() -> Iterator[str]:
    return (f"id-{number}" for number in count(1))


def refuse(arrival: Arrival, *, timeout: float, again: str | None) -> Pending:
    raise AssertionError((arrival, timeout, again))


def intake(*routes: Route) -> Intake:
    ids = new_ids()
    return Intake(routes or (ROUTE,), refuse, lambda: next(ids))


def sample(number: str, **data: Any) -> Capture:
    """Read a sample webhook, some keys of its data replaced."""
    body = next(SAMPLES.glob(f"{number}_*.json")).read_bytes()
    if data:
        document = json.loads(body)
        document["data"] |= data
        body = json.dumps(document).encode()
    return Capture(body=body)


def test_a_reward_becomes_a_delivery_that_names_person_code_and_keys() -> None:
    arrival = intake().decide(sample("14"))
    assert arrival.status is EventStatus.STORED
    delivery = arrival.deliveries[0]
    assert (delivery.recipient, delivery.codes) == ("crm-10482", ("THX-9vB30k",))
    assert (delivery.route_names, delivery.campaign) == (
        ("rewards", "old"),
        "Reward coupons",
    )
    assert [key for key, _ in delivery.keys] == [
        "rewarded:r_1e4d0edc76637e9438:rewa_qp7yUVOXeYEGRiAxYPb6KhgU:"
        "rft_1e6e866ee38dbd3c51",
        "code:v_6j7oWugf58m3XGeUq3EQW1jbEBuQweio:cust_FY08nyJ1kUiMa7YkbrfM5fZt",
    ]


def test_every_voucher_of_a_publication_becomes_a_delivery() -> None:
    arrival = intake().decide(sample("13"))
    codes = [delivery.codes for delivery in arrival.deliveries]
    assert codes == [("AUT-2mFp8",), ("AUT-w7Hq1",)]


def test_per_publication_makes_one_delivery_with_every_key() -> None:
    arrival = intake(replace(ROUTE, per="publication")).decide(sample("13"))
    (delivery,) = arrival.deliveries
    assert delivery.codes == ("AUT-2mFp8", "AUT-w7Hq1")
    assert delivery.key == "pub:pub_TaXITCusD30Phtb2t1HViOBH4G3LCKou:*"
    assert sum(key.startswith("pub:") for key, _ in delivery.keys) == 3


def test_a_part_of_a_publication_is_parked_until_the_whole_comes() -> None:
    whole = json.loads(sample("13").body)
    first = whole["data"].pop("vouchers")[0]
    whole["data"]["voucher"] = first
    whole["event"]["type"] = whole["type"] = "voucher.published"
    capture = Capture(body=json.dumps(whole).encode())
    arrival = intake(replace(ROUTE, per="publication")).decide(capture)
    assert arrival.status is EventStatus.PARKED
    assert arrival.reason == ("2 vouchers, 1 shown; subscribe to publication.succeeded")
    assert arrival.waits_for == "pub:pub_TaXITCusD30Phtb2t1HViOBH4G3LCKou:*"
    single = f"pub:pub_TaXITCusD30Phtb2t1HViOBH4G3LCKou:{first['id']}"
    assert arrival.covered_by == (("rewards", single), ("old", single))


def test_nobody_to_write_to_parks_the_event_with_the_reason() -> None:
    nobody = {"customer": {"id": "cust_1", "email": "a@x.example"}}
    capture = sample("01", **nobody, publication=None)
    arrival = intake().decide(capture)
    assert (arrival.status, arrival.deliveries) == (EventStatus.PARKED, ())
    assert arrival.reason is not None
    assert "source id" in arrival.reason
    assert "a@x.example" not in arrival.reason


def test_what_no_route_wants_is_ignored_by_name() -> None:
    route = replace(ROUTE, when=Condition(events=("nothing.*",)))
    arrival = intake(route).decide(sample("01"))
    assert arrival.status is EventStatus.IGNORED
    assert arrival.reason == "no route wants voucher.published"


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b'{"a":', b"null", b"7"])
def test_an_unreadable_body_is_parked(body: bytes) -> None:
    arrival = intake().decide(Capture(body=body))
    assert arrival.status is EventStatus.PARKED
    assert arrival.reason


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-09-30T21:59:59.000Z", datetime(2026, 9, 30, 21, 59, 59, tzinfo=UTC)),
        (
            "2026-09-30T21: 59: 59.000000Z",
            datetime(2026, 9, 30, 21, 59, 59, tzinfo=UTC),
        ),
        ("2026-09-30", datetime(2026, 9, 30, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", None),
        ("soon", None),
        (7, None),
        (None, None),
    ],
)
def test_the_vouchers_expiry_is_read_where_it_can_be(
    text: Any, expected: datetime | None
) -> None:
    voucher = json.loads(sample("01").body)["data"]["voucher"]
    arrival = intake().decide(sample("01", voucher=voucher | {"expiration_date": text}))
    assert arrival.deliveries[0].voucher_expires_at == expected


@dataclass(frozen=True)
class Known:
    """What a store makes of an arrival, without one."""

    stored: Stored

    def wait(self) -> Stored:
        return self.stored


def test_what_is_decided_is_stored_within_the_time_given() -> None:
    calls = []

    def enlist(arrival: Arrival, *, timeout: float, again: str | None) -> Pending:
        calls.append((timeout, again))
        stored = Stored(
            event_id=arrival.id, status=arrival.status, reason=None, deliveries=()
        )
        return Known(stored)

    pending = Intake((ROUTE,), enlist, lambda: "id").begin(
        sample("01"), timeout=2.5, again="event-1"
    )
    assert pending.wait().status is EventStatus.STORED
    assert calls == [(2.5, "event-1")]
