"""Which route takes a reward, whom the message is for, and what is held back."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.product.dialect import new_only
from tests.product.program import Program, installed, new_person, sample, webhook

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
#: The same event of a distribution and of the project.
PREFIXES = ("customer.", "")
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


def test_a_campaign_is_known_by_its_id_too(started: Program) -> None:
    document = webhook(new_person())
    document["data"]["campaign"]["id"] = "camp_by_id"
    assert campaign_of(started, document) == 14


def test_every_condition_of_a_route_must_hold(started: Program) -> None:
    gift = {"type": "GIFT_VOUCHER", "discount": None, "gift": {"amount": 500}}
    published = webhook(new_person(), event="voucher.published", voucher=gift)
    assert campaign_of(started, published) == 15
    other_event = webhook(new_person(), voucher=gift)
    assert campaign_of(started, other_event) == 30
    other_type = webhook(new_person(), event="voucher.published")
    started.accept(other_type, "ignored")


def test_a_route_names_the_medium(started: Program) -> None:
    started.accept(webhook(person := new_person(), campaign="By text"))
    [message] = started.iterable.arrived(person)
    assert message.path == "/api/sms/target"
    assert "metadata" not in message.body


def test_a_recipient_may_be_an_address(started: Program) -> None:
    email = "ana@shop.example"
    started.accept(webhook(campaign="Mail", customer={"email": email}))
    [message] = started.iterable.arrived(email)
    assert message.body["recipientEmail"] == email
    assert "recipientUserId" not in message.body


def test_the_next_rule_names_the_recipient_where_the_first_cannot(
    started: Program,
) -> None:
    known = {"source_id": new_person(), "email": "both@shop.example"}
    nameless = {"source_id": None, "email": "nameless@shop.example"}
    for customer in (known, nameless):
        started.accept(webhook(campaign="Either", customer=customer))
    one, two = started.iterable.arrived(str(known["source_id"]), str(nameless["email"]))
    assert "recipientEmail" not in one.body
    assert "recipientUserId" not in two.body


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


def test_a_set_of_vouchers_is_one_message_with_all_codes(started: Program) -> None:
    [delivery] = started.accept(sample("13"))
    started.at_rest(delivery)
    [message] = started.iterable.messages("crm-10482")
    assert message.fields["couponCodes"] == ["AUT-2mFp8", "AUT-w7Hq1"]


def test_a_set_of_vouchers_is_a_message_each_on_other_routes(started: Program) -> None:
    document = sample("13")
    document["id"] = "whs_another"
    document["data"]["campaign"] = {"id": "camp_x", "name": "Another"}
    document["data"]["publication"]["id"] = "pub_another"
    for voucher in document["data"]["vouchers"]:
        other_id = f"{voucher['id']}_another"
        voucher |= {"campaign": "Another", "campaign_id": "camp_x", "id": other_id}
    document["data"]["customer"]["source_id"] = person = new_person()
    assert len(started.accept(document)) == 2
    found = started.iterable.counted(2, person=person)
    codes = [one.fields["couponCode"] for one in found]
    assert sorted(codes) == ["AUT-2mFp8", "AUT-w7Hq1"]


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


@new_only("loses the first person of a file that begins with a byte order mark")
def test_a_file_that_a_spreadsheet_saved_is_read_whole(program: Program) -> None:
    text = "\ufeffcrm-bom,user-bom\n"
    (program.folder / "people.csv").write_text(text, encoding="utf-8")
    program.route(recipient=PEOPLE)
    program.start()
    program.accept(webhook("crm-bom"))
    program.iterable.arrived("user-bom")


@new_only("makes a message of each of the two events, and finds no points in one")
def test_pending_points_by_two_events_are_one_message(program: Program) -> None:
    program.route(template="points.json.j2")
    program.start()
    event = "loyalty_card.pending_points.activated"
    told = [webhook("crm-points", event=f"{one}voucher.{event}") for one in PREFIXES]
    for document in told:
        del document["data"]["publication"]
        document["data"]["pending_points"] = {"id": "lopp_0001", "points": 50}
    first = program.accept(told[0])
    assert program.accept(told[1], "duplicate") == first
    [message] = program.iterable.arrived("crm-points")
    assert message.fields["points"] == 50
