"""What an operator does by hand: redeliver, resolve, pause, resume."""

from collections.abc import Iterator

import pytest

from tests.product.dialect import new_only
from tests.product.dialect_operations import DESTINATION, apply
from tests.product.program import ROUTE, Program, installed, new_person, webhook
from tests.product.recorder import Answer

UNKNOWN = Answer(status=400, body={"msg": "", "code": "UnknownUserIdError"})
FORBIDDEN = Answer(status=401, body={"msg": "", "code": "BadApiKey"})
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


@pytest.mark.parametrize(
    "arguments",
    [
        ["--yes"],
        ["01998a3e-62f1-7a10-b3ad-0d2f6a7c1e55", "--status", "dead"],
    ],
    ids=["neither", "both"],
)
def test_redeliver_takes_ids_or_filters(
    operated: Program, arguments: list[str]
) -> None:
    assert operated.command("redeliver", *arguments).returncode == 2


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
    apply(operated, "resolve", row["id"], option, "--reason", "called her")
    found = operated.delivery(row["id"])["delivery"]
    assert (found["status"], found["reason"]) == (becomes, "called her")
    assert "called her" in operated.run("deliveries", row["id"])
    again = operated.command("resolve", row["id"], option, "--reason", "x", "--yes")
    assert again.returncode in (1, 2)
    assert len(operated.iterable.messages(row["recipient"])) == 0


@new_only("today resolve, pause and resume act at once")
def test_resolve_shows_its_plan_and_waits_for_yes(operated: Program) -> None:
    row = dead(operated)
    plan = operated.command("resolve", row["id"], "--drop", "--reason", "withdrawn")
    assert plan.returncode == 1
    assert "--yes" in plan.stderr
    assert state(operated, row["id"]) == "dead"


@new_only("today resolve, pause and resume act at once")
def test_pause_shows_its_plan_and_waits_for_yes(operated: Program) -> None:
    plan = operated.command("pause", "paused", "--reason", "not yet")
    assert plan.returncode == 1
    assert "--yes" in plan.stderr
    person = new_person()
    operated.accept(webhook(person, campaign="Paused"))
    operated.iterable.arrived(person)


def test_messages_of_a_paused_route_wait_until_it_is_resumed(
    operated: Program,
) -> None:
    apply(operated, "pause", "paused", "--reason", "wording under review")
    waits, goes = new_person(), new_person()
    [waiting] = operated.accept(webhook(waits, campaign="Paused"))
    operated.accept(webhook(goes))
    operated.iterable.arrived(goes)
    shown = operated.command("deliveries", "--limit", "2")
    assert "wording under review" in shown.stderr
    assert "wording under review" in operated.run("deliveries", waiting)
    assert state(operated, waiting) == "pending"
    assert operated.iterable.attempts(waits) == []
    apply(operated, "resume", "paused")
    operated.iterable.arrived(waits)
    assert operated.in_state(waiting, "accepted")["attempts"] == 1


def test_a_pause_outlives_a_restart(program: Program) -> None:
    apply(program, "pause", "all", "--reason", "over night")
    program.start()
    [waiting] = program.accept(webhook())
    program.stop()
    program.start()
    assert state(program, waiting) == "pending"
    assert program.iterable.attempts() == []
    apply(program, "resume", "all")
    program.in_state(waiting, "accepted")


def test_what_met_a_wrong_key_waits_and_goes_out_after_resume(program: Program) -> None:
    program.iterable.tell(FORBIDDEN, times=None)
    program.start()
    people = [new_person() for _ in range(2)]
    ids = [program.accept(webhook(person))[0] for person in people]
    program.await_log("circuit.opened")
    program.iterable.forget()
    apply(program, "resume", DESTINATION)
    program.iterable.arrived(*people)
    for one in ids:
        program.in_state(one, "accepted")
