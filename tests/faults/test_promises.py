"""The promises that take no kill to check."""

import pytest

from tests.e2e.program import Program
from tests.faults import guarantees

pytestmark = pytest.mark.e2e


def test_a_commit_waits_for_the_disk(program: Program) -> None:
    guarantees.on_disk_when_answered(program)


def test_a_reward_told_three_times_is_one_message(program: Program) -> None:
    guarantees.one_message_per_reward(program)


def test_a_worker_that_lost_its_lease_undoes_nothing(program: Program) -> None:
    guarantees.late_words_of_a_lost_lease_count_for_nothing(program)


def test_what_is_in_doubt_is_checked_before_it_is_sent_again(program: Program) -> None:
    guarantees.checked_before_it_is_sent_again(program)
