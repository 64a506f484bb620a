"""What Iterable reports of its messages, with the real program and real sockets."""

import json
from typing import Any

import pytest
import requests

from bridge.model import GateState
from tests.e2e.program import Program, envelope, wait_for

pytestmark = pytest.mark.e2e

WORD = "iterable-webhook-secret-1"
DOOR = "/webhooks/iterable"


@pytest.fixture
def reported(program: Program) -> Program:
    """An installation to which the sandbox reports what becomes of messages."""
    program.env["ITERABLE_WEBHOOK_SECRET"] = f"a-new-one,{WORD}"
    program.sandbox.report_to(program.url + DOOR, WORD)
    return program


def addressed(number: int) -> bytes:
    """Make a webhook that tells the address, by which Iterable names the person."""
    document = json.loads(envelope(number))
    document["data"]["customer"]["email"] = f"crm-{number}@resolved.example"
    return json.dumps(document).encode()


def logged(program: Program, event: str) -> list[dict[str, Any]]:
    lines = (json.loads(line) for line in program.log.splitlines())
    return [line for line in lines if line["event"] == event]


def gate(program: Program) -> GateState:
    with program.store.write() as tx:
        return program.store.gates.get(tx, "route:all").state


def test_a_story_reads_from_webhook_to_inbox(reported: Program) -> None:
    reported.sandbox.tell(becomes="bounced", user="crm-2")
    reported.start()
    reported.post(envelope(1))
    (delivery_id,) = reported.post(envelope(2)).json()["deliveries"]
    wait_for(lambda: reported.statuses() == {"confirmed": 1, "undelivered": 1})
    told = reported.run("deliveries", delivery_id)
    order = ("Event", "Delivery", "Attempt 1", "Report emailSend", "Report emailBounce")
    places = [told.index(word) for word in order]
    assert places == sorted(places)
    assert "HardBounce" in told
    assert "resolved.example" not in reported.log


def test_a_report_that_overtakes_its_settle_is_not_taken_back(
    reported: Program,
) -> None:
    reported.sandbox.tell(delay_after=2, times=None)
    reported.start()
    for number in range(5):
        reported.post(envelope(number))
    wait_for(lambda: len(logged(reported, "delivery.confirmed")) == 5)
    assert {row.attempts for row in reported.deliveries()} == {1}
    # The answers are still to come; the end of the program waits for them.
    assert reported.stop() == 0
    assert reported.statuses() == {"confirmed": 5}
    stories = [reported.store.ledger.story(row.id) for row in reported.deliveries()]
    assert [len(one.attempts) for one in stories if one] == [1] * 5
    assert len(reported.accepted()) == 5


def test_a_report_ends_a_doubt(reported: Program) -> None:
    reported.route(in_doubt="hold")
    reported.sandbox.tell(reset="after", user="crm-1")
    reported.start()
    reported.post(envelope(1))
    wait_for(lambda: reported.statuses() == {"confirmed": 1})
    assert len(reported.accepted()) == 1


def test_a_skip_to_mend_stops_the_route_until_one_is_sent(reported: Program) -> None:
    reported.sandbox.tell(becomes="CampaignDeactivated", times=1)
    reported.start()
    reported.post(addressed(1))
    wait_for(lambda: gate(reported) is GateState.CLOSED)
    reported.post(addressed(2))
    (line,) = logged(reported, "gate.closed")
    assert (line["level"], line["gate"]) == ("error", "route:all")
    assert "activate the campaign" in line["reason"]
    assert reported.statuses() == {"undelivered": 1, "pending": 1}
    reported.stop()
    reported.start()
    wait_for(lambda: gate(reported) is GateState.OPEN)
    # Said once it is written down, so perhaps a moment after it is so.
    wait_for(lambda: logged(reported, "gate.opened"))
    (line,) = logged(reported, "gate.opened")
    assert line["by"] == "report"
    assert reported.statuses() == {"undelivered": 1, "confirmed": 1}


def test_a_stranger_is_refused_and_what_fits_nothing_is_kept(
    reported: Program,
) -> None:
    reported.start()
    body = b'{"eventName": "emailSend", "dataFields": {"messageId": "m"}}'
    assert requests.post(reported.url + DOOR, data=body, timeout=60).status_code == 401
    answer = reported.post(body, DOOR, **{"X-Bridge-Secret": WORD})
    assert answer.status_code == 202
    (line,) = reported.run("events", "--unmatched", "--json").splitlines()
    assert json.loads(line)["message_id"] == "m"
    assert WORD not in reported.log
