"""One message per reward and route, however often and by whichever event it arrives."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.product.program import (
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


def test_the_same_code_to_two_customers_is_two_messages(started: Program) -> None:
    one, two = new_person(), new_person()
    shared = {"id": "v_shared", "code": "SUMMER"}
    started.accept(webhook(one, voucher=shared))
    started.accept(webhook(two, voucher=shared))
    found = started.iterable.arrived(one, two)
    assert [message.fields["couponCode"] for message in found] == ["SUMMER", "SUMMER"]


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
