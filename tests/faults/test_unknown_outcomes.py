"""Sends of which nobody hears: checked before they are repeated, counted exactly."""

import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bridge.sandbox import Received
from bridge.store.doubts import VANISHED
from tests.e2e.conftest import install
from tests.e2e.program import Program, envelope, wait_for
from tests.e2e.test_kill import Load
from tests.faults import points

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


def make_unsure(program: Program, *, hang: float) -> None:
    """Leave the outcome open for about one send in seven."""
    sandbox = program.sandbox
    plain = {"path": TARGET, "times": None, "one_in": 20}
    sandbox.tell(**plain, skip=3, delay_after=hang)  # taken, and no answer
    sandbox.tell(**plain, skip=9, status=500, accepts=True)
    sandbox.tell(**plain, skip=15, status=500)


def told(program: Program) -> Counter[str]:
    """Count the messages each person gets."""
    return Counter(str(one.user) for one in program.accepted())


def relay_under_kills(program: Program, *, webhooks: int, kills: int) -> set[str]:
    """Send webhooks while the program dies again and again; say who was promised."""
    chance = random.Random(kills)
    make_unsure(program, hang=1.5)
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
    held = {row.recipient for row in rows if row.status == "held"}
    print(
        f"{len(promised)} answered, {kills} kills;",
        f"lost {len(promised - set(messages) - held)},",
        f"told twice {sum(number > 1 for number in messages.values())},",
        f"held {len(held)}, of them not told {len(held - set(messages))},",
        f"in doubt {sum(row.doubts > 0 for row in rows)},",
        f"vanished {vanished(program)}, {dict(program.statuses())}",
    )


def vanished(program: Program) -> int:
    """Count the attempts whose worker was killed."""
    count = "SELECT count(*) FROM attempts WHERE reason = ?"
    with program.store.read() as tx:
        return int(tx.connection.exec_driver_sql(count, (VANISHED,)).scalar_one())


def is_at_rest(program: Program) -> bool:
    """Tell whether nothing moves by itself any more; however much there is."""
    moving = "SELECT 1 FROM deliveries WHERE due_at IS NOT NULL LIMIT 1"
    with program.store.read() as tx:
        return tx.connection.exec_driver_sql(moving).first() is None


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


def relay_through_one_kill(program: Program) -> set[str]:
    """Do the same in small: one death, its leases ended as time would."""
    hurry(program, timeout_seconds=0.5, verify={"after": "1s", "rate_per_second": 500})
    make_unsure(program, hang=0.8)
    program.start()
    load = Load(program)
    wait_for(lambda: len(load.answered) >= 40)
    program.kill()
    points.end_leases(program)
    program.start()
    wait_for(lambda: len(load.answered) >= 80)
    load.end()
    wait_for(lambda: is_at_rest(program), seconds=60)
    report(program, 1, load.answered)
    return load.answered


def test_what_was_answered_comes_once_though_the_program_dies(
    program: Program,
) -> None:
    check_verified(program, relay_through_one_kill(program))


@pytest.mark.torture
def test_repeats_are_what_was_in_doubt_where_a_route_resends(
    program: Program,
) -> None:
    program.route(in_doubt="resend")
    check_resent(program, relay_through_one_kill(program))


@pytest.mark.torture
def test_twenty_thousand_come_once_through_fifty_deaths(program: Program) -> None:
    check_verified(program, relay_under_kills(program, webhooks=20_000, kills=50))


@pytest.mark.torture
def test_twenty_thousand_are_resent_through_fifty_deaths(program: Program) -> None:
    program.route(in_doubt="resend")
    check_resent(program, relay_under_kills(program, webhooks=20_000, kills=50))


def answer_to(program: Program, number: int) -> int:
    """Post a webhook; keep of the answer only its status."""
    return program.post(envelope(number)).status_code


def ride_out(program: Program, *, seconds: float, rate: int) -> None:
    """Answer 502 to every send for so long, under load; then let everything arrive."""
    program.sandbox.tell(path=TARGET, status=502, body_text="<html>", times=None)
    program.start()
    began, numbers = time.monotonic(), range(round(seconds * rate))
    with ThreadPoolExecutor(4) as pool:
        answers = []
        for number in numbers:
            # The pace is what is asked for.
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
            answers.append(pool.submit(answer_to, program, number))
    assert {one.result() for one in answers} == {202}
    program.sandbox.forget()
    wait_for(lambda: is_at_rest(program), seconds=60 + 2 * seconds)
    rows = program.deliveries()
    doubted = sum(row.doubts > 0 for row in rows)
    print(
        f"{len(rows)} delivered through {seconds:g} s of 502, {doubted} ever in doubt"
    )
    assert 0 < doubted < 50, "more than a handful in doubt"
    assert program.statuses() == {"accepted": len(numbers)}
    assert told(program) == Counter(f"crm-{number}" for number in numbers)


def test_an_outage_leaves_few_in_doubt_and_loses_none(program: Program) -> None:
    hurry(program, rate_per_second=400, verify={"after": "1s", "rate_per_second": 500})
    ride_out(program, seconds=1, rate=100)


@pytest.mark.torture
def test_ten_minutes_of_502_leave_few_in_doubt_and_lose_none(program: Program) -> None:
    hurry(program, rate_per_second=50, verify={"after": "60s", "rate_per_second": 3})
    ride_out(program, seconds=600, rate=50)


def test_four_days_with_a_wrong_key_cost_nobody_a_message(program: Program) -> None:
    good = program.env["ITERABLE_API_KEY"]
    program.env["ITERABLE_API_KEY"] = "wrong"
    program.start()
    for number in range(20):
        program.post(envelope(number))
    wait_for(lambda: "gate.closed" in program.log)
    wait_for(lambda: program.statuses() == {"pending": 20})
    assert program.stop() == 0
    let_pass(program, days=4)
    program.env["ITERABLE_API_KEY"] = good
    program.start()
    wait_for(lambda: program.statuses() == {"accepted": 20}, seconds=30)
    assert "gate.opened" in program.log
    assert set(told(program).values()) == {1}


def let_pass(program: Program, *, days: int) -> None:
    """Make everything in the ledger so many days older, as if the clock had moved."""
    span = days * 86_400_000_000
    columns = {
        "deliveries": ("due_at", "aging_since", "created_at", "updated_at"),
        "gates": ("closed_at", "probe_at", "next_slot_at", "paused_until"),
        "attempts": ("started_at",),
        "events": ("received_at",),
    }
    with program.store.write() as tx:
        for table, names in columns.items():
            moved = ", ".join(f"{name} = {name} - {span}" for name in names)
            tx.connection.exec_driver_sql(f"UPDATE {table} SET {moved}")
