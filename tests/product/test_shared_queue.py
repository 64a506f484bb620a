"""Several workers on one PostgreSQL: one queue, one rate, an absent database."""

from collections import Counter

import pytest

from tests.product.postgres import Postgres
from tests.product.program import Program, new_person, wait_for, webhook
from tests.product.recorder import Answer


@pytest.fixture
def fleet(program: Program, postgres: Postgres) -> Program:
    """An installation on PostgreSQL, tables made; nothing is started."""
    program.env["DATABASE_URL"] = postgres.new_database()
    program.run("migrate")
    return program


def workers(program: Program, number: int) -> None:
    """Start workers, which need no secret of the webhooks."""
    secret = program.env.pop("VOUCHERIFY_WEBHOOK_SECRET")
    for _ in range(number):
        program.launch("worker")
    program.env["VOUCHERIFY_WEBHOOK_SECRET"] = secret


def accept(program: Program, number: int) -> list[str]:
    """Post a webhook for each of so many people."""
    people = [new_person() for _ in range(number)]
    for person in people:
        program.accept(webhook(person))
    return people


def message_counts(program: Program) -> Counter[str | None]:
    """Count the messages of each person."""
    return Counter(one.person for one in program.iterable.messages())


def test_a_killed_workers_messages_are_finished_by_the_other(fleet: Program) -> None:
    fleet.destination(timeout="1s", rate_per_second=50)
    fleet.iterable.tell(Answer(delay=0.1, body={"code": "Success"}), times=40)
    fleet.start("--no-deliver")
    people = accept(fleet, 60)
    workers(fleet, 2)
    fleet.iterable.counted(10)
    killed = fleet.processes[-1]
    killed.kill()
    killed.wait(20)
    fleet.iterable.arrived(*people)
    assert set(message_counts(fleet).values()) == {1}


def test_without_the_database_webhooks_are_answered_503_and_then_taken(
    fleet: Program, postgres: Postgres
) -> None:
    fleet.start()
    accept(fleet, 1)
    document = webhook(person := new_person())
    postgres.stop()
    try:
        answer = fleet.post(document)
        assert answer.status_code == 503
        assert answer.elapsed.total_seconds() < 6
        assert int(answer.headers["Retry-After"]) >= 1
        assert answer.headers["Content-Type"].startswith("application/problem+json")
    finally:
        postgres.start()
    wait_for(lambda: fleet.post(document).status_code == 202)
    fleet.iterable.arrived(person)
    assert message_counts(fleet)[person] == 1
