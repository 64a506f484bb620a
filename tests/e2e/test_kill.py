"""Power cuts: whatever was answered 2xx is delivered, and repeats are accounted for."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from threading import Event

import pytest
import requests

from tests.e2e.program import Program, envelope, wait_for

pytestmark = pytest.mark.e2e

THREADS = 8


class Load:
    """Sends new webhooks from several threads and notes which were answered 2xx."""

    def __init__(self, program: Program, senders: int = 4) -> None:
        self._program = program
        self._numbers = count(1)
        self._stop = Event()
        self._pool = ThreadPoolExecutor(senders)
        self.answered: set[str] = set()
        self._running = [self._pool.submit(self._send) for _ in range(senders)]

    def _send(self) -> None:
        while not self._stop.is_set():
            number = next(self._numbers)
            try:
                answer = self._program.post(envelope(number))
            except requests.RequestException:
                self._stop.wait(0.01)  # the program is down: what anybody would do
                continue
            if answer.status_code == 202:
                self.answered.add(f"crm-{number}")

    def end(self, *, is_down: bool = False) -> None:
        """Send no more; what waits at the port of a stopped program is given up."""
        self._stop.set()
        if is_down:
            self._program.hang_up()
        self._pool.shutdown()
        for sender in self._running:
            sender.result()


def kill_under_load(program: Program, times: int) -> None:
    program.configure(iterable={"rate_per_second": 400, "timeout_seconds": 0.5})
    program.route(in_doubt="resend")
    # Slow enough that calls are open whenever the cut comes.
    program.sandbox.tell(times=None, delay_after=0.02)
    program.options = ("--threads", str(THREADS))
    program.start()
    load = Load(program)
    for _ in range(times):
        enough = len(program.accepted()) + 40
        wait_for(partial(has_accepted, program, enough))
        program.kill()
        program.start()
        # So that no delivery is cut down twice: then a person would have to decide.
        wait_for(lambda: no_lease_is_old(program), seconds=60)
    load.end()
    wait_for(lambda: set(program.statuses()) == {"accepted"}, seconds=90)
    check(program, load.answered, times)


def has_accepted(program: Program, number: int) -> bool:
    return len(program.accepted()) >= number


def no_lease_is_old(program: Program) -> bool:
    """Tell whether what the killed program held has been settled."""
    assert program.process is not None
    with program.store.read() as tx:
        rows = tx.connection.exec_driver_sql(
            "SELECT status, updated_at FROM deliveries WHERE status IN"
            " ('sending', 'in_doubt') OR (status = 'pending' AND doubts > 0)"
        ).all()
    age = time.time() - 1.5
    return not any(
        status != "sending" or updated_at / 1e6 < age for status, updated_at in rows
    )


def check(program: Program, answered: set[str], times: int) -> None:
    told = Counter(message.user for message in program.accepted())
    assert answered <= set(told), "a webhook that was answered was lost"
    repeated = {user for user, number in told.items() if number > 1}
    rows = {row.recipient: row for row in program.deliveries()}
    doubted = {user for user, row in rows.items() if row.doubts > 0}
    assert repeated <= doubted, "a repeat was not shown as having been in doubt"
    extra = sum(told[user] - 1 for user in repeated)
    assert extra <= 2 * THREADS * times
    for user in sorted(doubted):
        story = program.store.ledger.story(rows[user].id)
        assert story is not None
        assert "unknown" in [attempt.outcome for attempt in story.attempts]


def test_nothing_is_lost_when_the_program_is_killed_under_load(
    program: Program,
) -> None:
    kill_under_load(program, times=2)


@pytest.mark.torture
def test_nothing_is_lost_in_ten_kills_under_load(program: Program) -> None:
    kill_under_load(program, times=10)
