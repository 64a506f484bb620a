"""Many processes on one PostgreSQL: the rate, kills, outages, restarts, upgrades."""

import random
import signal
import time
from bisect import bisect_left

import pytest
from alembic import command
from alembic.config import Config

from bridge.store import gate_of
from tests.e2e.fleet import Fleet, Load, store_deliveries
from tests.e2e.program import ROOT, Program, wait_for
from tests.postgres import Postgres

pytestmark = pytest.mark.e2e

RATE = 100
WINDOW = 2.0


def all_accepted(fleet: Fleet) -> bool:
    return set(fleet.statuses()) == {"accepted"}


@pytest.mark.torture
@pytest.mark.parametrize("number", [300, 3000])
def test_four_workers_keep_one_rate_exactly_and_use_it(
    fleet: Fleet, number: int
) -> None:
    fleet.configure(rate_per_second=RATE)
    store_deliveries(fleet, number)
    for _ in range(4):
        fleet.worker("--threads", "8")
    wait_for(lambda: len(fleet.told()) == number, seconds=60 + 2 * number / RATE)
    times = sorted(one.at for one in fleet.sandbox.received if one.is_accepted)
    fullest = max(
        bisect_left(times, start + WINDOW) - index for index, start in enumerate(times)
    )
    used = (len(times) - 1) / (times[-1] - times[0]) / RATE
    print(f"fullest 2 s: {fullest}, used {used:.0%} of the rate")
    assert fullest <= RATE * WINDOW * 1.05
    assert used >= 0.9
    assert set(fleet.told().values()) == {1}


@pytest.mark.torture
def test_all_workers_heed_a_pause_within_a_second(fleet: Fleet) -> None:
    fleet.configure(rate_per_second=RATE)
    store_deliveries(fleet, 800)
    for _ in range(2):
        fleet.worker("--threads", "8")
    wait_for(lambda: len(fleet.told()) > 100, seconds=60)
    with fleet.store() as store, store.write() as tx:
        store.gates.pause(tx, gate_of("all"), "a test")
    # By the clock of the sandbox.
    paused = time.time()
    wait_for(lambda: time.time() > paused + 3)
    last = max(one.at for one in fleet.sandbox.received)
    assert last < paused + 1
    assert len(fleet.told()) < 800
    with fleet.store() as store, store.write() as tx:
        store.gates.open(tx, gate_of("all"))
    wait_for(lambda: len(fleet.told()) == 800, seconds=60)


@pytest.mark.torture
@pytest.mark.parametrize("times", [1, 10])
def test_kills_of_receivers_and_workers_lose_nothing(fleet: Fleet, times: int) -> None:
    fleet.configure(rate_per_second=300, timeout_seconds=0.5)
    fleet.sandbox.tell(times=None, delay_after=0.02)
    receivers = [fleet.serve(), fleet.serve()]
    workers = [fleet.worker("--threads", "8"), fleet.worker("--threads", "8")]
    rng = random.Random(3)
    load = Load(receivers)
    for _ in range(times):
        enough = len(fleet.told()) + 60
        wait_for(lambda: len(fleet.told()) >= enough, seconds=60)  # noqa: B023
        receiver, worker = rng.choice(receivers), rng.choice(workers)
        receiver.kill()
        worker.kill()
        receiver.start("--processes", "1", "--no-deliver")
        worker.launch("worker", "--threads", "8")
        # So that no delivery is cut down twice: then a person would have to decide.
        wait_for(lambda: no_lease_is_old(fleet), seconds=60)
    load.end()
    wait_for(lambda: all_accepted(fleet), seconds=90)
    told = fleet.told()
    assert load.answered <= set(told)
    doubted = {row.recipient for row in fleet.rows() if row.doubts}
    repeated = {user for user, count in told.items() if count > 1}
    print(f"{len(told)} told, {len(repeated)} twice, {len(doubted)} were in doubt")
    assert repeated <= doubted
    assert len(repeated) <= 16 * times


