"""Sends of which nobody hears: checked before they are repeated, counted exactly."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.sandbox import Received
from tests.e2e.conftest import install
from tests.e2e.program import Program, wait_for
from tests.e2e.test_kill import Load

pytestmark = pytest.mark.e2e

TARGET = "/api/email/target"


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """An installation that checks what is in doubt, quickly; not started."""
    for installed in install(tmp_path):
        hurry(installed)
        installed.route(in_doubt="verify")
        yield installed


def hurry(program: Program, **changes: object) -> None:
    quick = {
        "rate_per_second": 400,
        "timeout_seconds": 1,
        "verify": {"after": "2s", "rate_per_second": 500},
    }
    program.configure(iterable=quick | changes)


def make_unsure(program: Program) -> None:
    """Leave the outcome open for about one send in seven."""
    sandbox = program.sandbox
    plain = {"path": TARGET, "times": None, "one_in": 20}
    sandbox.tell(**plain, skip=3, delay_after=1.5)  # taken, and no answer
    sandbox.tell(**plain, skip=9, status=500, accepts=True)
    sandbox.tell(**plain, skip=15, status=500)


def told(program: Program) -> Counter[str]:
    """Count the messages each person gets."""
    return Counter(str(one.user) for one in program.accepted())


def relay_under_kills(program: Program, *, webhooks: int, kills: int) -> set[str]:
    """Send webhooks while the program dies again and again; say who was promised."""
    chance = random.Random(kills)
    make_unsure(program)
    program.start()
    load = Load(program)
    for number in range(kills):
        # Leave time for the whole, and a part of each life to chance.
        enough = webhooks * (number + chance.random()) / kills
        wait_for(lambda: len(load.answered) >= enough, seconds=120)  # noqa: B023
        program.kill()
        program.start()
    wait_for(lambda: len(load.answered) >= webhooks, seconds=300)
    load.end()
    wait_for(lambda: is_at_rest(program), seconds=300)
    report(program, kills, load.answered)
    return load.answered


def report(program: Program, kills: int, promised: set[str]) -> None:
    """Print the figures; `pytest -s` shows them."""
    rows, messages = program.deliveries(), told(program)
    print(
        f"{len(promised)} answered, {kills} kills;",
        f"lost {len(promised - set(messages))},",
        f"told twice {sum(number > 1 for number in messages.values())},",
        f"in doubt {sum(row.doubts > 0 for row in rows)},",
        f"vanished {program.log.count('vanished')}, {dict(program.statuses())}",
    )


def is_at_rest(program: Program) -> bool:
    """Tell whether nothing moves by itself any more."""
    return not set(program.statuses()) & {"pending", "sending", "in_doubt"}


def check_verified(program: Program, promised: set[str]) -> None:
    messages = told(program)
    assert promised <= set(messages), "a webhook that was answered was lost"
    assert set(messages.values()) == {1}, "somebody was told twice"
    assert program.statuses() == {"accepted": len(messages)}
    codes = Counter(one.body["dataFields"]["couponCode"] for one in program.accepted())
    assert set(codes.values()) == {1}


def check_resent(program: Program, promised: set[str]) -> None:
    """Repeats are exactly what was taken, left in doubt and sent again."""
    messages = told(program)
    rows = {row.recipient: row for row in program.deliveries()}
    held = {user for user, row in rows.items() if row.status == "held"}
    assert promised <= set(messages) | held, "a webhook that was answered was lost"
    assert set(program.statuses()) <= {"accepted", "held"}
    doubted = {user: row for user, row in rows.items() if row.doubts > 0}
    calls: dict[str, list[Received]] = defaultdict(list)
    for call in program.sandbox.received:
        calls[str(call.user)].append(call)
    resent = {
        user: 1
        for user, row in doubted.items()
        if row.number > 1 and len(taken(calls[user])) > 1
    }
    repeats = {user: number - 1 for user, number in messages.items() if number > 1}
    assert repeats == resent
    assert all(len(calls[user]) <= rows[user].number for user in calls)


def taken(calls: list[Received]) -> list[Received]:
    return [call for call in calls if call.is_accepted]


def test_what_was_answered_comes_once_however_often_the_program_dies(
    program: Program,
) -> None:
    check_verified(program, relay_under_kills(program, webhooks=150, kills=1))


def test_repeats_are_what_was_in_doubt_where_a_route_resends(
    program: Program,
) -> None:
    program.route(in_doubt="resend")
    check_resent(program, relay_under_kills(program, webhooks=150, kills=0))


@pytest.mark.torture
def test_twenty_thousand_come_once_through_fifty_deaths(program: Program) -> None:
    check_verified(program, relay_under_kills(program, webhooks=20_000, kills=50))


@pytest.mark.torture
def test_twenty_thousand_are_resent_through_fifty_deaths(program: Program) -> None:
    program.route(in_doubt="resend")
    check_resent(program, relay_under_kills(program, webhooks=20_000, kills=50))
