"""Two schedulers on one queue, and a thread that dies."""

import pytest

from bridge.store.presence import count_workers
from tests.e2e.program import Program, envelope, wait_for
from tests.faults import points

pytestmark = pytest.mark.e2e

#: Ends the thread that makes attempts in the delivering process, once, from outside
#: the program's own code. (An exception set from another thread would wait for the
#: thread to wake up, and until then Python 3.11 goes round in circles under coverage.)
MODULE = """
import os, queue, threading

class Queue(queue.SimpleQueue):
    def get(self, *arguments, path={path!r}, **options):
        item = super().get(*arguments, **options)
        name = threading.current_thread().name
        if name.startswith("sender-") and os.path.exists(path):
            os.unlink(path)
            raise SystemExit
        return item

queue.SimpleQueue = Queue
"""


def test_two_schedulers_share_the_queue_and_tell_nobody_twice(
    program: Program,
) -> None:
    program.start("--no-deliver")
    program.post(envelope(0))
    workers = [program.beside("worker") for _ in range(2)]
    try:
        wait_for(lambda: workers_of(program) == 2, seconds=40)
        for number in range(1, 200):
            program.post(envelope(number))
        wait_for(lambda: program.statuses() == {"accepted": 200}, seconds=40)
    finally:
        for worker in workers:
            worker.terminate()
        assert [worker.wait(30) for worker in workers] == [0, 0]
    assert sorted(points.names(program)) == sorted(f"crm-{n}" for n in range(200))


def workers_of(program: Program) -> int:
    with program.store.read() as tx:
        return count_workers(tx)


def test_a_sending_thread_that_dies_takes_its_process_along_to_a_fresh_start(
    program: Program,
) -> None:
    early, order = program.folder / "early", program.folder / "die"
    early.mkdir()
    module = MODULE.format(path=str(order))
    (early / "sitecustomize.py").write_text(module, encoding="utf-8")
    program.env["PYTHONPATH"] = str(early)
    program.configure(iterable={"rate_per_second": 5000, "timeout_seconds": 1})
    program.start("--threads", "1")
    program.post(envelope(1))
    wait_for(lambda: program.statuses() == {"accepted": 1})
    order.touch()
    program.post(envelope(2))
    wait_for(lambda: '"process.died"' in program.log)
    assert "a thread that sends has died" in program.log
    wait_for(lambda: program.statuses() == {"accepted": 2})
    assert points.names(program) == ["crm-1", "crm-2"]
