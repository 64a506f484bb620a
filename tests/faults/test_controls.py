"""Negative controls: with one thing spoilt, the check of its promise must fail.

A check that passes here would prove nothing about the program either. Those that wait
long for what must not come are torture.
"""

import pytest

from tests.e2e import program as installations
from tests.e2e.program import Program
from tests.faults import guarantees, test_unknown_outcomes
from tests.faults.spoiling import spoil

pytestmark = pytest.mark.e2e


@pytest.mark.torture
def test_control_answering_before_the_commit_is_noticed(program: Program) -> None:
    spoil(
        program,
        (
            "web/receiver.py",
            "        stored = pending.wait()\n",
            "        from threading import Thread\n"
            "        from bridge.model import EventStatus, Stored\n"
            "        Thread(target=pending.wait, daemon=True).start()\n"
            "        stored = Stored(event_id='', status=EventStatus.STORED,"
            " reason=None, deliveries=())\n",
        ),
    )
    with pytest.raises(AssertionError, match="answered before it was stored"):
        guarantees.stored_before_answered(program)


def test_control_not_waiting_for_the_disk_is_noticed(program: Program) -> None:
    spoil(program, ("store/sqlite.py", "synchronous = FULL", "synchronous = OFF"))
    with pytest.raises(AssertionError, match="does not wait for the disk"):
        guarantees.on_disk_when_answered(program)


@pytest.mark.torture
def test_control_forgetting_leases_is_noticed(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(
        program,
        ("store/doubts.py", "    if not rows:\n", "    if True:\n"),
    )
    monkeypatch.setattr(installations, "PATIENCE", 8)
    with pytest.raises(AssertionError, match="did not come true"):
        guarantees.claimed_is_not_lost(program)
    assert program.statuses() == {"accepted": 1, "sending": 1}


@pytest.mark.torture
def test_control_repeating_blindly_is_noticed(program: Program) -> None:
    spoil(
        program,
        (
            "store/doubts.py",
            "        status=_IN_DOUBT,\n",
            "        status='pending',\n",
        ),
    )
    with pytest.raises(AssertionError, match="sent again though it was in doubt"):
        guarantees.sent_is_not_blindly_repeated(program)


def test_control_keys_that_are_not_unique_are_noticed(program: Program) -> None:
    three = "keys.c.route, keys.c.key, keys.c.delivery_id"
    spoil(
        program,
        (
            "store/migrations/versions/0001_first_tables.py",
            'sa.PrimaryKeyConstraint("route", "key")',
            'sa.PrimaryKeyConstraint("route", "key", "delivery_id")',
        ),
        (
            "store/keyring.py",
            "index_elements=[keys.c.route, keys.c.key]",
            f"index_elements=[{three}]",
        ),
    )
    with pytest.raises(AssertionError, match="one reward became two deliveries"):
        guarantees.one_message_per_reward(program)


@pytest.mark.torture
def test_control_settling_without_the_token_is_noticed(program: Program) -> None:
    spoil(
        program,
        (
            "store/settling.py",
            '        deliveries.c.token == bindparam("held_by"),\n',
            "",
        ),
    )
    with pytest.raises(AssertionError, match="a lost lease still counted"):
        guarantees.late_words_of_a_lost_lease_count_for_nothing(program)


@pytest.mark.torture
def test_control_not_believing_what_iterable_shows_is_noticed(
    program: Program,
) -> None:
    spoil(program, ("verification/verifier.py", "conclude(sent.count,", "conclude(0,"))
    with pytest.raises(AssertionError, match="told twice though Iterable showed it"):
        guarantees.checked_before_it_is_sent_again(program)


@pytest.mark.torture
def test_control_taking_every_doubt_for_sent_is_noticed(program: Program) -> None:
    spoil(program, ("verification/verifier.py", "conclude(sent.count,", "conclude(9,"))
    with pytest.raises(AssertionError, match="taken for sent though Iterable"):
        guarantees.checked_before_it_is_sent_again(program)


@pytest.mark.torture
def test_control_an_outage_that_narrows_nothing_is_noticed(program: Program) -> None:
    spoil(program, ("retry.py", "NARROW_AFTER = 5\n", "NARROW_AFTER = 10**9\n"))
    test_unknown_outcomes.hurry(program)
    with pytest.raises(AssertionError, match="more than a handful in doubt"):
        test_unknown_outcomes.ride_out(program, seconds=2.5, rate=50)
