"""A wrong key or campaign, a pause, a poison message: what stops, and what does not."""

import requests

from tests.product.program import ROUTE, Program, new_person, wait_for, webhook
from tests.product.recorder import Answer

BAD_KEY = Answer(status=401, body={"msg": "no", "code": "BadApiKey", "params": None})
BAD_CAMPAIGN = Answer(
    status=400,
    body={"msg": "Invalid campaign", "code": "BadParams", "params": {"campaignId": 2}},
)
HANG = Answer(failure="hang")
ENDLESS = Answer(failure="endless")
RESET = Answer(failure="reset")


def two_routes(program: Program) -> None:
    """Have a route for the campaign `Bad` beside the one for everything else."""
    bad = {"name": "bad", **ROUTE, "match": {"campaigns": ["Bad"]}, "campaign_id": 2}
    program.configure(routes=[bad, {"name": "good", **ROUTE}])


def test_a_wrong_campaign_stops_its_route_and_no_other(program: Program) -> None:
    two_routes(program)
    program.iterable.tell(BAD_CAMPAIGN, path="/api/email", campaign=2, times=None)
    program.start()
    [first] = program.accept(webhook(campaign="Bad"))
    line = program.await_log("circuit.opened")
    assert line["level"] == "error"
    assert "campaign" in line["reason"]
    late = new_person()
    [waiting] = program.accept(webhook(late, campaign="Bad"))
    program.accept(webhook(neighbour := new_person()))
    program.iterable.arrived(neighbour)
    assert program.iterable.attempts(late) == []
    program.iterable.forget()
    program.run("resume", "bad", "--yes")
    program.iterable.arrived(late)
    rows = program.settled([first, waiting])
    assert [row["status"] for row in rows] == ["accepted", "accepted"]
    # What the circuit breaker held back is no failed attempt.
    assert {row["attempts"] for row in rows} == {1}


def test_a_wrong_key_stops_everything_until_it_is_right_at_the_next_start(
    program: Program,
) -> None:
    program.iterable.tell(BAD_KEY, times=None)
    program.start()
    people = [new_person() for _ in range(3)]
    program.accept(webhook(people[0]))
    program.await_log("circuit.opened")
    for person in people[1:]:
        program.accept(webhook(person))
    assert program.stop() == [0]
    assert program.statuses() == ["pending"] * 3
    assert {one.person for one in program.iterable.attempts()} == {people[0]}
    program.iterable.forget()
    program.start()
    program.iterable.arrived(*people)
    program.await_log("circuit.closed")
    assert len(program.iterable.messages()) == 3


def test_poison_messages_do_not_stop_their_neighbours(program: Program) -> None:
    program.template(
        "picky.json.j2",
        '{"campaignId": 1, "recipientUserId": {{ recipient.user_id }},'
        ' "dataFields": {"name": {{ customer.name }}}}',
    )
    program.route(template="picky.json.j2", on_unknown_outcome="hold")
    program.start()
    nameless = program.accept(webhook(customer={"name": None}))
    for failure in (HANG, ENDLESS, RESET):
        poisoned = new_person()
        program.iterable.tell(failure, path="/api/email", person=poisoned)
        nameless += program.accept(webhook(poisoned))
    people = [new_person() for _ in range(10)]
    for person in people:
        program.accept(webhook(person))
    messages = program.iterable.arrived(*people)
    assert len(messages) == 10
    assert {row["status"] for row in program.settled(nameless)} == {"held"}


def test_a_slow_destination_does_not_slow_the_receiver(program: Program) -> None:
    program.destination(timeout="5s")
    program.iterable.tell(Answer(delay=1.0, body={"code": "Success"}), times=None)
    program.start()
    answers = [program.post(webhook()) for _ in range(20)]
    assert max(one.elapsed.total_seconds() for one in answers) < 1
    ready = requests.get(f"{program.url}/readyz", timeout=20)
    assert ready.status_code == 200


def test_after_an_outage_everything_arrives_once(program: Program) -> None:
    program.start()
    program.iterable.stop()
    people = [new_person() for _ in range(20)]
    for person in people:
        program.accept(webhook(person))
    program.await_log("delivery.rescheduled")
    program.iterable.start()
    program.iterable.arrived(*people, seconds=60)
    wait_for(lambda: len(program.records("delivery.accepted")) == 20)
    assert len(program.iterable.attempts()) == 20
