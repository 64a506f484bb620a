"""Configuration errors stop what they concern, tell it once, and lose nothing."""

import json
from typing import Any

import pytest

from bridge.model import GateState
from tests.e2e.program import Program, envelope, wait_for

pytestmark = pytest.mark.e2e


def two_routes(program: Program) -> None:
    program.configure(
        routes=[
            {
                "name": name,
                "when": {"events": [f"test.{name}"]},
                "campaign_id": campaign,
                "template": "triggered_email.json.j2",
            }
            for name, campaign in (("good", 1), ("bad", 2))
        ]
    )


def gate(program: Program, name: str) -> GateState:
    with program.store.read() as tx:
        found = program.store.gates.read(tx).get(name)
    return GateState.OPEN if found is None else found.state


def logged(program: Program, event: str) -> list[dict[str, Any]]:
    lines = (json.loads(line) for line in program.log.splitlines())
    return [line for line in lines if line["event"] == event]


def test_a_bad_campaign_stops_its_route_and_no_other(program: Program) -> None:
    two_routes(program)
    program.sandbox.tell(fixture="s04", campaign=2, times=None)
    program.start()
    for number in range(10):
        program.post(envelope(number, event=("test.bad", "test.good")[number % 2]))
    wait_for(lambda: program.statuses() == {"accepted": 5, "pending": 5})
    wait_for(lambda: gate(program, "route:bad") is GateState.CLOSED)
    assert {row.attempts for row in program.deliveries(route="bad")} == {0}
    (line,) = logged(program, "gate.closed")
    assert (line["level"], line["gate"]) == ("error", "route:bad")
    assert "campaign" in line["reason"]
    program.sandbox.forget()
    program.run("resume", "bad")
    wait_for(lambda: program.statuses() == {"accepted": 10})


def test_a_mended_key_opens_the_gate_by_itself_at_the_next_start(
    program: Program,
) -> None:
    program.env["ITERABLE_API_KEY"] = "itbl-a-wrong-key"
    program.start()
    for number in range(3):
        program.post(envelope(number))
    wait_for(lambda: gate(program, "destination") is GateState.CLOSED)
    wait_for(lambda: program.statuses() == {"pending": 3})
    program.stop()
    program.env["ITERABLE_API_KEY"] = "itbl-example-key-0123456789abcdef"
    program.start()
    wait_for(lambda: program.statuses() == {"accepted": 3})
    assert gate(program, "destination") is GateState.OPEN
    assert len(logged(program, "gate.opened")) == 1
    assert "itbl-a-wrong-key" not in program.log


def test_only_one_real_delivery_probes_a_gate(program: Program) -> None:
    program.sandbox.tell(fixture="s04", path="/api/email/target", times=None)
    program.start()
    for number in range(20):
        program.post(envelope(number))
    wait_for(lambda: gate(program, "route:all") is GateState.CLOSED)
    wait_for(lambda: not program.statuses()["sending"])
    program.stop()
    before = len(program.sandbox.received)
    program.start()
    wait_for(lambda: len(program.sandbox.received) > before)
    wait_for(lambda: gate(program, "route:all") is GateState.CLOSED)
    wait_for(lambda: not program.statuses()["sending"])
    assert len(program.sandbox.received) == before + 1
    assert program.statuses() == {"pending": 20}


def test_while_iterable_is_away_one_message_at_a_time_is_tried(
    program: Program,
) -> None:
    program.sandbox.stop()
    program.start()
    for number in range(60):
        program.post(envelope(number))
    wait_for(lambda: logged(program, "gate.narrowed"))
    # As many as were under way at the fifth, and then one after a second, two, four.
    assert len([row for row in program.deliveries() if row.attempts]) <= 30
    program.sandbox.start()
    wait_for(lambda: program.statuses() == {"accepted": 60})
    assert len(program.accepted()) == 60
    wait_for(lambda: logged(program, "gate.widened"))


def test_a_paused_route_waits_until_a_person_resumes_it(program: Program) -> None:
    two_routes(program)
    program.start()
    program.run("pause", "bad", "--reason", "wording under review")
    program.post(envelope(1, event="test.bad"))
    program.post(envelope(2, event="test.good"))
    wait_for(lambda: program.statuses() == {"accepted": 1, "pending": 1})
    program.run("resume", "bad")
    wait_for(lambda: program.statuses() == {"accepted": 2})


def test_a_campaign_named_by_the_body_holds_that_message_only(program: Program) -> None:
    raw = {"name": "raw", "when": {"raw": True}, "template": "passthrough.json.j2"}
    program.configure(routes=[raw])
    program.sandbox.tell(fixture="s04", campaign=42, times=None)
    program.start()
    for campaign in (42, 43):
        body = {"campaignId": campaign, "recipientUserId": "crm-1"}
        program.post(json.dumps(body | {"dataFields": {"couponCode": "C"}}).encode())
    wait_for(lambda: program.statuses() == {"accepted": 1, "held": 1})
    assert gate(program, "route:raw") is GateState.OPEN


def test_a_429_stops_everybody_for_as_long_as_it_says(program: Program) -> None:
    program.sandbox.tell(status=429, headers={"retry-after": "2"}, times=1)
    program.start("--threads", "1")
    program.post(envelope(1))
    # What was claimed before the answer is written down may still go out.
    wait_for(lambda: [one.attempts for one in program.deliveries()] == [1])
    program.post(envelope(2))
    wait_for(lambda: program.statuses() == {"accepted": 2})
    first, *later = program.sandbox.received
    assert all(call.at - first.at >= 2 for call in later)
