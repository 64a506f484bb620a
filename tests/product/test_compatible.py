"""Endpoints that take what was posted raw to Iterable before, and answer as it does."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.product.dialect import compatible_event_id, new_only
from tests.product.program import KEY, SECRET, Program, installed, new_person, webhook

TOKEN = "inbound-token-3"
MEDIA = ("email", "sms", "push", "inApp", "webPush", "whatsApp")


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


@pytest.mark.parametrize("medium", MEDIA)
def test_a_body_is_passed_on_to_the_medium_it_was_posted_for(
    started: Program, medium: str
) -> None:
    person = new_person()
    answer = send(started, f"/api/{medium}/target", body(person))
    assert compatible_event_id(answer)
    [message] = started.iterable.arrived(person)
    assert message.path == f"/api/{medium}/target"
    assert message.body == body(person)


@pytest.mark.parametrize("key", [KEY, TOKEN, "older-token-4"])
def test_iterables_key_and_the_bridges_tokens_authenticate(
    started: Program, key: str
) -> None:
    answer = send(started, "/api/email/target", body(new_person()), key)
    assert compatible_event_id(answer)


def test_voucherifys_signature_authenticates_too(started: Program) -> None:
    answer = started.post(body(new_person()), "/api/email/target")
    assert compatible_event_id(answer)


@pytest.mark.parametrize("key", ["", "wrong", SECRET])
def test_another_key_is_refused_and_nothing_is_kept(started: Program, key: str) -> None:
    person = new_person()
    assert send(started, "/api/email/target", body(person), key).status_code == 401
    send(started, "/api/email/target", body(other := new_person()))
    started.iterable.arrived(other)
    assert started.iterable.attempts(person) == []


def test_keys_iterable_does_not_know_are_left_out(started: Program) -> None:
    person = new_person()
    document = body(person) | {"voucherify": {"event": "x"}, "colour": "blue"}
    send(started, "/api/email/target", document)
    [message] = started.iterable.arrived(person)
    assert message.body == body(person)


def test_a_campaign_in_digits_becomes_a_number(started: Program) -> None:
    person = new_person()
    send(started, "/api/email/target", body(person) | {"campaignId": "7"})
    [message] = started.iterable.arrived(person)
    assert message.body["campaignId"] == 7


def test_a_body_that_cannot_be_sent_is_kept_and_not_refused(started: Program) -> None:
    before = len(started.iterable.attempts())
    useless = (b"not JSON", {"campaignId": 7}, body("{{customer.source_id}}"))
    answers = [send(started, "/api/email/target", one) for one in useless]
    ids = {compatible_event_id(answer) for answer in answers}
    events = [one for one in started.events() if one["id"] in ids]
    assert [one["status"] for one in events] == ["parked"] * 3
    assert len(started.iterable.attempts()) == before


def test_an_event_of_voucherify_never_takes_the_route_of_raw_bodies(
    started: Program,
) -> None:
    started.accept(webhook(person := new_person()))
    [message] = started.iterable.arrived(person)
    assert message.body["campaignId"] == 1


@new_only("sends a body whose placeholders were not filled in below the top")
def test_a_nested_placeholder_that_was_not_filled_in_is_parked(
    started: Program,
) -> None:
    fields = {"offers": [{"title": "10 % off", "code": "{{voucher.code}}"}]}
    answer = started.post(body(person := new_person(), **fields))
    assert answer.json()["status"] == "parked"
    assert started.iterable.attempts(person) == []


@new_only("answers 202 with the bridge's own words")
def test_the_answer_is_iterables_own_with_our_id_beside_it(started: Program) -> None:
    answer = send(started, "/api/email/target", body(new_person()))
    assert answer.status_code == 200
    assert answer.json()["code"] == "Success"
    assert set(answer.json()) == {"msg", "code", "params"}
    assert answer.headers["X-Event-Id"]
    assert answer.headers["X-Request-Id"]


@new_only("answers a problem document")
def test_a_refusal_is_worded_as_iterables(started: Program) -> None:
    answer = send(started, "/api/email/target", body(new_person()), "wrong")
    assert answer.status_code == 401
    assert set(answer.json()) == {"msg", "code", "params"}
    assert answer.json()["code"] != "Success"


@new_only("answers 404 where the path ends in a slash")
def test_a_trailing_slash_makes_no_difference_here(started: Program) -> None:
    answer = send(started, "/api/email/target/", body(person := new_person()))
    assert compatible_event_id(answer)
    started.iterable.arrived(person)


@new_only("answers 404 at /api/campaigns/trigger")
def test_a_triggered_campaign_for_one_person_is_sent_by_mail(started: Program) -> None:
    answer = send(started, "/api/campaigns/trigger", body(person := new_person()))
    assert compatible_event_id(answer)
    [message] = started.iterable.arrived(person)
    assert message.path == "/api/email/target"


@new_only("answers 404 at /api/campaigns/trigger")
def test_a_triggered_campaign_for_lists_is_parked_with_the_reason(
    started: Program,
) -> None:
    document = {"campaignId": 7, "listIds": [1, 2]}
    answer = send(started, "/api/campaigns/trigger", document)
    event_id = compatible_event_id(answer)
    [event] = [one for one in started.events() if one["id"] == event_id]
    assert event["status"] == "parked"
    assert "listIds" in event["reason"]
