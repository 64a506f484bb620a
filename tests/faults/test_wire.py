"""What can go wrong between the program and Iterable, each beside a good neighbour.

The answers on record are played in `tests/e2e/test_iterable_answers.py`; these are the
ones that nobody writes down.
"""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bridge.retry import MAX_BACKOFF, MAX_RETRY_AFTER
from bridge.store import DeliveryRow
from tests.e2e.program import Program, envelope, wait_for
from tests.servers import Server, read_request

pytestmark = pytest.mark.e2e

NUMBERS = count(1)
HTML = "<!DOCTYPE html><title>Wait</title>"
#: What happens on the wire, and where the delivery stands on a route that holds doubts.
FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "slow head": ({"drip_head": 0.2}, "held"),
    "slow body": ({"drip": 0.2}, "held"),
    "silence": ({"delay_after": 30}, "held"),
    "reset before it is looked at": ({"reset": "before"}, "held"),
    "reset in place of the answer": ({"reset": "after"}, "held"),
    "reset in the midst of the answer": ({"reset": "mid"}, "held"),
    "200 with HTML": ({"status": 200, "body_text": HTML}, "accepted"),
    "200 with nothing": ({"status": 200, "body_text": ""}, "accepted"),
    "200 with half a document": ({"status": 200, "body_text": '{"code"'}, "accepted"),
    "a redirect": ({"status": 302, "headers": {"location": "/"}}, "pending"),
    "a gateway": ({"status": 502, "body_text": HTML}, "held"),
}
NOW = datetime.now(UTC)
WAITS = {
    "a date": format_datetime(NOW + timedelta(seconds=90), usegmt=True),
    "the past": format_datetime(NOW - timedelta(days=400), usegmt=True),
    "negative": "-5",
    "ten years": str(10 * 365 * 86400),
    "more digits than a number has": "9" * 400,
    "text": "soon",
    "nothing": "",
}


@pytest.fixture(scope="module")
def running(shared_program: Program) -> Program:
    shared_program.configure(iterable={"rate_per_second": 5000, "timeout_seconds": 1})
    shared_program.route(in_doubt="hold")
    shared_program.start()
    return shared_program


@pytest.fixture
def cleared(running: Program) -> Iterator[Program]:
    yield running
    running.sandbox.forget()
    clear_gates(running)


def clear_gates(program: Program) -> None:
    with program.store.write() as tx:
        for name in program.store.gates.read(tx):
            program.store.gates.open(tx, name)
        tx.connection.exec_driver_sql("UPDATE gates SET paused_until = NULL")


def deliver(program: Program, **rule: Any) -> DeliveryRow:
    """Deliver a message that meets a rule, if one is given; return its settled row."""
    number = next(NUMBERS)
    if rule:
        program.sandbox.tell(user=f"crm-{number}", **rule)
    (delivery_id,) = program.post(envelope(number)).json()["deliveries"]

    def settled() -> DeliveryRow | None:
        story = program.store.ledger.story(delivery_id)
        assert story is not None
        is_moving = story.delivery.status in ("sending", "in_doubt")
        return None if is_moving or not story.attempts else story.delivery

    row = wait_for(settled)
    assert isinstance(row, DeliveryRow)
    return row


@pytest.mark.parametrize(("rule", "status"), FAULTS.values(), ids=list(FAULTS))
def test_a_fault_on_the_wire_ends_as_it_should_and_spares_its_neighbour(
    cleared: Program, rule: dict[str, Any], status: str
) -> None:
    row = deliver(cleared, **rule)
    assert row.status == status, row.reason
    clear_gates(cleared)
    assert deliver(cleared).status == "accepted"


@pytest.mark.parametrize("wait", WAITS.values(), ids=list(WAITS))
def test_no_retry_after_makes_a_message_wait_absurdly(
    cleared: Program, wait: str
) -> None:
    row = deliver(cleared, status=503, headers={"retry-after": wait})
    assert row.status == "pending"
    assert row.due_at is not None
    assert timedelta(0) < row.due_at - row.updated_at <= MAX_RETRY_AFTER + MAX_BACKOFF


def test_a_429_of_ten_years_is_a_pause_of_a_quarter_of_an_hour(
    cleared: Program,
) -> None:
    deliver(cleared, status=429, headers={"retry-after": WAITS["ten years"]})
    with cleared.store.read() as tx:
        until = cleared.store.gates.read(tx)["destination"].paused_until
        assert until is not None
        assert timedelta(0) < until - tx.now <= MAX_RETRY_AFTER


def test_an_answer_of_a_gigabyte_costs_neither_memory_nor_the_message(
    program: Program,
) -> None:
    block = b" " * 1024 * 1024

    def flood(connection: socket.socket) -> None:
        while read_request(connection):
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                b"Content-Length: 1073741824\r\n\r\n{}"
            )
            for _ in range(1023):
                connection.sendall(block)

    iterable = Server(flood)
    program.env["ITERABLE_BASE_URL"] = f"http://127.0.0.1:{iterable.port}"
    try:
        program.start()
        program.post(envelope(1))
        wait_for(lambda: program.statuses() == {"accepted": 1})
        process = program.pid_of("deliver")
        status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
        (peak,) = (line.split()[1] for line in status.splitlines() if "VmHWM" in line)
        assert int(peak) < 200 * 1024, "kibibytes"
    finally:
        program.kill()
        iterable.stop()


def test_a_host_without_an_address_keeps_its_messages_unsent(program: Program) -> None:
    good = program.env["ITERABLE_BASE_URL"]
    program.env["ITERABLE_BASE_URL"] = "https://iterable.invalid"
    program.start()
    program.post(envelope(1))
    wait_for(lambda: any(row.attempts for row in program.deliveries()))
    (row,) = program.deliveries()
    assert "name cannot be resolved" in (row.reason or "")
    assert row.doubts == 0
    program.stop()
    program.env["ITERABLE_BASE_URL"] = good
    program.start()
    wait_for(lambda: program.statuses() == {"accepted": 1})
