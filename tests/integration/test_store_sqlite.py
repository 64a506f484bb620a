"""What holds on SQLite only: its files, its locks, its ways to fail."""

import os
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import ConfigError, StoreUnavailable
from bridge.model import Capture
from bridge.store import DeliveryFilter, EventFilter, Store, open_store
from bridge.store.database import TIMEOUT
from bridge.store.sqlite import LONG

pytestmark = [
    pytest.mark.integration,
    # Threads that earlier tests left behind do not matter to what a child does here.
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]

Made = Callable[..., Any]
PROCESS = Path(__file__).with_name("store_process.py")


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'bridge.db'}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bridge.db"


@contextmanager
def refused_after(seconds: float) -> Iterator[None]:
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        yield
    took = time.monotonic() - started
    assert seconds * 0.9 <= took < seconds + 1


@pytest.mark.parametrize("name", ["bridge.db.lock", "bridge.db.lock.next"])
def test_lock_file_held_by_another_process_refuses_the_write_in_time(
    store: Store, path: Path, new_arrival: Made, name: str
) -> None:
    store.commits.add(new_arrival())
    with subprocess.Popen(
        [sys.executable, str(PROCESS), "hold", str(path.with_name(name))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with refused_after(0.5):
            store.commits.add(new_arrival(), timeout=0.5)
        holder.communicate(timeout=20)
    store.commits.add(new_arrival())
    assert len(store.ledger.events(EventFilter())) == 2


def test_lock_of_a_program_that_knows_no_lock_file_refuses_the_write_in_time(
    store: Store, path: Path, new_arrival: Made
) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as stranger:
        stranger.execute("BEGIN IMMEDIATE")
        with refused_after(0.5):
            store.commits.add(new_arrival(), timeout=0.5)
        assert store.ledger.events(EventFilter()) == []
        stranger.execute("ROLLBACK")
    store.commits.add(new_arrival())


def test_commits_are_synced_to_disk(store: Store) -> None:
    with store.write() as tx:
        driver: Any = tx.connection.connection.driver_connection
        settings = {
            name: driver.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("synchronous", "journal_mode")
        }
    assert settings == {"synchronous": 2, "journal_mode": "wal"}


def test_killed_writer_leaves_no_lock_and_nothing_half_done(
    store: Store, new_arrival: Made
) -> None:
    child = os.fork()
    if child == 0:
        try:
            with store.write() as tx:
                store.gates.pause(tx, "route:r", "half done")
                os.kill(os.getpid(), 9)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9
    store.commits.add(new_arrival(), timeout=1)
    assert store.ledger.health().gates == {}


def fill_log(store: Store, new_arrival: Made) -> None:
    """Write some more pages than make a log long, and fewer than make it too long."""
    for _ in range(LONG // 8):
        store.commits.add(new_arrival(capture=Capture(body=os.urandom(8 * 4096))))


def test_a_long_log_begins_anew(store: Store, path: Path, new_arrival: Made) -> None:
    log = path.with_name("bridge.db-wal")
    fill_log(store, new_arrival)
    size = log.stat().st_size
    assert size > LONG * 4096
    fill_log(store, new_arrival)
    assert log.stat().st_size > 1.5 * size, "by itself it grows"
    size = log.stat().st_size
    store.shorten_log()
    fill_log(store, new_arrival)
    assert log.stat().st_size == size


def test_nobody_who_writes_waits_for_a_short_log(
    store: Store, path: Path, new_arrival: Made
) -> None:
    store.commits.add(new_arrival())
    with closing(open_store(f"sqlite:///{path}")) as other, store.write():
        other.shorten_log()


def test_a_long_log_is_shortened_once_whoever_writes_is_done(
    store: Store, path: Path, new_arrival: Made
) -> None:
    fill_log(store, new_arrival)
    with closing(open_store(f"sqlite:///{path}")) as other:
        with store.write(), refused_after(TIMEOUT):
            other.shorten_log()
        other.shorten_log()


def test_failing_block_leaves_nothing_behind(store: Store) -> None:
    def half() -> None:
        with store.write() as tx:
            store.gates.pause(tx, "route:r", "half done")
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        half()
    assert store.ledger.health().gates == {}


def test_full_disk_refuses_the_write_and_heals(
    store: Store, path: Path, new_arrival: Made
) -> None:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            size = path.with_name("bridge.db-wal")
            limit = (size.stat().st_size if size.exists() else 0) + 4096
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            code = 2 if refuses(store, new_arrival) else 3
            unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
            resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
            store.commits.add(new_arrival())
            code = 0 if code == 2 else code
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(store.ledger.events(EventFilter())) == 1


def refuses(store: Store, new_arrival: Made) -> bool:
    try:
        store.commits.add(new_arrival(), timeout=1)
    except StoreUnavailable:
        return True
    return False


@pytest.mark.skipif(os.getuid() != 0, reason="needs to become somebody else")
def test_database_that_may_only_be_read_refuses_the_write(
    store: Store, path: Path, new_arrival: Made
) -> None:
    store.commits.add(new_arrival())
    store.close()
    path.chmod(0o444)
    path.parent.chmod(0o555)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setuid(65534)
            code = 0 if refuses(store, new_arrival) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_file_that_is_no_database_is_unavailable_to_everything(
    path: Path, new_arrival: Made
) -> None:
    path.write_bytes(b"not a database, but long enough to look like one\n" * 100)
    store = open_store(f"sqlite:///{path}")
    uses: list[Callable[[], object]] = [
        store.migrate,
        store.is_current,
        store.ping,
        store.ledger.health,
        lambda: store.ledger.deliveries(DeliveryFilter()),
        lambda: store.commits.add(new_arrival(), timeout=0.2),
    ]
    for use in uses:
        with pytest.raises(StoreUnavailable):
            use()
    # Whoever waits for a change goes and meets the failure.
    assert store.has_changed()
    store.close()


def test_damaged_pages_refuse_the_write(
    store: Store, path: Path, new_arrival: Made
) -> None:
    store.commits.add(new_arrival())
    store.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    with pytest.raises(StoreUnavailable):
        store.commits.add(new_arrival(), timeout=1)


def test_tables_that_do_not_exist_refuse_the_write(
    another_store: Callable[[], Store], new_arrival: Made
) -> None:
    with pytest.raises(StoreUnavailable, match="no such table"):
        another_store().commits.add(new_arrival())


def test_folder_that_does_not_exist_is_unavailable(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'missing' / 'bridge.db'}")
    for use in (store.migrate, store.ping):
        with pytest.raises(StoreUnavailable):
            use()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite://host/bridge.db",
        "sqlite+foo:///bridge.db",
        "sqlite:///bridge.db?mode=ro",
        "mysql://host/db",
        "postgresql+asyncpg://host/db",
        "postgresql://host",
        "postgresql://host:port/db",
        "nonsense",
    ],
)
def test_url_that_names_no_usable_database_is_a_config_error(url: str) -> None:
    with pytest.raises(ConfigError):
        open_store(url)


def test_reasons_carry_no_values(store: Store, new_arrival: Made) -> None:
    arrival = new_arrival(event_type="secret@example.com")
    store.commits.add(arrival)
    with pytest.raises(StoreUnavailable) as caught:
        store.commits.add(new_arrival(id=arrival.id, event_type="secret@example.com"))
    assert "secret" not in caught.value.reason
