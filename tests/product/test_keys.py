"""One message per reward and route, however often and by whichever event it is told."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.product.dialect import compatible_event_id
from tests.product.program import (
    KEY,
    ROUTE,
    Program,
    installed,
    new_person,
    sample,
    webhook,
)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A running program with two receiving processes and a route for raw bodies."""
    raw = {"name": "raw", "match": {"raw": True}, "template": "passthrough.json.j2"}
    second = {**ROUTE, "name": "second", "match": {"campaigns": ["Second*"]}}
    routes = [raw, second, {"name": "all", **ROUTE}]
    with installed(tmp_path_factory.mktemp("keys"), routes=routes) as program:
        program.start("--processes", "2")
        yield program


def told_again(document: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Tell of the same reward under another webhook id."""
    event = {**document["event"], "id": f"{document['event']['id']}_again", **changes}
    return {**document, "id": f"{document['id']}_again", "event": event}


def messages_after(program: Program, person: str) -> list[Any]:
    """Send another person a message behind it all; give what this one got."""
    program.deliver(webhook(new_person()))
    return program.iterable.messages(person)


def test_repeats_at_the_same_time_are_one_delivery(started: Program) -> None:
    document = webhook(person := new_person())
    with ThreadPoolExecutor(8) as pool:
        posted = list(pool.map(lambda _: started.post(document), range(100)))
    said = [answer.json() for answer in posted]
    assert {answer.status_code for answer in posted} == {202}
    assert sorted(one["status"] for one in said).count("stored") == 1
    assert len({tuple(one["deliveries"]) for one in said}) == 1
    assert len(messages_after(started, person)) == 1


@pytest.mark.parametrize(
    "event", ["customer.publication.succeeded", "voucher.published"]
)
def test_the_same_publication_by_another_event_is_a_duplicate(
    started: Program, event: str
) -> None:
    document = webhook(person := new_person())
    first = started.accept(document)
    assert started.accept(told_again(document, type=event), "duplicate") == first
    assert len(messages_after(started, person)) == 1


def test_a_rewarded_coupon_and_its_publication_are_one_message(
    started: Program,
) -> None:
    rewarded = sample("14")
    voucher = rewarded["data"]["reward"]["voucher"]
    published = webhook(customer=rewarded["data"]["reward"]["customer"])
    published["data"]["voucher"] = voucher
    published["data"]["publication"]["vouchers_id"] = [voucher["id"]]
    first = started.accept(rewarded)
    assert started.accept(published, "duplicate") == first


def test_the_code_of_another_publication_to_the_same_customer_is_a_duplicate(
    started: Program,
) -> None:
    document = webhook(person := new_person())
    again = webhook(person)
    again["data"]["voucher"] = document["data"]["voucher"]
    again["data"]["publication"]["vouchers_id"] = [document["data"]["voucher"]["id"]]
    first = started.accept(document)
    assert started.accept(again, "duplicate") == first


def test_the_same_code_to_two_customers_is_two_messages(started: Program) -> None:
    one, two = new_person(), new_person()
    shared = {"id": "v_shared", "code": "SUMMER"}
    started.accept(webhook(one, voucher=shared))
    started.accept(webhook(two, voucher=shared))
    found = started.iterable.arrived(one, two)
    assert [message.fields["couponCode"] for message in found] == ["SUMMER", "SUMMER"]


def test_two_rewards_of_one_customer_are_two_messages(started: Program) -> None:
    person = new_person()
    for code in ("TWO-1", "TWO-2"):
        started.accept(webhook(person, code=code))
    found = started.iterable.counted(2, person=person)
    assert {one.fields["couponCode"] for one in found} == {"TWO-1", "TWO-2"}


def test_the_same_reward_on_another_route_is_another_message(
    started: Program,
) -> None:
    document = webhook(person := new_person())
    started.accept(document)
    again = told_again(document)
    name = "Second campaign"
    again["data"] = {**again["data"], "campaign": {"id": "camp_2", "name": name}}
    started.accept(again)
    started.iterable.counted(2, person=person)


def test_a_raw_body_without_ids_is_recognised_as_a_whole(started: Program) -> None:
    person = new_person()
    body = {"campaignId": 1, "recipientUserId": person, "dataFields": {"code": "R-1"}}
    started.accept(body)
    started.accept(body, "duplicate")
    started.accept({**body, "dataFields": {"code": "R-2"}})
    started.iterable.counted(2, person=person)


def test_a_body_at_the_iterable_compatible_endpoint_is_recognised_too(
    started: Program,
) -> None:
    person = new_person()
    body = {"campaignId": 1, "recipientUserId": person, "dataFields": {"code": "D-1"}}
    headers = {"api-key": KEY}
    first = started.post(body, "/api/email/target", headers=headers)
    again = started.post(body, "/api/email/target", headers=headers)
    assert compatible_event_id(first) == compatible_event_id(again)
    assert len(messages_after(started, person)) == 1


def test_a_replayed_capture_of_what_was_posted_sends_nothing(
    started: Program,
) -> None:
    document = webhook(person := new_person())
    [delivery] = started.accept(document)
    event = started.delivery(delivery)["event"]["id"]
    path = started.run("events", event, "--export").strip()
    assert "duplicate" in started.run("replay", path, "--yes")
    assert len(messages_after(started, person)) == 1


def test_a_reward_survives_the_renaming_of_its_route(program: Program) -> None:
    program.start()
    document = webhook(person := new_person())
    first = program.accept(document)
    program.iterable.arrived(person)
    assert program.stop() == [0]
    program.route(name="renamed", previous_names=["all"])
    program.start()
    assert program.accept(told_again(document), "duplicate") == first


def test_a_route_added_later_delivers_what_was_ignored_once(program: Program) -> None:
    program.route(match={"events": ["customer.rewarded"]})
    program.start("--no-deliver")
    document = webhook(person := new_person())
    assert program.accept(document, "ignored") == []
    program.stop()
    program.route()
    for _ in range(2):
        program.run("replay", "--reprocess", "--ignored", "--yes")
    program.start()
    program.iterable.arrived(person)
    assert program.statuses() == ["accepted"]


def test_an_ignored_webhook_that_comes_again_is_decided_again(
    program: Program,
) -> None:
    raw = {"name": "raw", "match": {"raw": True}, "template": "passthrough.json.j2"}
    program.configure(routes=[raw])
    program.start("--no-deliver")
    document = webhook()
    program.accept(document, "ignored")
    program.stop()
    program.route()
    program.start()
    assert len(program.accept(document)) == 1
