"""SIGTERM, as a platform sends it: to every process, perhaps twice, in mid-load."""

import os
import signal
import time

import pytest

from tests.e2e.program import Program, envelope, wait_for
from tests.e2e.test_kill import Load

pytestmark = pytest.mark.e2e


def test_a_stop_under_load_sent_twice_loses_nothing(program: Program) -> None:
    program.sandbox.tell(times=None, delay_after=0.05)
    program.start()
    load = Load(program)
    wait_for(lambda: len(program.accepted()) > 30)
    assert program.process is not None
    began = time.monotonic()
    os.killpg(program.process.pid, signal.SIGTERM)
    os.killpg(program.process.pid, signal.SIGTERM)
    assert program.process.wait(25) == 0
    assert time.monotonic() - began < 25
    program.process = None
    load.end(is_down=True)
    assert not program.statuses()["sending"]
    assert not program.statuses()["in_doubt"]
    program.start()
    wait_for(lambda: set(program.statuses()) == {"accepted"})
    told = [message.user for message in program.accepted()]
    assert load.answered <= set(told)
    assert len(told) == len(set(told))


def test_a_stop_leaves_the_ledger_as_one_file(program: Program) -> None:
    program.start("--processes", "3", "--no-deliver")
    load = Load(program)
    wait_for(lambda: len(load.answered) > 50)
    assert program.stop() == 0
    load.end(is_down=True)
    assert files(program) == {"bridge.db"}
    program.launch("worker")
    wait_for(program.accepted)
    assert program.stop() == 0
    assert files(program) == {"bridge.db"}


def files(program: Program) -> set[str]:
    """Name what the ledger consists of, its locks aside."""
    found = {path.name for path in program.folder.glob("bridge.db*")}
    return found - {"bridge.db.lock", "bridge.db.lock.next"}


def test_a_call_that_never_ends_is_left_in_doubt(program: Program) -> None:
    program.configure(iterable={"rate_per_second": 5000, "timeout_seconds": 60})
    program.sandbox.tell(times=None, delay_after=50)
    program.start()
    program.post(envelope(1))
    wait_for(program.accepted)
    assert program.stop(seconds=25) == 0
    assert program.statuses() == {"in_doubt": 1}
