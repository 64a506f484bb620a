"""Several programs on one ledger, and PostgreSQL in place of a file."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.product.postgres import Postgres
from tests.product.program import (
    Program,
    installed,
    new_person,
    wait_for,
    webhook,
)


def readiness(program: Program) -> dict[str, Any]:
    """Read `/readyz`."""
    answer: dict[str, Any] = requests.get(f"{program.url}/readyz", timeout=30).json()
    return answer


@pytest.fixture
def on_postgres(program: Program, postgres: Postgres) -> Program:
    """An installation whose ledger is an empty PostgreSQL database."""
    url = postgres.new_database().replace("postgresql://", "postgres://")
    program.env["DATABASE_URL"] = url
    return program


@pytest.fixture
def second(on_postgres: Program, tmp_path: Path) -> Iterator[Program]:
    """Another machine with the same ledger and the same Iterable."""
    folder = tmp_path / "second"
    folder.mkdir()
    with installed(folder) as program:
        program.env["DATABASE_URL"] = on_postgres.env["DATABASE_URL"]
        program.env["ITERABLE_BASE_URL"] = on_postgres.iterable.url
        yield program


def test_postgres_needs_migrate_and_two_at_once_are_safe(
    on_postgres: Program,
) -> None:
    on_postgres.start()
    readiness = f"{on_postgres.url}/readyz"
    answer = requests.get(readiness, timeout=30)
    assert answer.status_code == 503
    assert "migrate" in answer.text
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(on_postgres.command, "migrate") for _ in range(2)]
        assert [one.result().returncode for one in both] == [0, 0]
    wait_for(lambda: requests.get(readiness, timeout=30).status_code == 200)
    person = new_person()
    on_postgres.accept(webhook(person))
    on_postgres.iterable.arrived(person)


def test_two_machines_share_one_queue_and_send_each_message_once(
    on_postgres: Program, second: Program
) -> None:
    on_postgres.run("migrate")
    on_postgres.start()
    second.start()
    people = [new_person() for _ in range(40)]
    for number, person in enumerate(people):
        (on_postgres, second)[number % 2].accept(webhook(person))
    on_postgres.iterable.arrived(*people)
    counts = Counter(one.person for one in on_postgres.iterable.messages())
    assert set(counts.values()) == {1}
    assert readiness(second)["workers"] == 2
    assert on_postgres.stop() == [0]
    late = new_person()
    second.accept(webhook(late))
    on_postgres.iterable.arrived(late)


def test_workers_beside_a_serve_share_a_file_and_send_each_message_once(
    program: Program,
) -> None:
    program.start("--no-deliver")
    people = [new_person() for _ in range(30)]
    for person in people:
        program.accept(webhook(person))
    workers = [program.launch("worker") for _ in range(2)]
    # Before that, one may have nothing to do, and no handler for SIGTERM yet.
    wait_for(lambda: readiness(program)["workers"] == 2)
    program.iterable.arrived(*people)
    counts = Counter(one.person for one in program.iterable.messages())
    assert set(counts.values()) == {1}
    for worker in workers:
        worker.terminate()
    assert [worker.wait(30) for worker in workers] == [0, 0]
