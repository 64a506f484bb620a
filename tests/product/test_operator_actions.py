"""What an operator does by hand: redeliver, resolve, pause, resume."""

from collections.abc import Iterator

import pytest

from tests.product.program import ROUTE, Program, installed, new_person, webhook
from tests.product.recorder import Answer

UNKNOWN = Answer(status=400, body={"msg": "", "code": "UnknownUserIdError"})
ROUTES = [
    {"name": "paused", **ROUTE, "match": {"campaigns": ["Paused"]}},
    {"name": "held", **ROUTE, "match": {"campaigns": ["Held"]}, "recipient": ["email"]},
    {"name": "all", **ROUTE},
]


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A running installation with routes to stop and to hold."""
    with installed(tmp_path_factory.mktemp("operated"), routes=ROUTES) as program:
        program.template("held.json.j2", '{"campaignId": {{ reward.nope_2 }}}')
        program.start()
        yield program


def dead(program: Program, campaign: str = "Load") -> dict[str, str]:
    """Make a delivery that Iterable refused for good."""
    person = new_person()
    program.iterable.tell(UNKNOWN, person=person)
    row = program.deliver(webhook(person, campaign=campaign))
    assert row["status"] == "dead"
    return row


def state(program: Program, delivery_id: str) -> str:
    return str(program.delivery(delivery_id)["delivery"]["status"])


def test_redeliver_shows_its_plan_and_waits_for_yes(operated: Program) -> None:
    row = dead(operated)
    plan = operated.command("redeliver", row["id"])
    assert plan.returncode == 1
    assert "--yes" in plan.stderr
    assert "UnknownUserIdError" in plan.stderr
    assert state(operated, row["id"]) == "dead"
    operated.run("redeliver", row["id"], "--yes")
    operated.iterable.arrived(row["recipient"])
    assert operated.in_state(row["id"], "accepted")["reason"]


def test_deliveries_are_put_back_by_filter_as_the_same_rows(operated: Program) -> None:
    rows = [dead(operated) for _ in range(2)]
    chosen = ("--status", "dead", "--route", "all", "--since", "1h")
    shown = operated.command("redeliver", *chosen, "--yes")
    assert shown.returncode == 0, shown.stderr
    for row in rows:
        operated.in_state(row["id"], "accepted")
        found = operated.delivery(row["id"])
        assert [one["number"] for one in found["attempts"]] == [1, 2]


def test_what_was_accepted_is_sent_again_only_by_force(operated: Program) -> None:
    person = new_person()
    row = operated.deliver(webhook(person))
    refused = operated.command("redeliver", row["id"], "--yes")
    assert refused.returncode == 1
    assert "--force" in refused.stderr
    assert len(operated.iterable.messages(person)) == 1
    operated.run("redeliver", row["id"], "--force", "--yes")
    operated.iterable.wait(lambda: len(operated.iterable.messages(person)) == 2)


@pytest.mark.parametrize(
    ("option", "becomes"), [("--sent", "accepted"), ("--drop", "dropped")]
)
def test_a_dead_delivery_is_closed_by_hand_with_a_reason(
    operated: Program, option: str, becomes: str
) -> None:
    row = dead(operated)
    operated.run("resolve", row["id"], option, "--reason", "called her", "--yes")
    found = operated.delivery(row["id"])["delivery"]
    assert (found["status"], found["reason"]) == (becomes, "called her")
    assert "called her" in operated.run("deliveries", row["id"])
    again = operated.command("resolve", row["id"], option, "--reason", "x", "--yes")
    assert again.returncode in (1, 2)
    assert len(operated.iterable.messages(row["recipient"])) == 0


def test_messages_of_a_paused_route_wait_until_it_is_resumed(
    operated: Program,
) -> None:
    operated.run("pause", "paused", "--reason", "wording under review", "--yes")
    waits, goes = new_person(), new_person()
    [waiting] = operated.accept(webhook(waits, campaign="Paused"))
    operated.accept(webhook(goes))
    operated.iterable.arrived(goes)
    shown = operated.command("deliveries", "--limit", "2")
    assert "wording under review" in shown.stderr
    assert "wording under review" in operated.run("deliveries", waiting)
    assert state(operated, waiting) == "pending"
    assert operated.iterable.attempts(waits) == []
    operated.run("resume", "paused", "--yes")
    operated.iterable.arrived(waits)
    assert operated.in_state(waiting, "accepted")["attempts"] == 1
