"""What is not sent although it could be, and who is told of webhooks refused."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.program import Program, envelope, wait_for

pytestmark = pytest.mark.e2e


def expiring(number: int, hours: float) -> bytes:
    """Make a webhook whose voucher expires so many hours from now."""
    document = json.loads(envelope(number))
    moment = datetime.now(UTC) + timedelta(hours=hours)
    document["data"]["voucher"]["expiration_date"] = moment.isoformat()
    return json.dumps(document).encode()


def for_one(number: int) -> bytes:
    """Make a webhook with another reward for always the same person."""
    document = json.loads(envelope(number))
    document["data"]["customer"]["source_id"] = "crm-same"
    return json.dumps(document).encode()


def reasons(program: Program) -> dict[str, tuple[str, str | None]]:
    return {row.recipient: (row.status, row.reason) for row in program.deliveries()}


@pytest.fixture
def settled(program: Program) -> Callable[[], bool]:
    return lambda: not set(program.statuses()) & {"pending", "sending"}


def test_a_voucher_that_is_worth_nothing_is_not_told_of(
    program: Program, settled: Callable[[], bool]
) -> None:
    program.route(not_within="12h")
    program.start()
    for number, hours in enumerate((-1, 11, 13)):
        assert program.post(expiring(number, hours)).status_code == 202
    wait_for(settled)
    found = reasons(program)
    assert found["crm-0"] == ("dead", "not sent: its voucher has expired")
    assert found["crm-1"] == ("dead", "not sent: its voucher expires in 11.0 hours")
    assert found["crm-2"][0] == "accepted"
    assert [one.user for one in program.accepted()] == ["crm-2"]


def test_a_person_gets_no_more_than_the_routes_share_until_somebody_says_so(
    program: Program, settled: Callable[[], bool]
) -> None:
    program.route(per_customer={"count": 2, "within": "24h"})
    program.start()
    for number in range(4):
        assert program.post(for_one(number)).status_code == 202
    assert program.post(envelope(9)).status_code == 202
    wait_for(settled)
    assert program.statuses() == {"accepted": 3, "held": 2}
    held = [row for row in program.deliveries() if row.status == "held"]
    reason = "more than 2 to this person within 24 hours"
    assert {row.reason for row in held} == {reason}
    program.run("redeliver", held[0].id, "--yes")
    wait_for(lambda: program.statuses() == {"accepted": 4, "held": 1})


def test_a_user_nobody_knows_yet_is_tried_once_more_after_a_minute(
    program: Program,
) -> None:
    program.configure(retry={"unknown_user_grace": "60s"})
    body = {"msg": "x", "code": "UnknownUserIdError", "params": None}
    program.sandbox.tell(status=400, body=body, times=None)
    program.start()
    program.post(envelope(1))
    wait_for(lambda: [row.number for row in program.deliveries()] == [1])
    [row] = program.deliveries()
    assert row.due_at is not None
    assert row.due_at - row.updated_at >= timedelta(seconds=60)
    with program.store.write() as tx:
        tx.connection.exec_driver_sql(
            "UPDATE deliveries SET due_at = due_at - 61000000,"
            " aging_since = aging_since - 61000000"
        )
    wait_for(lambda: program.statuses() == {"dead": 1})
    assert len(program.sandbox.received) == 2


def test_refusals_in_a_row_are_told_of_long_before_voucherify_gives_up(
    program: Program,
) -> None:
    wrong = {"x-voucherify-signature": "no"}
    program.start()
    assert program.post(envelope(1)).status_code == 202
    for _ in range(2):
        assert program.post(b"{}", **wrong).status_code == 401
    assert "upstream.alarm" not in program.log
    assert program.post(b"{}", **wrong).status_code == 401
    wait_for(lambda: "upstream.alarm" in program.log)
    [alarm] = [line for line in program.log.splitlines() if "upstream.alarm" in line]
    assert json.loads(alarm)["failures"] == 3
    assert "VOUCHERIFY_WEBHOOK_SECRET" in json.loads(alarm)["reason"]


def test_the_first_webhook_that_is_too_large_is_told_of(program: Program) -> None:
    program.configure(receive={"max_body_bytes": 1024})
    program.start()
    assert program.post(b"x" * 2000).status_code == 413
    wait_for(lambda: "upstream.alarm" in program.log)
    assert "receive.max_body_bytes" in program.log
