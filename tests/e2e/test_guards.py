"""What is not sent although it could be, and who is told of webhooks refused."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.program import Program, envelope, wait_for

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def started(shared_program: Program) -> Program:
    """A program with every guard up."""
    shared_program.configure(
        retry={"unknown_user_grace": "60s"}, receive={"max_body_bytes": 1024}
    )
    shared_program.route(not_within="12h", per_customer={"count": 2, "within": "24h"})
    shared_program.start()
    return shared_program


@pytest.fixture
def guarded(started: Program) -> Iterator[Program]:
    yield started
    started.sandbox.forget()


def reward(number: int, user: str, *, expires_in: float | None = None) -> bytes:
    """Make a webhook with a reward for somebody, valid for so many hours."""
    document = json.loads(envelope(number))
    document["data"]["customer"]["source_id"] = user
    if expires_in is not None:
        moment = datetime.now(UTC) + timedelta(hours=expires_in)
        document["data"]["voucher"]["expiration_date"] = moment.isoformat()
    return json.dumps(document).encode()


def send(program: Program, *bodies: bytes) -> None:
    for body in bodies:
        assert program.post(body).status_code == 202


def settled(program: Program, *users: str) -> dict[str, Any]:
    """Wait until nothing moves that is for these people; give the last of each."""
    wait_for(lambda: not set(states(program, *users)) & {"pending", "sending"})
    return {row.recipient: row for row in program.deliveries()}


def states(program: Program, *users: str) -> Counter[str]:
    rows = [row for row in program.deliveries() if row.recipient in users]
    return Counter(str(row.status) for row in rows)


def lines(program: Program, event: str) -> list[Any]:
    """Find what the log says of one event."""
    every = [json.loads(line) for line in program.log.splitlines()]
    return [line for line in every if line["event"] == event]


def alarms(program: Program, status: int) -> list[Any]:
    return [one for one in lines(program, "upstream.alarm") if one["status"] == status]


def test_a_voucher_that_is_worth_nothing_is_not_told_of(guarded: Program) -> None:
    users = ("late", "soon", "good")
    hours = (-1, 11, 13)
    send(
        guarded,
        *(
            reward(number, users[number], expires_in=hours[number])
            for number in range(3)
        ),
    )
    found = settled(guarded, *users)
    reasons = [(found[user].status, found[user].reason) for user in users[:2]]
    assert reasons == [
        ("dead", "not sent: its voucher has expired"),
        ("dead", "not sent: its voucher expires in 11.0 hours"),
    ]
    assert [one.user for one in guarded.accepted()] == ["good"]


def test_a_person_gets_no_more_than_the_routes_share_until_somebody_says_so(
    guarded: Program,
) -> None:
    send(guarded, *(reward(number, "greedy") for number in range(10, 14)))
    send(guarded, reward(14, "modest"))
    settled(guarded, "greedy", "modest")
    assert states(guarded, "greedy") == {"accepted": 2, "held": 2}
    assert states(guarded, "modest") == {"accepted": 1}
    held = [row for row in guarded.deliveries() if row.status == "held"]
    reason = "more than 2 to this person within 24 hours"
    assert {row.reason for row in held} == {reason}
    said = [line["delivery_id"] for line in lines(guarded, "delivery.held")]
    assert sorted(said) == sorted(row.id for row in held)
    guarded.run("redeliver", held[0].id, "--yes")
    wait_for(lambda: states(guarded, "greedy") == {"accepted": 3, "held": 1})


def test_a_user_nobody_knows_yet_is_tried_once_more_after_a_minute(
    guarded: Program,
) -> None:
    body = {"msg": "x", "code": "UnknownUserIdError", "params": None}
    guarded.sandbox.tell(status=400, body=body, times=None)
    send(guarded, reward(20, "stranger"))
    wait_for(lambda: guarded.deliveries(search="stranger")[0].number == 1)
    [row] = guarded.deliveries(search="stranger")
    assert row.due_at is not None
    assert row.due_at - row.updated_at >= timedelta(seconds=60)
    with guarded.store.write() as tx:
        tx.connection.exec_driver_sql(
            "UPDATE deliveries SET due_at = due_at - 61000000,"
            " aging_since = aging_since - 61000000 WHERE recipient = 'stranger'"
        )
    wait_for(lambda: states(guarded, "stranger") == {"dead": 1})
    assert len(guarded.sandbox.received) == 2


def test_refusals_in_a_row_are_told_of_long_before_voucherify_gives_up(
    guarded: Program,
) -> None:
    wrong = {"x-voucherify-signature": "no"}
    send(guarded, envelope(30))  # a row begins anew
    for _ in range(2):
        assert guarded.post(b"{}", **wrong).status_code == 401
    assert alarms(guarded, 401) == []
    assert guarded.post(b"{}", **wrong).status_code == 401
    [alarm] = wait_for(lambda: alarms(guarded, 401))
    assert alarm["failures"] == 3
    assert "VOUCHERIFY_WEBHOOK_SECRET" in alarm["reason"]


def test_the_first_webhook_that_is_too_large_is_told_of(guarded: Program) -> None:
    send(guarded, envelope(40))  # a row begins anew
    for path in ("/nope", "/console/enter", "/webhooks/iterable", "/metrics"):
        assert guarded.post(b"x" * 2000, path).status_code == 413
    assert guarded.post(b"x" * 2000).status_code == 413
    [alarm] = wait_for(lambda: alarms(guarded, 413))
    assert alarm["failures"] == 1
    assert "receive.max_body_bytes" in alarm["reason"]
