"""The host's clock set ahead and back: late at worst, nothing lost, nothing twice."""

import pytest

from tests.e2e.program import Program, envelope, wait_for
from tests.faults import points
from tests.faults.clock import Clock
from tests.faults.guarantees import slow_iterable

pytestmark = pytest.mark.e2e

HOUR = 3600.0


def test_a_clock_an_hour_ahead_takes_no_open_call_for_dead(
    program: Program, clock: Clock
) -> None:
    with slow_iterable(program) as slow:
        program.start()
        program.post(envelope(1))
        wait_for(lambda: slow.told)
        clock.set(HOUR)
        wait_for(lambda: program.statuses() == {"in_doubt": 1})
        slow.go.set()
        wait_for(lambda: program.statuses() == {"accepted": 1})
        assert len(slow.told) == 1


def test_a_clock_set_back_keeps_nobody_waiting_for_an_hour(
    program: Program, clock: Clock
) -> None:
    clock.set(HOUR)
    # A refusal an hour ahead: the next attempt is due in an hour that is over.
    program.sandbox.tell(status=503, times=1, headers={"retry-after": "2"})
    program.start()
    program.post(envelope(1))
    wait_for(lambda: program.sandbox.received)
    wait_for(lambda: program.statuses() == {"pending": 1})
    clock.set(0)
    program.post(envelope(2))
    wait_for(lambda: program.statuses() == {"accepted": 2})
    assert sorted(points.names(program)) == ["crm-1", "crm-2"]


def test_a_clock_set_back_while_the_program_is_down_delays_no_fresh_message(
    program: Program, clock: Clock
) -> None:
    clock.set(HOUR)
    program.start("--no-deliver")
    program.post(envelope(1))
    program.stop()
    clock.set(0)
    program.start()
    wait_for(lambda: program.statuses() == {"accepted": 1})
    assert points.names(program) == ["crm-1"]
