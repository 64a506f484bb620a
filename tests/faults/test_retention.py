"""Retention while webhooks come in: what is old goes, what is new is not touched."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.program import Program, envelope, wait_for
from tests.faults.clock import Clock

pytestmark = pytest.mark.e2e

MONTHS = 100 * 86_400.0
OLD, NEW = range(60), range(100, 300)


@pytest.mark.torture
def test_sweeping_under_load_loses_no_message_and_refuses_no_webhook(
    program: Program, clock: Clock
) -> None:
    program.configure(retention={"blank_after": "1d", "remove_after": "30d"})
    program.start()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(program.post, map(envelope, OLD)))
        wait_for(lambda: program.statuses() == {"accepted": len(OLD)})
        program.stop()
        clock.set(MONTHS)
        program.start()
        answers = list(pool.map(program.post, map(envelope, NEW)))
    assert {answer.json()["status"] for answer in answers} == {"stored"}
    wait_for(lambda: program.statuses() == {"accepted": len(NEW)})
    kept = {row.recipient for row in program.deliveries()}
    assert kept == {f"crm-{number}" for number in NEW}
    told = [message.user for message in program.accepted()]
    assert sorted(map(str, told)) == sorted(f"crm-{n}" for n in (*OLD, *NEW))
