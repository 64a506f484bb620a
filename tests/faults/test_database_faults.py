"""A database that is full, locked or broken: 503 where it must be, and nothing lost."""

import os
import resource
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from tests.e2e.program import Program, envelope, wait_for
from tests.families import family
from tests.faults import points
from tests.faults.guarantees import slow_iterable

pytestmark = pytest.mark.e2e


@contextmanager
def full_disk(program: Program) -> Iterator[None]:
    """Let no file of the program grow: what it writes beyond its end is refused.

    The kernel's limit on file sizes stands in for a small disk; it needs no privileges
    and can be set on, and taken off, processes that run.
    """
    assert program.process is not None
    before = list(family(program.process.pid))
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    for process in before:
        resource.prlimit(process, resource.RLIMIT_FSIZE, (0, most))
    yield
    now = set(family(program.process.pid))
    assert now >= set(before), "a process died of it"
    for process in now:
        resource.prlimit(process, resource.RLIMIT_FSIZE, (most, most))


def test_a_disk_full_at_the_insert_is_a_503_and_nothing_is_lost(
    program: Program,
) -> None:
    program.start()
    assert program.post(envelope(0)).status_code == 202
    with full_disk(program):
        answer = program.post(envelope(1))
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
    assert program.post(envelope(1)).json()["status"] == "stored"
    wait_for(lambda: program.statuses() == {"accepted": 2})
    assert sorted(points.names(program)) == ["crm-0", "crm-1"]


def test_a_disk_full_at_the_history_is_made_up_for(program: Program) -> None:
    reader, writer = os.pipe()
    with (
        points.closing_descriptor(reader),
        points.closing_descriptor(writer),
        slow_iterable(program) as slow,
    ):
        # A pipe takes what the program says though its disk is full.
        program.start(talk=writer)
        program.post(envelope(1))
        wait_for(lambda: slow.told)
        with full_disk(program):
            slow.go.set()
            wait_for(lambda: b"store.unavailable" in os.read(reader, 65536))
            assert program.statuses() == {"sending": 1}
        wait_for(lambda: program.statuses() == {"accepted": 1})
        (row,) = program.deliveries()
        story = program.store.ledger.story(row.id)
        assert story is not None
        assert [one.status for one in story.attempts] == [200]
        assert len(slow.told) == 1


def test_a_database_somebody_locks_is_a_503_until_he_lets_go(program: Program) -> None:
    program.start()
    program.post(envelope(0))
    wait_for(lambda: program.statuses() == {"accepted": 1})
    with closing(sqlite3.connect(program.folder / "bridge.db")) as stranger:
        stranger.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        assert program.post(envelope(1)).status_code == 503
        assert time.monotonic() - began < 9, "the sender waits ten seconds"
        stranger.rollback()
    assert program.post(envelope(1)).json()["status"] == "stored"
    wait_for(lambda: program.statuses() == {"accepted": 2})


def test_a_corrupt_file_refuses_the_start_and_is_left_as_it_is(
    program: Program,
) -> None:
    program.start()
    program.post(envelope(1))
    wait_for(lambda: program.statuses() == {"accepted": 1})
    program.stop()
    program.store.close()
    path = program.folder / "bridge.db"
    whole = path.read_bytes()
    path.write_bytes(b"not what it was " + whole[16:])
    broken = path.read_bytes()
    program.start()
    assert program.process is not None
    assert program.process.wait(60) == 1
    assert "store.not_ready" in program.log
    assert path.read_bytes() == broken
    path.write_bytes(whole)
    program.start()
    assert program.post(envelope(1)).json()["status"] == "duplicate"


def test_a_file_corrupted_in_use_is_never_a_2xx(program: Program) -> None:
    program.start()
    program.post(envelope(0))
    wait_for(lambda: program.statuses() == {"accepted": 1})
    program.store.close()
    path = program.folder / "bridge.db"
    # Emptied the log, so that the pages are in the file; then spoil all but the first.
    with closing(sqlite3.connect(path, timeout=10)) as stranger:
        stranger.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = path.read_bytes()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (len(whole) - 4096))
    stored = {program.post(envelope(number)).status_code for number in (1, 2)}
    assert 202 not in stored
    assert program.process is not None
    assert program.process.poll() is None
