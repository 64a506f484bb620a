"""Every answer of Iterable's that is on record, played to the running program."""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from bridge.model import GateState
from bridge.store import DeliveryRow
from tests.e2e.program import ROOT, Program, envelope, wait_for

pytestmark = pytest.mark.e2e

FOLDER = ROOT / "samples" / "iterable"
#: Answers of other endpoints that mean the same on a send.
ALSO = ("s09", "s12", "s14", "s15", "s16", "s28")
NUMBERS = count(1)


def fixtures() -> Iterator[Any]:
    for path in sorted(FOLDER.glob("*.json")):
        fixture = json.loads(path.read_text(encoding="utf-8"))
        is_send = fixture["request"]["path"].endswith("/target")
        if "kind" not in fixture and (is_send or path.name.startswith(ALSO)):
            yield pytest.param(fixture, id=fixture["id"])


@pytest.fixture(scope="module")
def running(shared_program: Program) -> Program:
    shared_program.configure(iterable={"rate_per_second": 5000, "timeout_seconds": 1})
    shared_program.configure(
        routes=[
            {
                "name": medium,
                "when": {"events": [f"test.{medium}"]},
                "campaign_id": 344851,
                "endpoint": f"{medium}/target",
                "template": "triggered_message.json.j2",
                "in_doubt": "hold",
            }
            for medium in ("email", "sms", "push", "inApp")
        ]
    )
    shared_program.start()
    return shared_program


@pytest.fixture
def cleared(running: Program) -> Iterator[Program]:
    yield running
    running.sandbox.forget()
    with running.store.write() as tx:
        for name in running.store.gates.read(tx):
            running.store.gates.open(tx, name)
        tx.connection.exec_driver_sql("UPDATE gates SET paused_until = NULL")


def deliver(program: Program, fixture: dict[str, Any]) -> DeliveryRow:
    """Send a reward that gets the fixture's answer; return its row when it is in."""
    path = fixture["request"]["path"]
    medium = path.split("/")[2] if path.endswith("/target") else "email"
    number = next(NUMBERS)
    if fixture.get("transport") == "connect_error":
        program.sandbox.stop()
    else:
        name = fixture["id"].split("_")[0]
        program.sandbox.tell(fixture=name, user=f"crm-{number}")
    answer = program.post(envelope(number, event=f"test.{medium}"))
    (delivery_id,) = answer.json()["deliveries"]

    def settled() -> DeliveryRow | None:
        story = program.store.ledger.story(delivery_id)
        assert story is not None
        is_settled = story.attempts and story.delivery.status not in (
            "sending",
            "in_doubt",
        )
        return story.delivery if is_settled else None

    row = wait_for(settled, seconds=10)
    if fixture.get("transport") == "connect_error":
        program.sandbox.start()
    assert isinstance(row, DeliveryRow)
    return row


@pytest.mark.parametrize("fixture", list(fixtures()))
def test_the_answer_has_the_effect_on_record(
    cleared: Program, fixture: dict[str, Any]
) -> None:
    expected = fixture["expected"]
    row = deliver(cleared, fixture)
    with cleared.store.read() as tx:
        gates = cleared.store.gates.read(tx).values()
    shut = [gate.name for gate in gates if gate.state is not GateState.OPEN]
    assert row.status == status_of(expected), row.reason
    assert bool(shut) is expected["stop_route"]
    assert row.attempts == (0 if expected["stop_route"] else 1)
    assert row.scheduled_message_id == expected.get("scheduled_message_id")
    check_retry(row, expected)
    check_nothing_told(cleared, expected["must_not_log"])


def status_of(expected: dict[str, Any]) -> str:
    """Say where a delivery stands after an answer on a route that holds doubts."""
    if expected["verify_first"]:
        return "held"
    return {
        "SUCCESS": "accepted",
        "SUCCESS_LIKE": "suppressed",
        "RETRY": "pending",
        "PERMANENT": "dead",
        "CONFIG": "pending",
    }[expected["classification"]]


def check_retry(row: DeliveryRow, expected: dict[str, Any]) -> None:
    asked = expected["retry_after_s"]
    if expected["classification"] != "RETRY" or row.due_at is None:
        return
    wait = row.due_at - row.updated_at
    if asked is None:
        assert timedelta(0) < wait <= timedelta(seconds=2)
    else:
        least = timedelta(seconds=asked)
        assert least <= wait <= least * 2


def check_nothing_told(program: Program, secrets: list[str]) -> None:
    told = program.log + "\n".join(texts(program))
    for secret in secrets:
        # Not a part of some longer number: a time, or a process id.
        assert not re.search(rf"(?<![\w.]){re.escape(secret)}(?!\d)", told), secret


def texts(program: Program) -> Iterator[str]:
    """Yield everything readable in the database; ids are bytes and left out."""
    path = program.folder / "bridge.db"
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
        for (table,) in tables.fetchall():
            for row in connection.execute(f"SELECT * FROM {table}"):
                yield from (value for value in row if isinstance(value, str))
                yield from (
                    value.decode(errors="replace")
                    for value in row
                    if isinstance(value, bytes) and len(value) != 16
                )
