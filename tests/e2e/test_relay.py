"""From a signed POST to the message at Iterable, through the real program."""

import pytest

from tests.e2e.program import Program, envelope, wait_for

pytestmark = pytest.mark.e2e


def test_a_webhook_becomes_one_message_with_person_and_code(program: Program) -> None:
    program.start()
    answer = program.post(envelope(1))
    assert answer.status_code == 202
    assert answer.json()["status"] == "stored"
    wait_for(program.accepted)
    body = program.accepted()[0].body
    assert body["recipientUserId"] == "crm-1"
    assert body["dataFields"]["couponCode"] == "CODE-000001"
    assert body["dataFields"]["bridgeId"] == answer.json()["deliveries"][0]
    wait_for(lambda: program.statuses() == {"accepted": 1})
    assert program.stop() == 0
