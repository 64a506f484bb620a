"""What is done where it is unknown whether a message was sent."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.product.program import Program, installed, new_person, wait_for, webhook
from tests.product.recorder import Answer

TAKEN = Answer(status=500, body=b"oops", is_taken=True)
NOT_TAKEN = Answer(status=500, body=b"oops")
HANG = Answer(failure="hang", is_taken=True)
RESET = Answer(failure="reset", is_taken=True)
SHOWN = "/api/users/getSentMessages"


def route(policy: str) -> dict[str, Any]:
    return {
        "name": policy,
        "match": {"campaigns": [policy]},
        "campaign_id": 1,
        "template": "triggered_email.json.j2",
        "on_unknown_outcome": policy,
    }


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A running program with a route for each policy."""
    routes = [route(policy) for policy in ("verify", "resend", "hold")]
    with installed(tmp_path_factory.mktemp("unknown"), routes=routes) as program:
        program.destination(timeout="1s")
        program.start()
        yield program


def after_answer(program: Program, answer: Answer, policy: str, times: int = 1) -> Any:
    """Send a message that is answered so; give its person and its row at rest."""
    person = new_person()
    program.iterable.tell(answer, path="/api/email", person=person, times=times)
    return person, program.deliver(webhook(person, campaign=policy))


def test_verify_finds_a_message_that_was_sent_and_does_not_repeat_it(
    started: Program,
) -> None:
    lost = [TAKEN, HANG, RESET]
    people = [new_person() for _ in lost]
    ids = []
    for person, answer in zip(people, lost, strict=True):
        started.iterable.tell(answer, path="/api/email", person=person)
        ids += started.accept(webhook(person, campaign="verify"))
    assert {row["status"] for row in started.settled(ids)} == {"accepted"}
    for person in people:
        assert len(started.iterable.attempts(person)) == 1
        [question, *_] = started.iterable.calls(SHOWN, person=person)
        assert question.query["campaignIds"] == "1"


def test_verify_sends_again_what_iterable_does_not_show(started: Program) -> None:
    person, row = after_answer(started, NOT_TAKEN, "verify")
    assert row["status"] == "accepted"
    assert len(started.iterable.attempts(person)) == 2
    assert len(started.iterable.messages(person)) == 1


def test_another_message_to_the_person_waits_until_the_first_is_known(
    program: Program,
) -> None:
    program.destination(verify={"after": "8s", "rate_per_second": 50})
    program.start()
    person = new_person()
    program.iterable.tell(TAKEN, path="/api/email", person=person)
    [first] = program.accept(webhook(person))
    program.await_log("delivery.outcome_unknown", delivery_id=first)
    wait_for(lambda: program.delivery(first)["delivery"]["status"] == "in_doubt")
    [second] = program.accept(webhook(person))
    rows = program.settled([first, second])
    assert [row["status"] for row in rows] == ["accepted", "accepted"]
    question = program.iterable.calls(SHOWN, person=person)[0]
    assert program.iterable.attempts(person)[1].time > question.time


def test_resend_sends_once_more_and_no_oftener(started: Program) -> None:
    person, row = after_answer(started, TAKEN, "resend")
    assert row["status"] == "accepted"
    assert len(started.iterable.messages(person)) == 2
    person, row = after_answer(started, NOT_TAKEN, "resend", times=2)
    assert row["status"] == "held"
    assert len(started.iterable.attempts(person)) == 2


def test_hold_leaves_it_to_a_person(started: Program) -> None:
    people = [new_person() for _ in range(3)]
    ids = []
    for person in people:
        started.iterable.tell(NOT_TAKEN, path="/api/email", person=person)
        ids += started.accept(webhook(person, campaign="hold"))
    assert {row["status"] for row in started.settled(ids)} == {"held"}
    sent, dropped, again = ids
    why = ("--reason", "seen in the inbox", "--yes")
    started.run("resolve", sent, "--sent", *why, "--yes")
    started.run("resolve", dropped, "--drop", *why, "--yes")
    started.run("redeliver", again, "--yes")
    started.iterable.arrived(people[2])
    rows = started.settled(ids, ("accepted", "dropped"))
    assert [row["status"] for row in rows] == ["accepted", "dropped", "accepted"]
    attempts = [len(started.iterable.attempts(person)) for person in people]
    assert attempts == [1, 1, 2]
