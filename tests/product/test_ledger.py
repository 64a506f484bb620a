"""What came and what became of it: `deliveries`, `events`, and one history."""

from collections.abc import Iterator

import pytest

from tests.product.program import (
    ROUTE,
    SAMPLES,
    Program,
    installed,
    new_person,
    webhook,
)
from tests.product.recorder import Answer

UNKNOWN_USER = {"msg": "No user", "code": "UnknownUserIdError", "params": None}
#: Codes of the samples' campaign "Autumn Mailing 2026".
AUTUMN = {"AUT-k9Zt3", "AUT-2mFp8", "AUT-w7Hq1"}
ROUTES = [
    {
        "name": "points",
        "match": {"events": ["customer.rewarded.loyalty_points", "*.balance_added"]},
        "campaign_id": 7,
        "template": "points.json.j2",
    },
    {"name": "rewards", **ROUTE, "match": {"vouchers": ["DISCOUNT_VOUCHER"]}},
]


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A ledger with every sample in it; nothing runs."""
    with installed(tmp_path_factory.mktemp("sampled"), routes=ROUTES) as program:
        program.run("replay", "--yes", str(SAMPLES))
        yield program


@pytest.mark.parametrize(
    ("filters", "codes"),
    [
        (["--search", "THX-9"], {"THX-9vB30k"}),
        (["--search", "crm-20917", "--route", "points"], {"GIFT-b7R2kM0x"}),
        (["--search", "Autumn Mailing 2026", "--since", "1h"], AUTUMN),
        (["--status", "held"], set()),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_deliveries_are_found_by_filters_and_by_words(
    sampled: Program, filters: list[str], codes: set[str]
) -> None:
    assert {one["code"] for one in sampled.rows("deliveries", *filters)} == codes


def test_a_mistyped_route_is_told_from_an_empty_one(sampled: Program) -> None:
    empty = sampled.command("deliveries", "--route", "points", "--status", "dead")
    assert (empty.returncode, empty.stdout) == (0, "")
    wrong = sampled.command("deliveries", "--route", "pionts")
    assert wrong.returncode == 1
    assert "pionts" in wrong.stderr


def test_events_are_listed_by_state_with_their_reason(sampled: Program) -> None:
    parked = sampled.events("--status", "parked")
    assert parked
    assert {one["status"] for one in parked} == {"parked"}
    assert all(one["reason"] for one in parked)
    ignored = sampled.events("--status", "ignored")
    assert {one["status"] for one in ignored} == {"ignored"}
    shown = sampled.run("events", "--status", "parked", "--limit", "1").splitlines()
    assert len(shown) == 2
    assert shown[0].split()[:2] == ["ID", "STATUS"]


def test_a_history_goes_from_the_webhook_to_the_last_attempt(started: Program) -> None:
    person = new_person()
    unknown = Answer(status=400, body=UNKNOWN_USER)
    started.iterable.tell(unknown, person=person)
    dead = started.deliver(webhook(person, code="HIST-1"))
    assert dead["status"] == "dead"
    started.run("redeliver", dead["id"], "--yes")
    started.iterable.arrived(person)
    started.in_state(dead["id"], "accepted")
    shown = started.run("deliveries", dead["id"])
    assert dead["id"] in shown
    assert dead["event_id"] in shown
    between = shown[shown.rindex("UnknownUserIdError") : shown.rindex("Success")]
    assert "redeliver" in between.lower()
    assert '"couponCode": "HIST-1"' in shown
    reported = started.delivery(dead["id"])
    codes = [one["code"] for one in reported["attempts"]]
    assert codes == ["UnknownUserIdError", "Success"]
    assert reported["event"]["id"] == dead["event_id"]
    assert reported["delivery"]["status"] == "accepted"


def test_a_parked_event_is_dismissed_with_a_reason(sampled: Program) -> None:
    event = sampled.events("--status", "parked")[0]
    sampled.run("events", "dismiss", event["id"], "--reason", "a test")
    assert event["id"] not in {
        one["id"] for one in sampled.events("--status", "parked")
    }
    assert "a test" in sampled.run("events", event["id"])
