"""A 202 is a promise: kills, stops and restarts lose nothing and repeat nothing."""

import os
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
import requests

from tests.product.program import Program, new_person, webhook
from tests.product.recorder import Answer


def waits_for_answer(program: Program, person: str) -> None:
    """Wait until a message to a person is on its way."""
    program.iterable.wait(lambda: program.iterable.attempts(person))


def slow(seconds: float) -> Answer:
    """Make an answer that accepts the message, late."""
    return Answer(delay=seconds, body={"msg": "", "code": "Success", "params": None})


def test_a_webhook_answered_202_arrives_though_the_program_is_killed_at_once(
    program: Program,
) -> None:
    program.start("--no-deliver")
    people = [new_person() for _ in range(20)]
    for person in people:
        program.accept(webhook(person))
    program.kill()
    program.start()
    assert len(program.iterable.arrived(*people)) == 20


def test_after_a_kill_a_repeat_is_still_recognised(program: Program) -> None:
    document = webhook(person := new_person())
    program.start()
    first = program.accept(document)
    program.iterable.arrived(person)
    program.kill()
    program.start()
    assert program.accept(document, "duplicate") == first


def test_a_call_that_was_open_when_the_program_was_killed_is_verified(
    program: Program,
) -> None:
    program.destination(timeout="1s")
    person = new_person()
    program.iterable.tell(
        Answer(failure="hang", is_taken=True), path="/api/email", person=person
    )
    program.start()
    [delivery] = program.accept(webhook(person))
    waits_for_answer(program, person)
    program.kill()
    program.start()
    assert program.at_rest(delivery, seconds=60)["status"] == "accepted"
    assert len(program.iterable.attempts(person)) == 1


class Load:
    """Posts new webhooks from several threads; knows whose were answered 202."""

    def __init__(self, program: Program, senders: int = 4) -> None:
        self._program = program
        self._stop = Event()
        self._pool = ThreadPoolExecutor(senders)
        self.answered: set[str] = set()
        self._running = [self._pool.submit(self._send) for _ in range(senders)]

    def _send(self) -> None:
        while not self._stop.is_set():
            person = new_person()
            try:
                answer = self._program.post(webhook(person), timeout=20)
            except requests.RequestException:
                self._stop.wait(0.02)  # the program is down
                continue
            if answer.status_code == 202:
                self.answered.add(person)

    def end(self) -> None:
        self._stop.set()
        self._pool.shutdown()
        for one in self._running:
            one.result()


def kill_under_load(program: Program, times: int) -> None:
    """Kill the program several times under load; check that all arrives once."""
    program.destination(timeout="1s", rate_per_second=100)
    program.start()
    for _ in range(times):
        before = len(program.iterable.messages())
        load = Load(program)
        program.iterable.counted(before + 30)
        program.kill()
        load.end()
        program.start()
        program.iterable.arrived(*load.answered, seconds=90)
    message_counts = Counter(one.person for one in program.iterable.messages())
    assert {
        person: number for person, number in message_counts.items() if number > 1
    } == {}


def test_nothing_is_lost_or_repeated_by_a_kill_under_load(program: Program) -> None:
    kill_under_load(program, times=1)


@pytest.mark.torture
def test_nothing_is_lost_or_repeated_by_ten_kills_under_load(program: Program) -> None:
    kill_under_load(program, times=10)


def test_sigterm_lets_open_calls_end(program: Program) -> None:
    person = new_person()
    program.iterable.tell(slow(1.5), path="/api/email", person=person)
    program.start()
    [delivery] = program.accept(webhook(person))
    waits_for_answer(program, person)
    [process] = program.processes
    for _ in range(2):  # as platforms send it: to every process, perhaps twice
        os.killpg(process.pid, signal.SIGTERM)
    assert program.stop() == [0]
    assert program.delivery(delivery)["delivery"]["status"] == "accepted"
