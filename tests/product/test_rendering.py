"""What a template may and may not do to the payload that is sent."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.product.program import ROUTE, Program, installed, new_person, webhook

NAME = 'Ana "}, "campaignId": 99, {{ 7 * 7 }} {% if %}\n\t\\ Ünal 🎁'
METADATA = {
    "name": NAME,
    "points": 1200,
    "share": 0.5,
    "vip": True,
    "tags": ["a", "b"],
    "size": {"cm": 180},
    "empty": "",
    "null": None,
    "text": "abc",
}
#: By name: an expression, and the value that must arrive.
ARRIVES: dict[str, tuple[str, Any]] = {
    "a text with everything in it": ("customer.metadata.name", NAME),
    "a text put together": ('"Hello " ~ customer.metadata.name', f"Hello {NAME}"),
    "a whole number": ("customer.metadata.points", 1200),
    "a fraction": ("customer.metadata.share", 0.5),
    "a flag": ("customer.metadata.vip", True),
    "a list": ("customer.metadata.tags", ["a", "b"]),
    "an object": ("customer.metadata.size", {"cm": 180}),
    "null that may be": ("customer.metadata.null | optional", None),
    "an empty text that may be": ("customer.metadata.empty | optional", ""),
    "a missing value that may be": ("customer.metadata.none | optional", None),
    "a default": ('customer.metadata.null | default("there", true)', "there"),
    "money": ("voucher.discount.amount_off | money", "15.00"),
    "a date": (
        "voucher.expiration_date | optional | iterable_date",
        "2099-09-30 21:59:59 +00:00",
    ),
    "a question": ("reward.points is defined", False),
    "codes": ("reward.codes", ["CODE-R"]),
}
#: Expressions of an empty value, which must not be sent.
EMPTY = {
    "null": "customer.metadata.null",
    "an empty text": "customer.metadata.empty",
    "a missing value": "customer.metadata.none",
    "null beside a text": '"Dear " ~ customer.metadata.null',
    "null in a list": "[reward.code, customer.metadata.null]",
    "a missing value in capitals": "customer.metadata.none | upper",
}


def source(expression: str) -> str:
    """Write a template with one expression as its data field `x`."""
    return (
        '{"campaignId": {{ route.campaign_id }},'
        ' "recipientUserId": {{ recipient.user_id }},'
        ' "dataFields": {"x": {{ ' + expression + " }}}}"
    )


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A running program with a template and a route for each expression."""
    cases = {name: one for name, (one, _) in ARRIVES.items()} | EMPTY
    with installed(tmp_path_factory.mktemp("rendering")) as program:
        routes = []
        for number, (name, expression) in enumerate(cases.items()):
            file = f"case{number}.json.j2"
            program.template(file, source(expression))
            match = {"campaigns": [name]}
            route = {**ROUTE, "name": f"case{number}", "match": match, "template": file}
            routes.append(route)
        program.configure(routes=routes)
        program.start()
        yield program


def case(name: str, person: str) -> dict[str, Any]:
    """Make the webhook for a case."""
    return webhook(
        person,
        campaign=name,
        code="CODE-R",
        customer={"metadata": METADATA},
        voucher={"expiration_date": "2099-09-30T21:59:59.000Z"},
    )


@pytest.mark.parametrize("name", ARRIVES)
def test_a_value_arrives_as_json_whatever_is_in_it(started: Program, name: str) -> None:
    started.accept(case(name, person := new_person()))
    [message] = started.iterable.arrived(person)
    assert message.body["campaignId"] == 1
    assert message.body["recipientUserId"] == person
    assert message.fields == {"x": ARRIVES[name][1]}


def test_an_empty_value_is_held_and_never_sent_by_accident(started: Program) -> None:
    people = {name: new_person() for name in EMPTY}
    ids = [started.accept(case(name, people[name]))[0] for name in EMPTY]
    rows = started.settled(ids)
    assert {row["status"] for row in rows} == {"held"}
    assert all(row["reason"] for row in rows)
    assert [started.iterable.attempts(person) for person in people.values()] == [
        [] for _ in people
    ]


def test_a_held_message_is_sent_with_the_corrected_template(program: Program) -> None:
    program.template("own.json.j2", source("customer.metadata.null"))
    program.route(template="own.json.j2")
    program.start()
    [delivery] = program.accept(case("Any", person := new_person()))
    program.in_state(delivery, "held")
    program.stop()
    program.template("own.json.j2", source("customer.metadata.points"))
    program.start()
    program.run("redeliver", delivery, "--yes")
    [message] = program.iterable.arrived(person)
    assert message.fields == {"x": 1200}


def test_a_text_that_is_no_number_is_held(program: Program) -> None:
    names = ("float", "int", "round")
    routes = []
    for name in names:
        file = f"{name}.json.j2"
        program.template(file, source(f"customer.metadata.text | {name}"))
        match = {"campaigns": [name]}
        routes.append({**ROUTE, "name": name, "match": match, "template": file})
    program.configure(routes=routes)
    program.start()
    ids = [program.accept(case(name, new_person()))[0] for name in names]
    assert {row["status"] for row in program.settled(ids)} == {"held"}
    assert program.iterable.attempts() == []
