"""Endpoints that take what was posted raw to Iterable before, and answer as it does."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.product.program import KEY, SECRET, Program, installed, new_person

TOKEN = "inbound-token-3"


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A running program with a route for raw bodies before that for everything."""
    with installed(tmp_path_factory.mktemp("compatible")) as program:
        raw = {"name": "raw", "match": {"raw": True}, "template": "passthrough.json.j2"}
        program.configure(routes=[raw, *program.config["routes"]])
        program.env["BRIDGE_INBOUND_TOKEN"] = f"{TOKEN},older-token-4"
        program.start()
        yield program


def body(person: str, **fields: Any) -> dict[str, Any]:
    """Make what a distribution posts to Iterable."""
    fields = fields or {"couponCode": person}
    return {"campaignId": 7, "recipientUserId": person, "dataFields": fields}


def send(program: Program, path: str, document: Any, key: str = KEY) -> Any:
    return program.post(document, path, headers={"api-key": key})


@pytest.mark.parametrize("medium", ["email", "webPush"])
def test_a_body_is_passed_on_to_the_medium_it_was_posted_for(
    started: Program, medium: str
) -> None:
    person = new_person()
    assert send(started, f"/api/{medium}/target", body(person)).ok
    [message] = started.iterable.arrived(person)
    assert message.path == f"/api/{medium}/target"
    assert message.body == body(person)


@pytest.mark.parametrize("key", ["", "wrong", SECRET])
def test_another_key_is_refused_and_nothing_is_kept(started: Program, key: str) -> None:
    person = new_person()
    answer = send(started, "/api/email/target", body(person), key)
    assert (answer.status_code, answer.json()["code"]) == (401, "BadApiKey")
    send(started, "/api/email/target", body(other := new_person()))
    started.iterable.arrived(other)
    assert started.iterable.attempts(person) == []


def test_a_body_that_cannot_be_sent_is_kept_and_not_refused(started: Program) -> None:
    before = len(started.iterable.attempts())
    useless = (b"not JSON", {"campaignId": 7}, body("{{customer.source_id}}"))
    answers = [send(started, "/api/email/target", one) for one in useless]
    ids = {answer.headers["X-Event-Id"] for answer in answers}
    events = [one for one in started.events() if one["id"] in ids]
    assert [one["status"] for one in events] == ["parked"] * 3
    assert len(started.iterable.attempts()) == before


def test_the_answer_is_iterables_own_with_our_id_beside_it(started: Program) -> None:
    answer = send(started, "/api/email/target", body(new_person()))
    assert answer.status_code == 200
    assert answer.json()["code"] == "Success"
    assert set(answer.json()) == {"msg", "code", "params"}
    assert answer.headers["X-Event-Id"]
    assert answer.headers["X-Request-Id"]


def test_a_triggered_campaign_for_one_person_is_sent_by_mail(started: Program) -> None:
    person = new_person()
    assert send(started, "/api/campaigns/trigger", body(person)).ok
    [message] = started.iterable.arrived(person)
    assert message.path == "/api/email/target"
