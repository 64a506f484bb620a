"""Sends that are under way together: one thread awaits them all."""

import socket
import time
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import pytest

from bridge.dispatch import Result, Sending
from bridge.http import Progress
from bridge.model import Cause, Claim
from bridge.rendering import Payload
from bridge.senders import Senders
from tests.unit.test_senders import Attempts, claim, task


class Answer:
    """An answer whose other end the test holds."""

    def __init__(self, seconds: float, *, is_written: bool) -> None:
        self.deadline = time.monotonic() + seconds
        self.is_written = is_written
        # One message at a time, however many there are.
        self.ours, self.theirs = socket.socketpair(type=socket.SOCK_DGRAM)
        self.looks = 0

    def fileno(self) -> int:
        return self.ours.fileno()

    def look(self) -> Progress:
        try:
            shown = self.ours.recv(10, socket.MSG_DONTWAIT).decode()
        except BlockingIOError:
            shown = "ODD"
        self.looks += 1
        return Progress[shown]

    def show(self, progress: str) -> None:
        self.theirs.send(progress.encode())


class Begun(Attempts):
    """Begins every send; the answers come when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[Answer] = []
        self.seconds = 30.0
        self.is_written = True
        #: What a send that has to wait waits for.
        self.is_over = Event()

    def begin(self, claim: Claim, payload: Payload) -> Any:
        self.answers.append(Answer(self.seconds, is_written=self.is_written))
        return Sending(claim, payload, self.answers[-1], None)  # type: ignore[arg-type]

    def finish(self, sending: Sending) -> Result:
        answer: Any = sending.call
        if not answer.looks or answer.deadline == 0:
            assert self.is_over.wait(20)
        return self.send(sending.claim, sending.payload)


@pytest.fixture
def begun() -> Iterator[Begun]:
    begun = Begun()
    yield begun
    begun.is_over.set()
    for answer in begun.answers:
        answer.ours.close()
        answer.theirs.close()


@pytest.fixture
def senders(begun: Begun) -> Senders:
    return Senders(begun, 2, Event(), begun)  # type: ignore[arg-type]


def submit(senders: Senders, *names: str, **changes: Any) -> None:
    for name in names:
        senders.submit(task(claim=claim(name), **changes))


def back(senders: Senders, count: int = 1) -> dict[str, Cause]:
    results = [one for one in senders.results(10, count) if isinstance(one, Result)]
    return {one.claim.delivery_id: one.settlement.cause for one in results}


def test_no_more_are_open_than_there_may_be(
    senders: Senders, begun: Begun, eventually: Callable[..., None]
) -> None:
    submit(senders, "a", "b", "c", "d")
    eventually(lambda: len(begun.answers) == 2)
    assert senders.results(0.2) == []
    assert len(begun.answers) == 2
    begun.answers[1].show("WHOLE")
    assert back(senders) == {"b": Cause.ANSWERED_OK}
    eventually(lambda: len(begun.answers) == 3)
    for number in (0, 2):
        begun.answers[number].show("WHOLE")
    assert set(back(senders, 2)) == {"a", "c"}
    eventually(lambda: len(begun.answers) == 4)
    begun.answers[3].show("WHOLE")
    assert set(back(senders)) == {"d"}


def test_an_answer_that_is_not_whole_yet_is_looked_at_again(
    senders: Senders, begun: Begun, eventually: Callable[..., None]
) -> None:
    submit(senders, "a")
    eventually(lambda: len(begun.answers) == 1)
    for looks in (1, 2):
        begun.answers[0].show("WAITING")
        eventually(lambda looks=looks: begun.answers[0].looks == looks)
    begun.answers[0].show("WHOLE")
    assert back(senders) == {"a": Cause.ANSWERED_OK}


def test_one_that_has_to_wait_holds_nobody_up(
    senders: Senders, begun: Begun, eventually: Callable[..., None]
) -> None:
    submit(senders, "slow")
    eventually(lambda: len(begun.answers) == 1)
    begun.answers[0].deadline = 0
    begun.answers[0].show("ODD")
    submit(senders, "a", "b")
    for number in (1, 2):
        eventually(lambda number=number: len(begun.answers) == number + 1)
        begun.answers[number].show("WHOLE")
    assert set(back(senders, 2)) == {"a", "b"}
    begun.is_over.set()
    assert back(senders) == {"slow": Cause.ANSWERED_OK}


def test_a_request_that_did_not_go_out_at_once_is_finished_by_who_may_wait(
    senders: Senders, begun: Begun, eventually: Callable[..., None]
) -> None:
    begun.is_written = False
    submit(senders, "long")
    eventually(lambda: len(begun.answers) == 1)
    begun.is_written = True
    submit(senders, "a")
    eventually(lambda: len(begun.answers) == 2)
    begun.answers[1].show("WHOLE")
    assert back(senders) == {"a": Cause.ANSWERED_OK}
    begun.is_over.set()
    assert back(senders) == {"long": Cause.ANSWERED_OK}


def test_no_answer_is_awaited_beyond_its_time(senders: Senders, begun: Begun) -> None:
    begun.seconds = 0.2
    submit(senders, "a", "b")
    assert set(back(senders, 2)) == {"a", "b"}
    assert [answer.looks for answer in begun.answers] == [1, 1]


def test_a_bug_while_looking_leaves_the_delivery_in_doubt(
    senders: Senders, begun: Begun, eventually: Callable[..., None]
) -> None:
    submit(senders, "a")
    eventually(lambda: len(begun.answers) == 1)
    begun.answers[0].show("NONSENSE")
    assert back(senders) == {"a": Cause.OUTCOME_UNKNOWN}
    submit(senders, "b")
    eventually(lambda: len(begun.answers) == 2)
    begun.answers[1].show("WHOLE")
    assert back(senders) == {"b": Cause.ANSWERED_OK}


def test_what_is_open_at_the_end_is_abandoned_in_doubt(
    senders: Senders, begun: Begun, eventually: Callable[..., None]
) -> None:
    submit(senders, "a", "b", "c")
    eventually(lambda: len(begun.answers) == 2)
    causes = [senders.abandon(claim(name)).settlement.cause for name in ("a", "c")]
    assert causes == [Cause.OUTCOME_UNKNOWN, Cause.UNSENT]
    for number in range(3):
        eventually(lambda number=number: len(begun.answers) > number)
        begun.answers[number].show("WHOLE")
    assert set(back(senders, 3)) == {"a", "b", "c"}


def test_who_probes_a_gate_says_so_when_it_is_back(
    senders: Senders, begun: Begun, eventually: Callable[..., None]
) -> None:
    senders.restraint.shut = frozenset({"r"})
    submit(senders, "a", probes="route:r")
    eventually(lambda: len(begun.answers) == 1)
    begun.answers[0].show("WHOLE")
    [result] = senders.results(10)
    assert isinstance(result, Result)
    assert result.probes == "route:r"
