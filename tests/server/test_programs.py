"""`serve` and `worker` as programs: how they start, serve, restart and stop."""

import os
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest
import requests

from tests.server.conftest import Start, wait_for

pytestmark = pytest.mark.integration


def _runs(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_all_processes_count_on_one_page_and_leave_no_folder(start: Start) -> None:
    program = start(processes=2)
    program.delivering_pid()
    pids = set()

    def both() -> bool:
        pids.add(requests.get(f"{program.url}/pid", timeout=15).text)
        requests.post(f"{program.url}/echo", data=b"x", timeout=15)
        return len(pids) == 2

    wait_for(both)
    page = requests.get(f"{program.url}/metrics", timeout=15).text
    [line] = [one for one in page.splitlines() if "commit_webhooks_count" in one]
    assert float(line.split()[1]) > 2  # those of the receivers, and the deliverer's
    assert list(program.folder.glob("reward-bridge-metrics-*"))
    assert program.stop() == 0
    assert not list(program.folder.glob("reward-bridge-metrics-*"))


def test_stop_lets_requests_and_deliveries_end(start: Start) -> None:
    program = start()
    program.delivering_pid()
    answers: list[requests.Response] = []
    url = f"{program.url}/slow?1"
    slow = Thread(target=lambda: answers.append(requests.get(url, timeout=10)))
    slow.start()
    with socket.create_connection(program.address) as idle:
        idle.sendall(b"GET /pid HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(1000).startswith(b"HTTP/1.1 200")
        wait_for((program.folder / "slow").exists)
        began = time.monotonic()
        assert program.stop() == 0
        assert time.monotonic() - began < 10  # the idle connection does not delay it
    slow.join()
    assert answers[0].text == "done"
    assert (program.folder / "drained").exists()
    assert (program.folder / "finished").exists()


@pytest.mark.parametrize(
    "head",
    [b"GET /pid HTT", b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 90\r\n\r\n"],
    ids=["in its head", "in its body"],
)
def test_a_dripping_request_ends_after_five_seconds(start: Start, head: bytes) -> None:
    program = start()
    with socket.create_connection(program.address) as dripping:
        dripping.sendall(head)
        dripping.settimeout(0.5)
        began = time.monotonic()
        answer = b"?"
        while answer == b"?" and time.monotonic() - began < 12:
            with suppress(OSError):
                dripping.sendall(b"x")
            try:
                answer = dripping.recv(1000)
            except TimeoutError:
                continue
            except ConnectionResetError:
                answer = b""
    assert 3 < time.monotonic() - began < 8
    assert answer == b"" or b" 408 " in answer


def test_a_process_that_dies_is_replaced(start: Start) -> None:
    program = start()
    first = program.delivering_pid()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{program.url}/crash", timeout=15)
    (program.folder / "die").touch()
    wait_for(lambda: requests.get(f"{program.url}/pid", timeout=15).ok)
    wait_for(lambda: program.delivering_pid() != first)
    assert program.logged("process.died")[0]["role"] == "deliver"
    assert program.stop() == 0


def test_no_process_outlives_a_killed_supervisor(start: Start) -> None:
    program = start(processes=2)
    pids = {program.delivering_pid()}
    pids |= {one["pid"] for one in program.logged("process.started")}
    pids.add(int(requests.get(f"{program.url}/pid", timeout=15).text))
    os.kill(program.process.pid, signal.SIGKILL)
    program.process.wait(10)
    wait_for(lambda: not any(map(_runs, pids)))


def test_ctrl_c_to_every_process_stops_in_good_order(start: Start) -> None:
    program = start()
    pids = [program.delivering_pid()]
    pids.append(int(requests.get(f"{program.url}/pid", timeout=15).text))
    pids += [one["pid"] for one in program.logged("process.started")]
    for pid in {*pids, program.process.pid}:
        os.kill(pid, signal.SIGINT)
    assert program.process.wait(20) == 0
    assert (program.folder / "drained").exists()
