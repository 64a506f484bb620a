"""The promises as checks of a running installation.

Each is run twice: on the program, which must keep it, and on a spoilt copy of the
program, on which the check must fail (`test_controls.py`).
"""

import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from threading import Event

import requests

from tests.e2e.program import Program, envelope, wait_for
from tests.faults import points
from tests.servers import Server, read_request

OK = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 46\r\n\r\n"
    b'{"msg": "", "code": "Success", "params": null}'
)


def hang_up_unanswered(asked: Future[requests.Response]) -> None:
    """Make sure that a sender was cut off, and had no answer before."""
    error = asked.exception()
    assert isinstance(error, requests.ConnectionError), "answered before it was stored"


def stored_before_answered(program: Program) -> None:
    """Kill before the commit: no 2xx, nothing is stored, and a repeat delivers."""
    program.start("--no-deliver")
    program.post(envelope(0))
    with ThreadPoolExecutor(1) as pool:
        with points.turn_taken(program):
            asked = pool.submit(program.post, envelope(1))
            wait_for(lambda: asked.done() or points.waits_for_turn(program))
            assert not asked.done(), "answered before it was stored"
            program.kill()
        program.hang_up()
        hang_up_unanswered(asked)
    kept = {row.recipient for row in program.deliveries()}
    assert kept == {"crm-0"}, "answered before it was stored"
    program.start()
    assert program.post(envelope(1)).json()["status"] == "stored"
    wait_for(lambda: program.statuses() == {"accepted": 2})
    assert sorted(points.names(program)) == ["crm-0", "crm-1"]


def on_disk_when_answered(program: Program) -> None:
    """Ask the program's own connection whether a commit waits for the disk."""
    script = (
        "import sys; from bridge.store import open_store\n"
        "store = open_store(sys.argv[1]); store.migrate()\n"
        "with store.write() as tx: print(*("
        "tx.connection.exec_driver_sql('PRAGMA ' + name).scalar()"
        " for name in ('synchronous', 'journal_mode')))"
    )
    printed = program.python("-c", script, f"sqlite:///{program.folder / 'bridge.db'}")
    assert printed.split() == ["2", "wal"], "a commit does not wait for the disk"


def kept_when_the_answer_is_lost(program: Program) -> None:
    """Kill after the commit, before the answer: a repeat is one and the same."""
    reader, writer = os.pipe()
    with points.closing_descriptor(reader), points.closing_descriptor(writer):
        program.start("--no-deliver", talk=writer)
        program.post(envelope(0))
        # The line about a stored webhook is written before its answer.
        points.clog(writer)
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(program.post, envelope(1))
            wait_for(lambda: len(program.deliveries()) == 2)
            assert not asked.done()
            program.kill()
            program.hang_up()
            hang_up_unanswered(asked)
    program.start()
    assert program.post(envelope(1)).json()["status"] == "duplicate"
    wait_for(lambda: program.statuses() == {"accepted": 2})
    assert sorted(points.names(program)) == ["crm-0", "crm-1"]


def claimed_is_not_lost(program: Program) -> None:
    """Kill after the claim, before the call: shown as a doubt, told once in the end."""
    program.configure(iterable={"rate_per_second": 1, "timeout_seconds": 0.5})
    program.route(in_doubt="resend")
    program.start()
    program.post(envelope(1))
    program.post(envelope(2))
    wait_for(lambda: program.statuses() == {"accepted": 1, "sending": 1})
    program.kill()
    assert len(program.sandbox.received) == 1, "the kill came too late"
    points.end_leases(program)
    program.start()
    wait_for(lambda: program.statuses() == {"accepted": 2})
    assert sorted(points.names(program)) == ["crm-1", "crm-2"]
    assert sum(row.doubts for row in program.deliveries()) == 1


@dataclass(eq=False)
class Slow:
    """Takes messages and answers each only when told to."""

    told: list[bytes] = field(default_factory=list)
    go: Event = field(default_factory=Event)
    answered: Event = field(default_factory=Event)

    def play(self, connection: socket.socket) -> None:
        while request := read_request(connection):
            self.told.append(request)
            assert self.go.wait(60)
            connection.sendall(OK)
            self.answered.set()


@contextmanager
def slow_iterable(program: Program) -> Iterator[Slow]:
    """Play an Iterable that answers when told to, in place of the sandbox."""
    slow = Slow()
    server = Server(slow.play)
    program.env["ITERABLE_BASE_URL"] = f"http://127.0.0.1:{server.port}"
    try:
        yield slow
    finally:
        slow.go.set()
        if program.process is not None:
            program.kill()
        server.stop()


