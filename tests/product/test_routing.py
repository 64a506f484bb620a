"""Which route takes a reward, whom the message is for, and what is held back."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.product.program import Program, installed, new_person, webhook

TEMPLATE = "triggered_email.json.j2"


def route(name: str, number: int, match: Any, **others: Any) -> dict[str, Any]:
    return {
        "name": name,
        "match": match,
        "campaign_id": number,
        "template": TEMPLATE,
        **others,
    }


LIMIT = {"max": 2, "window": "24h"}
SET = {"group_by": "publication", "template": "publication.json.j2"}
PEOPLE = [{"lookup": "people.csv"}]
ROUTES = [
    route("pattern", 11, {"campaigns": ["Spring*"]}),
    route("both", 12, {"campaigns": ["Spring Sale", "Only gifts"]}),
    route("brackets", 13, {"campaigns": ["Sale [20%]"]}),
    route("by-id", 14, {"campaigns": ["camp_by_id"]}),
    route("gifts", 15, {"events": ["voucher.*"], "vouchers": ["GIFT_VOUCHER"]}),
    route("mail", 16, {"campaigns": ["Mail"]}, recipient=["email"]),
    route("either", 17, {"campaigns": ["Either"]}, recipient=["source_id", "email"]),
    route("people", 18, {"campaigns": ["Looked up"]}, recipient=PEOPLE),
    route("set", 19, {"campaigns": ["Autumn*"]}, **SET),
    route("guarded", 20, {"campaigns": ["Guarded"]}, min_validity="12h"),
    route("limited", 21, {"campaigns": ["Limited"]}, limit_per_customer=LIMIT),
    route("text", 22, {"campaigns": ["By text"]}, endpoint="sms/target"),
    route("rest", 30, {"events": ["publication.succeeded"]}),
]
for one in ROUTES:
    if one["name"] == "text":
        one["template"] = "triggered_message.json.j2"


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    folder = tmp_path_factory.mktemp("routing")
    with installed(folder, routes=ROUTES) as program:
        people = "crm-lookup,user-1\nleo@shop.example,user-2\n"
        (folder / "people.csv").write_text(people, encoding="utf-8")
        program.start()
        yield program


def campaign_of(program: Program, document: dict[str, Any]) -> int:
    """Post a webhook; give the number of the campaign it is sent through."""
    person = document["data"]["customer"]["source_id"]
    program.accept(document)
    [message] = program.iterable.arrived(person)
    return int(message.body["campaignId"])


@pytest.mark.parametrize(
    ("campaign", "number"),
    [
        pytest.param("Spring Sale", 11, id="the first that matches"),
        pytest.param("Only gifts", 12, id="a later name of a list"),
        pytest.param("Sale [20%]", 13, id="a name with brackets"),
        pytest.param("spring sale", 30, id="another case"),
        pytest.param("Anything", 30, id="the last"),
    ],
)
def test_the_first_route_that_matches_the_campaign_takes_it(
    started: Program, campaign: str, number: int
) -> None:
    assert campaign_of(started, webhook(new_person(), campaign=campaign)) == number


def test_a_route_names_the_medium(started: Program) -> None:
    started.accept(webhook(person := new_person(), campaign="By text"))
    [message] = started.iterable.arrived(person)
    assert message.path == "/api/sms/target"
    assert "metadata" not in message.body


@pytest.mark.parametrize(
    ("customer", "user"),
    [
        ({"source_id": "crm-lookup"}, "user-1"),
        ({"source_id": "crm-other", "email": "leo@shop.example"}, "user-2"),
    ],
    ids=["source id", "address"],
)
def test_a_recipient_may_be_looked_up_in_a_file(
    started: Program, customer: dict[str, Any], user: str
) -> None:
    started.accept(webhook(campaign="Looked up", customer=customer))
    [message] = started.iterable.arrived(user)
    assert message.body["recipientUserId"] == user


def test_a_reward_without_a_usable_recipient_is_kept_and_not_sent(
    started: Program,
) -> None:
    unusable = (None, "", "{{customer.source_id}}", "x" * 53, "añá", "blank ")
    before = len(started.iterable.attempts())
    for source_id in unusable:
        answer = started.post(webhook(customer={"source_id": source_id}))
        assert answer.status_code == 202
        assert answer.json()["status"] == "parked"
    parked = started.events("--status", "parked")
    assert len([one for one in parked if one["reason"]]) == len(unusable)
    assert len(started.iterable.attempts()) == before


def test_a_voucher_that_is_worth_nothing_any_more_is_not_sent(
    started: Program,
) -> None:
    now = datetime.now(UTC)
    expected = {
        ("Any", -1): "dead",
        ("Any", 1): "accepted",
        ("Guarded", 11): "dead",
        ("Guarded", 13): "accepted",
    }
    ids = []
    for campaign, hours in expected:
        voucher = {"expiration_date": (now + timedelta(hours=hours)).isoformat()}
        ids += started.accept(webhook(campaign=campaign, voucher=voucher))
    rows = started.settled(ids)
    assert [row["status"] for row in rows] == list(expected.values())
    assert all("expire" in row["reason"] for row in rows[::2])
    for row in rows[::2]:
        assert started.iterable.attempts(row["recipient"]) == []


def test_rewards_beyond_the_limit_per_customer_are_held_until_redelivered(
    started: Program,
) -> None:
    person = new_person()
    ids = [started.accept(webhook(person, campaign="Limited"))[0] for _ in range(3)]
    held = started.at_rest(ids[2])
    assert held["status"] == "held"
    started.iterable.counted(2, person=person)
    other = new_person()
    started.accept(webhook(other, campaign="Limited"))
    started.iterable.arrived(other)
    started.run("redeliver", ids[2], "--yes")
    started.iterable.counted(3, person=person)
