"""Long outages: few in doubt, memory bounded, and everything arrives afterwards."""

from collections import Counter
from pathlib import Path

import pytest

from tests.product.postgres import Postgres
from tests.product.program import Program, wait_for
from tests.product.recorder import Answer
from tests.torture.busy import BusyIterable, Load, come_to_rest, report, size

pytestmark = pytest.mark.torture

#: Webhooks a second during an outage.
RATE = 50


def memory(program: Program) -> int:
    """Add up what the processes of the program have in memory, in MiB."""
    groups = {process.pid for process in program.processes}
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        if int(fields[2]) in groups:
            total += int(fields[21]) * 4096
    return total >> 20


def test_ten_minutes_of_502_leave_few_in_doubt_and_lose_none(
    program: Program, iterable: BusyIterable
) -> None:
    seconds = size("SECONDS", 600)
    verify = {"after": f"{min(60, max(1, seconds // 10))}s", "rate_per_second": 3}
    program.destination(rate_per_second=300, verify=verify)
    gateway = Answer(status=502, body=b"<html>Bad gateway</html>")
    iterable.tell(gateway, path="/api/email", times=None)
    program.start()
    load = Load(program, rate=RATE)
    load.reach(seconds * RATE / 10, seconds=seconds)
    early = memory(program)
    load.reach(seconds * RATE, seconds=2 * seconds + 60)
    load.end()
    late, vain = memory(program), sum(iterable.tries.values())
    iterable.forget()
    rows = come_to_rest(program, seconds=300 + 2 * seconds)
    report(load, iterable.message_counts(), rows)
    print(f"{vain} sends in vain; memory {early} MiB early, {late} MiB at the end")
    doubted = sum(row["unknown_outcomes"] > 0 for row in rows.values())
    assert 0 < doubted < 50, "more than a handful in doubt"
    assert vain < 100, "more than single sends"
    assert late < early + 150, "memory grows with the queue"
    assert load.rejected == Counter()
    assert {row["status"] for row in rows.values()} == {"accepted"}
    assert set(iterable.message_counts()) == load.answered
    assert set(iterable.message_counts().values()) == {1}


@pytest.mark.parametrize("seconds", [2, 20])
def test_an_absent_database_loses_nothing_and_is_logged_briefly(
    program: Program, postgres: Postgres, iterable: BusyIterable, seconds: int
) -> None:
    program.env["DATABASE_URL"] = postgres.new_database()
    program.run("migrate")
    program.start()
    load = Load(program, rate=RATE)
    load.reach(50)
    lines = len(program.records())
    postgres.stop()
    try:
        wait_for(lambda: sum(load.rejected.values()) >= seconds)
    finally:
        postgres.start()
    logged = program.records()[lines:]
    said = [one for one in logged if one["event"] == "store.unavailable"]
    load.reach(len(load.answered) + 100)
    load.end()
    rows = come_to_rest(program, seconds=120)
    report(load, iterable.message_counts(), rows)
    assert set(load.rejected) == {503}
    assert len(said) <= 4 + seconds, "an outage floods the log"
    # A call that ended during the outage is settled before its lease is found expired.
    assert max(row["unknown_outcomes"] for row in rows.values()) == 0
    assert set(iterable.message_counts()) >= load.answered
    assert set(iterable.message_counts().values()) == {1}