def sent_is_not_blindly_repeated(program: Program, policy: str = "hold") -> None:
    """Kill after the send, before the mark: one message, and the doubt is shown."""
    program.configure(iterable={"rate_per_second": 5000, "timeout_seconds": 2})
    program.route(in_doubt=policy)
    with slow_iterable(program) as slow:
        program.start()
        program.post(envelope(1))
        wait_for(lambda: slow.told)
        with points.turn_taken(program):
            slow.go.set()
            assert slow.answered.wait(20)
            assert program.statuses() == {"sending": 1}
            program.kill()
        points.end_leases(program)
        program.start()
        moving = {"pending", "sending", "in_doubt"}
        wait_for(lambda: not set(program.statuses()) & moving)
    (row,) = program.deliveries()
    settled, sent = {"hold": ("held", 1), "resend": ("accepted", 2)}[policy]
    assert len(slow.told) == sent, "sent again though it was in doubt"
    assert (row.status, row.doubts) == (settled, 1)


def checked_before_it_is_sent_again(program: Program) -> None:
    """Answer 500 to a message that is taken, and one that is not: each comes once."""
    check = {"after": "1s", "rate_per_second": 500}
    program.configure(iterable={"rate_per_second": 5000, "verify": check})
    for accepts in (True, False):
        program.sandbox.tell(path="/api/email/target", status=500, accepts=accepts)
    program.start()
    program.post(envelope(1))
    program.post(envelope(2))
    wait_for(lambda: program.statuses() == {"accepted": 2})
    assert [row.doubts for row in program.deliveries()] == [1, 1]
    told = sorted(points.names(program))
    assert len(told) == len(set(told)), "told twice though Iterable showed it"
    assert told == ["crm-1", "crm-2"], "taken for sent though Iterable did not show it"


def one_message_per_reward(program: Program) -> None:
    """Tell one reward by two events, and one event twice: one message."""
    program.start()
    reward = envelope(1)
    other = reward.replace(b'"whs_', b'"whs_f').replace(b'"evcus_', b'"evpub_')
    answers = [program.post(body).json() for body in (reward, reward, other)]
    assert len({tuple(answer["deliveries"]) for answer in answers}) == 1, (
        "one reward became two deliveries"
    )
    assert [one["status"] for one in answers] == ["stored", "duplicate", "duplicate"]
    wait_for(lambda: program.statuses() == {"accepted": 1})
    assert points.names(program) == ["crm-1"]


def late_words_of_a_lost_lease_count_for_nothing(program: Program) -> None:
    """Stop a worker past its lease: what it says then does not undo its successor's."""
    program.configure(iterable={"rate_per_second": 5000, "timeout_seconds": 30})
    program.route(in_doubt="resend")
    refusal = {"code": "RateLimitExceeded", "params": None, "msg": ""}
    program.sandbox.tell(status=503, body=refusal, delay_after=0.2)
    program.sandbox.tell(delay_after=2, times=None)
    program.start()
    program.post(envelope(1))
    wait_for(lambda: program.sandbox.received)
    assert program.process is not None
    first = program.pid_of("deliver")
    os.kill(first, signal.SIGSTOP)
    second = program.beside("worker")
    try:
        _take_over(program)
        os.kill(first, signal.SIGCONT)
        # A round of the first one: its late words have been heard.
        wait_for(partial(_has_heard, program))
        assert program.statuses() == {"sending": 1}, "a lost lease still counted"
        wait_for(lambda: program.statuses() == {"accepted": 1})
    finally:
        second.terminate()
        second.wait(30)
    assert len(program.sandbox.received) == 2, "sent once too often"


def _take_over(program: Program) -> None:
    """Let the lease end, and the other worker send."""
    points.end_leases(program)
    wait_for(lambda: program.statuses() == {"in_doubt": 1})
    with program.store.write() as tx:
        tx.connection.exec_driver_sql("UPDATE deliveries SET due_at = 0")
    wait_for(lambda: len(program.sandbox.received) == 2)


def _has_heard(program: Program) -> bool:
    """Tell whether the first worker's answer is in the history of the delivery."""
    (row,) = program.deliveries()
    story = program.store.ledger.story(row.id)
    return story is not None and any(one.status == 503 for one in story.attempts)
