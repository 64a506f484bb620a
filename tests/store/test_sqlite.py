"""What holds on SQLite only: its files, its locks, its ways to fail."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bridge.errors import StoreUnavailable
from bridge.store import Store, circuits, open_store
from tests.store.conftest import new_event
from tests.store.ledger import add, delivery_ids, event_rows
from tests.store.test_processes import start, words


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bridge.db"


@pytest.fixture
def database_url(path: Path) -> str:
    return f"sqlite:///{path}"


@contextmanager
def unavailable_after(seconds: float) -> Iterator[None]:
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        yield
    took = time.monotonic() - started
    assert seconds * 0.9 <= took < seconds + 1


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


class TestTheFile:
    def test_it_and_its_companions_are_for_their_owner_alone(
        self, another_store: Callable[[], Store], path: Path
    ) -> None:
        before = os.umask(0)
        try:
            store = another_store()
            store.migrate()
            add(store, new_event())
            files = {one.name: mode(one) for one in path.parent.iterdir()}
        finally:
            os.umask(before)
        names = ["", "-shm", "-wal", ".lock", ".lock.next"]
        assert files == {path.name + name: 0o600 for name in names}

    def test_one_that_is_gone_is_neither_written_nor_read_nor_made(
        self, store: Store, path: Path
    ) -> None:
        add(store, new_event())
        event_rows(store)
        for one in path.parent.glob("bridge.db*"):
            one.unlink()
        for use in (store.is_current, lambda: add(store, new_event())):
            with pytest.raises(StoreUnavailable):
                use()
        assert list(path.parent.iterdir()) == []

    def test_one_that_was_replaced_is_not_taken_for_the_old_one(
        self, store: Store, path: Path, empty_ledger: Path
    ) -> None:
        add(store, new_event())
        event_rows(store)
        store.truncate_wal()
        path.rename(path.with_name("old.db"))
        path.write_bytes(empty_ledger.read_bytes())
        with pytest.raises(StoreUnavailable, match="replaced or removed"):
            add(store, new_event())
        assert event_rows(store) == []
        add(store, new_event())
        assert len(event_rows(store)) == 1


@pytest.mark.parametrize("name", ["bridge.db.lock", "bridge.db.lock.next"])
def test_lock_file_held_by_another_process_fails_the_write_in_time(
    store: Store, path: Path, name: str
) -> None:
    add(store, new_event())
    with start("hold", str(path.with_name(name))) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with unavailable_after(0.5), store.write(timeout=0.5):
            pass
        holder.communicate(timeout=20)
    add(store, new_event())
    assert len(event_rows(store)) == 2


def test_killed_writer_leaves_no_lock_and_nothing_half_done(
    store: Store, database_url: str
) -> None:
    killed = start("die", database_url)
    killed.communicate(timeout=60)
    assert killed.returncode == -9
    with store.write(timeout=1) as tx:
        assert circuits.read_all(tx) == {}


def test_full_disk_fails_the_write_and_heals(store: Store, database_url: str) -> None:
    store.close()
    assert words(start("fill", database_url)) == [["rejected", "stored"]]
    assert len(event_rows(store)) == 1


class TestDamage:
    def test_file_that_is_no_database_is_unavailable_to_everything(
        self, path: Path, database_url: str
    ) -> None:
        path.write_bytes(b"not a database, but as long as one\n" * 200)
        with closing(open_store(database_url)) as store:
            uses: list[Callable[[], object]] = [
                store.migrate,
                store.is_current,
                lambda: add(store, new_event()),
            ]
            for use in uses:
                with pytest.raises(StoreUnavailable):
                    use()
            # The next read or write will say why.
            assert store.has_changed()


def test_reasons_carry_no_values(store: Store) -> None:
    event = new_event(event_type="secret@example.com")
    add(store, event)
    with pytest.raises(StoreUnavailable) as caught:
        add(store, new_event(id=event.id, event_type="secret@example.com"))
    assert "secret" not in caught.value.reason
    assert delivery_ids(store) == set()
