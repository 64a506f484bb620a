"""The file itself: shared by processes, never lost from under one of them."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import StoreUnavailable
from bridge.store import DeliveryFilter, Store

pytestmark = pytest.mark.integration


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'bridge.db'}"


COUNT = (
    "import sqlite3, sys;"
    "connection = sqlite3.connect(sys.argv[1]);"
    "print(connection.execute('SELECT count(*) FROM deliveries').fetchone()[0]);"
    "connection.close()"
)


def run(script: str, path: Path) -> str:
    command = [sys.executable, "-c", script, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_process_that_leaves_takes_nothing_of_another_along(
    another_store: Callable[[], Store],
    new_arrival: Callable[..., Any],
    new_delivery: Callable[..., Any],
    tmp_path: Path,
) -> None:
    path = tmp_path / "bridge.db"
    first = another_store()
    first.migrate()
    first.close()
    # A probe reads before the first webhook writes: the order that matters.
    store = another_store()
    store.ledger.deliveries(DeliveryFilter())
    for number in range(3):
        store.commits.add(new_arrival(new_delivery(f"before{number}")))
    assert run(COUNT, path) == "3"
    for number in range(4):
        store.commits.add(new_arrival(new_delivery(f"after{number}")))
    assert run(COUNT, path) == "7"


def test_a_file_that_is_gone_is_not_written_to(
    store: Store,
    new_arrival: Callable[..., Any],
    new_delivery: Callable[..., Any],
    tmp_path: Path,
) -> None:
    store.commits.add(new_arrival(new_delivery("a")))
    (tmp_path / "bridge.db").unlink()
    with pytest.raises(StoreUnavailable, match="replaced or removed"):
        store.commits.add(new_arrival(new_delivery("b")))


def test_a_file_that_was_replaced_is_not_taken_for_the_old_one(
    store: Store,
    new_arrival: Callable[..., Any],
    new_delivery: Callable[..., Any],
    tmp_path: Path,
) -> None:
    path = tmp_path / "bridge.db"
    store.commits.add(new_arrival(new_delivery("a")))
    path.rename(tmp_path / "old.db")
    sqlite3.connect(path).close()
    path.touch()
    with pytest.raises(StoreUnavailable):
        store.commits.add(new_arrival(new_delivery("b")))
