"""Several machines on one PostgreSQL, and stops in good order, all under load."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.product.postgres import Postgres
from tests.product.program import Program, installed, wait_for
from tests.torture.busy import (
    BusyIterable,
    Load,
    come_to_rest,
    disturbed,
    kill_one,
    report,
    size,
)

pytestmark = pytest.mark.torture

#: Places of a machine's processes.
SERVE, WORKER = 0, 1


@pytest.fixture
def machines(
    program: Program, iterable: BusyIterable, postgres: Postgres, tmp_path: Path
) -> Iterator[tuple[Program, Program]]:
    """Two machines with a `serve` and a worker each, on one database."""
    program.env["DATABASE_URL"] = postgres.new_database()
    folder = tmp_path / "second"
    folder.mkdir()
    with installed(folder) as second:
        for one in (program, second):
            one.destination(timeout="1s", rate_per_second=300)
            one.env |= {
                "DATABASE_URL": program.env["DATABASE_URL"],
                "ITERABLE_BASE_URL": iterable.url,
            }
        program.run("migrate")
        for one in (program, second):
            one.start()
            one.launch("worker")
        yield program, second


def test_kills_on_two_machines_lose_and_repeat_nothing(
    machines: tuple[Program, Program], iterable: BusyIterable
) -> None:
    iterable.delay, iterable.hang = 0.02, 1.5
    chance = random.Random(5)

    def kill_and_start() -> None:
        machine, place = chance.choice(machines), chance.choice((SERVE, WORKER))
        kill_one(machine, [place])
        if place == WORKER:
            machine.launch("worker")
        else:
            machine.start()
            machine.processes.reverse()

    load, kills = Load(*machines), size("KILLS", 30)
    disturbed(load, kills, kill_and_start, webhooks=size("WEBHOOKS", 6_000))
    rows = come_to_rest(machines[0], seconds=300)
    report(load, iterable.message_counts(), rows)
    assert load.answered <= set(iterable.message_counts()), (
        "a webhook that was answered was lost"
    )
    assert set(iterable.message_counts().values()) == {1}, "sent twice"
    assert {row["status"] for row in rows.values()} == {"accepted"}


def test_a_rolling_restart_rejects_and_repeats_nothing(
    machines: tuple[Program, Program], iterable: BusyIterable
) -> None:
    iterable.delay = 0.02
    load = Load(*machines, rate=60)
    for turn in range(size("KILLS", 10)):
        load.reach(len(load.answered) + 60)
        machine = machines[turn % 2]
        assert machine.stop() == [0, 0]
        machine.start()
        machine.launch("worker")
    load.end()
    rows = come_to_rest(machines[0], seconds=120)
    report(load, iterable.message_counts(), rows)
    assert not load.rejected
    assert set(iterable.message_counts()) == load.answered
    assert set(iterable.message_counts().values()) == {1}, "sent twice"
    assert max(row["unknown_outcomes"] for row in rows.values()) == 0


def test_sigterm_under_load_loses_nothing_and_leaves_nothing_in_doubt(
    program: Program, iterable: BusyIterable
) -> None:
    program.destination(rate_per_second=400)
    iterable.delay = 0.05
    program.start()
    load = Load(program)
    for _ in range(size("KILLS", 20)):
        enough = iterable.total + 40
        wait_for(lambda: iterable.total >= enough)  # noqa: B023
        assert program.stop() == [0]
        program.start()
    load.end()
    rows = come_to_rest(program, seconds=120)
    report(load, iterable.message_counts(), rows)
    assert not load.rejected
    assert set(iterable.message_counts()) == set(rows)
    assert set(iterable.message_counts().values()) == {1}, "sent twice"
    assert max(row["unknown_outcomes"] for row in rows.values()) == 0