def no_lease_is_old(fleet: Fleet) -> bool:
    """Tell whether what killed workers held has been settled."""
    with fleet.store() as store, store.read() as tx:
        old = tx.connection.exec_driver_sql(
            "SELECT count(*) FROM deliveries WHERE status = 'in_doubt' OR (status = "
            "'pending' AND doubts > 0) OR (status = 'sending' AND updated_at < now() "
            "- interval '1.5 s')"
        )
        return not old.scalar()


@pytest.mark.torture
@pytest.mark.parametrize("seconds", [6, 30])
def test_outage_of_the_database_loses_nothing_and_is_told_briefly(
    fleet: Fleet, postgres: Postgres, seconds: int
) -> None:
    receiver = fleet.serve()
    fleet.worker("--threads", "8")
    load = Load([receiver])
    wait_for(lambda: len(fleet.told()) > 50)
    lines = len(fleet.log().splitlines())
    postgres.stop()
    try:
        until = time.monotonic() + seconds
        wait_for(lambda: load.refused, seconds=20)
        wait_for(lambda: time.monotonic() >= until, seconds=seconds + 5)
    finally:
        postgres.start()
    said = [one for one in fleet.log().splitlines()[lines:] if "delivery." not in one]
    about = [one for one in said if "store.unavailable" in one]
    wait_for(lambda: len(load.answered) > 100, seconds=60)
    load.end()
    wait_for(lambda: all_accepted(fleet), seconds=60)
    print(f"{len(load.refused)} refused, {len(about)} log lines, {fleet.statuses()}")
    assert {one.status_code for one in load.refused} == {503}
    assert all(one.headers["Retry-After"] for one in load.refused)
    assert load.answered <= set(fleet.told())
    assert len(about) < 100


@pytest.mark.torture
def test_rolling_restart_refuses_nobody_and_repeats_nothing(fleet: Fleet) -> None:
    receivers = [fleet.serve(), fleet.serve()]
    workers = [fleet.worker("--threads", "8"), fleet.worker("--threads", "8")]
    load = Load(receivers)
    for receiver, worker in zip(receivers, workers, strict=True):
        enough = len(fleet.told()) + 60
        wait_for(lambda: len(fleet.told()) >= enough, seconds=60)  # noqa: B023
        roll(receiver, worker)
    enough = len(fleet.told()) + 60
    wait_for(lambda: len(fleet.told()) >= enough, seconds=60)
    load.end()
    wait_for(lambda: all_accepted(fleet), seconds=60)
    told = fleet.told()
    print(
        f"{len(load.answered)} answered, {len(told)} told, {len(load.refused)} refused"
    )
    assert load.refused == []
    assert load.answered <= set(told)
    assert set(told.values()) == {1}


def roll(receiver: Program, worker: Program) -> None:
    """Stop one instance in good order and start its next release."""
    for one in (receiver, worker):
        assert one.process is not None
        one.process.send_signal(signal.SIGTERM)
    # A platform's router refuses for it while nobody listens.
    receiver.hang_up()
    assert receiver.stop() == 0
    assert worker.stop() == 0
    receiver.start("--processes", "1", "--no-deliver")
    worker.launch("worker", "--threads", "8")


@pytest.mark.torture
@pytest.mark.parametrize("number", [200, 10_000])
def test_upgrade_from_the_first_tables_delivers_what_waits(
    fleet: Fleet, postgres: Postgres, number: int
) -> None:
    fleet.env["DATABASE_URL"] = postgres.new_database()
    make_first_tables(fleet)
    store_deliveries(fleet, number)
    fleet.configure(rate_per_second=5000)
    fleet.run("migrate")
    fleet.worker("--threads", "16")
    wait_for(lambda: len(fleet.told()) == number, seconds=30 + number / 50)
    wait_for(lambda: all_accepted(fleet), seconds=30)


def make_first_tables(fleet: Fleet) -> None:
    """Make what the first release made."""
    folder = ROOT / "bridge" / "store" / "migrations"
    config = Config()
    config.set_main_option("script_location", str(folder))
    with fleet.store() as store, store.write() as tx:
        config.attributes["connection"] = tx.connection
        command.upgrade(config, "0001")
    assert not fleet_is_current(fleet)


def fleet_is_current(fleet: Fleet) -> bool:
    with fleet.store() as store:
        return store.is_current()
