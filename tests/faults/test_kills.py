"""kill -9 at each point of a webhook's life, and anywhere under load."""

import pytest

from tests.e2e.program import Program
from tests.e2e.test_kill import kill_under_load
from tests.faults import guarantees

pytestmark = pytest.mark.e2e


def test_killed_before_the_commit_nothing_was_promised(program: Program) -> None:
    guarantees.stored_before_answered(program)


def test_killed_before_the_answer_the_repeat_is_recognised(program: Program) -> None:
    guarantees.kept_when_the_answer_is_lost(program)


def test_killed_after_the_claim_the_message_still_goes_out(program: Program) -> None:
    guarantees.claimed_is_not_lost(program)


@pytest.mark.parametrize("policy", ["hold", "resend"])
def test_killed_before_the_mark_the_doubt_is_treated_as_the_route_says(
    program: Program, policy: str
) -> None:
    guarantees.sent_is_not_blindly_repeated(program, policy)


@pytest.mark.torture
def test_nothing_is_lost_in_a_hundred_kills_under_load(program: Program) -> None:
    kill_under_load(program, times=100)
