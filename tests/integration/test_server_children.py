import os
import signal
import socket
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue

import pytest

from bridge.errors import ConfigError
from bridge.server.children import MAX_DEATHS, Child, Children, fork, run_once
from bridge.server.lifeline import stop_event
from bridge.server.processes import address_of, listen

pytestmark = pytest.mark.integration


def test_a_child_that_cannot_live_ends_the_program(tmp_path: Path) -> None:
    def live() -> int:
        with (tmp_path / "lives").open("a") as file:
            file.write("x")
        return 3

    ended: list[bool] = []
    child = Child("mayfly", live, first_pause=0.001)
    assert Children([child], on_stop=lambda: ended.append(True)).run() == 1
    assert (tmp_path / "lives").read_text() == "x" * MAX_DEATHS
    assert ended == [True]


def test_a_child_that_will_not_end_is_killed() -> None:
    def live() -> int:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.kill(os.getppid(), signal.SIGTERM)
        signal.pause()
        return 0

    child = Child("stubborn", live)
    assert Children([child], on_stop=lambda: None, stop_seconds=0.1).run() == 0


@pytest.mark.parametrize(
    ("code", "status"), [(None, 0), (0, 0), (3, 3), ("a message", 1)]
)
def test_a_child_may_leave_by_system_exit(code: object, status: int) -> None:
    def live() -> int:
        raise SystemExit(code)

    assert run_once(live) == status


def test_a_failing_child_leaves_with_status_1() -> None:
    assert run_once(lambda: 1 // 0) == 1


def test_a_stop_signal_never_leaves_a_waiting_process_behind() -> None:
    # Waits so short that the signal comes while one is about to end.
    def live(said: int) -> int:
        stop, queue = stop_event(), SimpleQueue[int]()
        os.write(said, b"x")
        while not stop.is_set():
            with suppress(Empty):
                queue.get(timeout=0.0001)
        return 0

    for _ in range(50):
        heard, said = os.pipe()
        pid = fork(partial(live, said))
        os.read(heard, 1)
        os.close(heard)
        os.close(said)
        os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + 60
        while os.waitpid(pid, os.WNOHANG) == (0, 0):
            if time.monotonic() > until:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                pytest.fail("it still waits")
            time.sleep(0.001)


def test_a_port_is_bound_and_named() -> None:
    with listen("127.0.0.1:0") as listener:
        assert address_of(listener) == f"127.0.0.1:{listener.getsockname()[1]}"


def test_a_bound_socket_is_taken_over() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with listen(f"fd://{bound.detach()}") as listener:
            socket.create_connection(listener.getsockname()).close()


@pytest.mark.parametrize(
    "bind",
    ["fd://x", "fd://999", "host:x", "127.0.0.1:70000", "unix:/x", "256.1.1.1:0"],
)
def test_what_is_no_address_is_a_mistake_in_the_configuration(bind: str) -> None:
    with pytest.raises(ConfigError, match="--bind"):
        listen(bind)
