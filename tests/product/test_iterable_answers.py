"""What each answer of Iterable means for the message."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.product.program import Program, installed, new_person, webhook
from tests.product.recorder import Answer


def said(status: int, code: str | None, msg: str = "no", **params: Any) -> Answer:
    """Make an answer as Iterable words it."""
    body = {"msg": msg, "code": code, "params": params or None}
    return Answer(status=status, body=body)


PAGE = b"<html><h1>Bad gateway</h1></html>"
#: By name: the first answer, the state that follows, and the calls that are made.
CASES = {
    "accepted": (said(200, "Success"), "accepted", 1),
    "accepted for later": (said(202, "Success"), "accepted", 1),
    "no such user": (said(400, "UnknownUserIdError"), "dead", 1),
    "no such address": (said(400, "UnknownEmailError"), "dead", 1),
    "no address": (said(400, "InvalidEmailAddressError"), "dead", 1),
    "bad fields": (said(400, "RequestFieldsTypesMismatched"), "dead", 1),
    "bad parameters": (said(400, "BadParams", recipientUserId="x"), "dead", 1),
    "no code": (said(422, None), "dead", 1),
    "a refusal under 200": (said(200, "UnknownUserIdError"), "dead", 1),
    "a forgotten user": (said(400, "ForgottenUserError"), "suppressed", 1),
    "temporarily away": (said(503, None), "accepted", 2),
    "away behind a proxy": (Answer(status=503, body=PAGE), "accepted", 2),
    "an error inside": (said(500, "GenericError"), "held", 1),
    "an error that says success": (said(500, "Success"), "held", 1),
    "a bad gateway": (Answer(status=502, body=PAGE), "held", 1),
    "a gateway's timeout": (Answer(status=504, body=PAGE), "held", 1),
    "a request timeout": (said(408, None), "held", 1),
    "a reset": (Answer(failure="reset"), "held", 1),
    "no answer": (Answer(failure="hang"), "held", 1),
    "an answer without end": (Answer(failure="endless"), "held", 1),
}


@pytest.fixture(scope="module")
def held_in_doubt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with installed(tmp_path_factory.mktemp("answers")) as program:
        program.destination(timeout="1s")
        program.route(on_unknown_outcome="hold")
        program.start()
        yield program


@pytest.fixture(scope="module")
def rows(held_in_doubt: Program) -> dict[str, Any]:
    """Send a message for each case and let Iterable answer it; give what follows."""
    program = held_in_doubt
    ids = []
    for answer, _, _ in CASES.values():
        program.iterable.tell(answer, path="/api/email", person=(one := new_person()))
        ids += program.accept(webhook(one))
    rows = program.settled(ids, seconds=60)
    return dict(zip(CASES, rows, strict=True))


@pytest.mark.parametrize("name", CASES)
def test_the_answer_decides_what_becomes_of_the_message(
    held_in_doubt: Program, rows: dict[str, Any], name: str
) -> None:
    _, status, calls = CASES[name]
    row = rows[name]
    assert row["status"] == status, row["reason"]
    assert row["reason"]
    assert len(held_in_doubt.iterable.attempts(row["recipient"])) == calls


def test_the_attempts_are_kept_with_their_answers(
    held_in_doubt: Program, rows: dict[str, Any]
) -> None:
    history = held_in_doubt.delivery(rows["temporarily away"]["id"])
    statuses = [one["status"] for one in history["attempts"]]
    assert statuses == [503, 200]


def test_after_a_429_nobody_is_sent_to_until_iterable_allows(program: Program) -> None:
    program.start()
    slow = Answer(status=429, body=b"", headers={"Retry-After": "2"})
    one, two = new_person(), new_person()
    program.iterable.tell(slow, path="/api/email", person=one)
    first = program.accept(webhook(one))[0]
    program.await_log("delivery.rescheduled")
    program.accept(webhook(two))
    program.iterable.arrived(one, two)
    [refused, again] = program.iterable.attempts(one)
    [other] = program.iterable.attempts(two)
    assert min(again.time, other.time) - refused.time >= 1.9
    assert program.at_rest(first)["status"] == "accepted"
