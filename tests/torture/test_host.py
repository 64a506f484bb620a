"""The host in trouble: its clock is set, its disk is full, its ledger is broken."""

import resource
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.product.program import Program, new_person, wait_for, webhook
from tests.product.recorder import Answer
from tests.promises.checks import BAD_KEY
from tests.promises.spoiling import spoil

pytestmark = pytest.mark.torture

HOUR = 3600.0
LATE = Answer(delay=8.0, body={"msg": "", "code": "Success", "params": None})

#: Runs in the started program: a clock that can be moved, without privileges.
_PIECE = """
import os as _os, struct as _struct
from datetime import timedelta as _span
_real, _clock = host_clock, _os.open({path!r}, _os.O_RDONLY)

def host_clock():
    ahead = _struct.unpack("d", _os.pread(_clock, 8, 0))[0]
    return _real() + _span(seconds=ahead)
"""


class Clock:
    """How far a program's clock is ahead of this machine's.

    Args:
        program: Not started; its ledger is a file, as PostgreSQL has its own clock.
    """

    def __init__(self, program: Program) -> None:
        self._path = program.folder / "clock"
        self._path.write_bytes(struct.pack("d", 0))
        piece = _PIECE.format(path=str(self._path))
        spoil(program, {"bridge.store.database": piece})

    def set(self, seconds: float) -> None:
        """Put it so far ahead."""
        # In one write over what is there: a reader never sees half of it.
        with self._path.open("r+b", buffering=0) as file:
            file.write(struct.pack("d", seconds))


@pytest.fixture
def clock(program: Program) -> Clock:
    return Clock(program)


def test_a_clock_an_hour_ahead_takes_no_open_call_for_dead(
    program: Program, clock: Clock
) -> None:
    program.destination(timeout="20s")
    program.iterable.tell(LATE, path="/api/email")
    program.start()
    [delivery] = program.accept(webhook(person := new_person()))
    program.iterable.wait(lambda: program.iterable.attempts(person))
    clock.set(HOUR)
    wait_for(lambda: program.delivery(delivery)["delivery"]["status"] == "in_doubt")
    assert program.at_rest(delivery)["status"] == "accepted"
    assert len(program.iterable.attempts(person)) == 1


def test_a_clock_set_back_keeps_nobody_waiting_for_an_hour(
    program: Program, clock: Clock
) -> None:
    clock.set(HOUR)
    # A rejection an hour ahead: the next attempt is due in an hour that is over.
    busy = Answer(status=503, headers={"Retry-After": "2"}, body=b"")
    program.iterable.tell(busy, path="/api/email")
    program.start()
    people = [new_person(), new_person()]
    [first] = program.accept(webhook(people[0]))
    program.await_log("delivery.rescheduled", delivery_id=first)
    clock.set(0)
    [second] = program.accept(webhook(people[1]))
    rows = program.settled([first, second])
    assert [row["status"] for row in rows] == ["accepted", "accepted"]
    assert [len(program.iterable.messages(one)) for one in people] == [1, 1]


def test_a_clock_set_back_while_the_program_is_down_delays_no_message(
    program: Program, clock: Clock
) -> None:
    clock.set(HOUR)
    program.start("--no-deliver")
    [delivery] = program.accept(webhook())
    assert program.stop() == [0]
    clock.set(0)
    program.start()
    assert program.at_rest(delivery, seconds=20)["status"] == "accepted"


def test_four_days_with_a_wrong_key_cost_no_message(
    program: Program, clock: Clock
) -> None:
    program.iterable.tell(BAD_KEY, times=None)
    program.start()
    ids = [program.accept(webhook())[0] for _ in range(20)]
    program.await_log("circuit.opened")
    assert program.stop() == [0]
    clock.set(4 * 24 * HOUR)
    program.iterable.forget()
    program.start()
    assert {row["status"] for row in program.settled(ids)} == {"accepted"}
    assert len(program.iterable.messages()) == len(ids)


def family(pid: int) -> Iterator[int]:
    """List a process and those it started."""
    yield pid
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in path.read_text(encoding="ascii").split():
            yield from family(int(child))


@contextmanager
def files_that_cannot_grow(program: Program) -> Iterator[None]:
    """Reject what the running program writes beyond a file's end: needs no rights."""
    before = list(family(program.processes[0].pid))
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    for process in before:
        resource.prlimit(process, resource.RLIMIT_FSIZE, (0, most))
    yield
    now = set(family(program.processes[0].pid))
    assert now >= set(before), "a process died of it"
    for process in now:
        resource.prlimit(process, resource.RLIMIT_FSIZE, (most, most))


@pytest.fixture
def small_disk(program: Program) -> Iterator[Path]:
    """Give the ledger a file system of its own of six megabytes."""
    folder = program.folder / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount a small tmpfs")
    program.env["DATABASE_URL"] = f"sqlite:///{folder / 'bridge.db'}"
    yield folder
    program.kill()
    subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Leave no byte free."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
    yield
    path.unlink()


def test_on_a_full_disk_webhooks_are_answered_503_and_nothing_is_lost(
    program: Program, small_disk: Path
) -> None:
    program.start()
    program.deliver(webhook())
    refused: list[tuple[str, dict[str, object]]] = []
    with filled(small_disk):
        # Pages that SQLite has already may take some more.
        for _ in range(400):
            document = webhook(person := new_person(), customer={"name": "x" * 20_000})
            if program.post(document).status_code == 503:
                refused.append((person, document))
                break
        assert refused, "a full disk was never met"
    [(person, document)] = refused
    wait_for(lambda: program.post(document).status_code == 202)
    program.iterable.arrived(person)
    assert len(program.iterable.messages(person)) == 1


def test_without_room_for_a_result_it_is_recorded_later(program: Program) -> None:
    program.destination(timeout="15s")
    program.iterable.tell(LATE, path="/api/email")
    program.start()
    [delivery] = program.accept(webhook(person := new_person()))
    program.iterable.wait(lambda: program.iterable.attempts(person))
    with files_that_cannot_grow(program):
        # The log is a file as well, and cannot grow either: no line tells of it.
        until = program.iterable.attempts(person)[0].time + 10
        wait_for(lambda: time.monotonic() > until)
        assert program.delivery(delivery)["delivery"]["status"] == "sending"
    assert program.at_rest(delivery)["status"] == "accepted"
    history = program.delivery(delivery)["attempts"]
    assert [one["status"] for one in history] == [200]
    assert len(program.iterable.attempts(person)) == 1
