"""The supervisor alone, with processes that live for a moment."""

import os
import signal
import time
from pathlib import Path
from threading import Event, Timer

import pytest

from bridge.server.supervisor import ManagedProcess, Supervisor

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
]


def test_a_process_that_dies_too_often_ends_the_program(tmp_path: Path) -> None:
    def die() -> int:
        (tmp_path / str(time.monotonic_ns())).touch()
        return 1

    stopped: list[bool] = []
    processes = [ManagedProcess("fragile", die, first_pause=0.0)]
    supervisor = Supervisor(processes, Event(), lambda: stopped.append(True))
    assert supervisor.run() == 1
    assert stopped == [True]
    assert len(list(tmp_path.iterdir())) == 5


def test_a_process_that_does_not_stop_is_killed() -> None:
    def stay() -> int:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(60)
        return 0

    stop = Event()
    process = ManagedProcess("stubborn", stay)
    Timer(1.0, stop.set).start()
    began = time.monotonic()
    assert Supervisor([process], stop, lambda: None, stop_seconds=0.5).run() == 0
    assert time.monotonic() - began < 10
    assert process.pid is not None
    os.waitpid(process.pid, 0)
