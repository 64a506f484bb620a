"""Creating and upgrading the tables."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from bridge.errors import ConfigError
from bridge.store import Store
from bridge.store.schema import metadata


def set_revision(store: Store, revision: str) -> None:
    with store.write() as tx:
        statement = text("UPDATE alembic_version SET version_num = :revision")
        tx.connection.execute(statement, {"revision": revision})


def test_several_migrate_at_once_and_all_find_it_done(
    another_store: Callable[[], Store],
) -> None:
    stores = [another_store() for _ in range(6)]
    with ThreadPoolExecutor(6) as threads:
        for done in [threads.submit(one.migrate) for one in stores]:
            done.result()
    assert all(one.is_current() for one in stores)


def test_migrations_make_the_tables_that_the_program_uses(store: Store) -> None:
    with store.write() as tx:
        context = MigrationContext.configure(tx.connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


#: The statements that made the indexes, by their names.
INDEXES = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'index'",
    "postgresql": "SELECT indexname, indexdef FROM pg_indexes "
    "WHERE schemaname = current_schema()",
}


def test_migrations_make_the_partial_indexes_that_the_program_uses(
    store: Store,
) -> None:
    def indexes(connection: Any) -> dict[str, str]:
        rows = connection.execute(text(INDEXES[connection.dialect.name]))
        return {name: " ".join(sql.split()) for name, sql in rows if sql}

    with store.write() as tx:
        migrated = indexes(tx.connection)
        migrated.pop("alembic_version_pkc", None)
        tables = list(metadata.tables.values())
        metadata.drop_all(tx.connection, tables)
        metadata.create_all(tx.connection)
        made = indexes(tx.connection)
        made.pop("alembic_version_pkc", None)
        assert migrated == made


@pytest.mark.parametrize("revision", ["9999", "9999-needs-0001"])
def test_newer_tables_that_only_added_something_still_work(
    store: Store, revision: str
) -> None:
    set_revision(store, revision)
    assert store.is_current()
    store.migrate()


def test_newer_tables_that_need_a_newer_program_are_rejected(store: Store) -> None:
    set_revision(store, "9999-needs-9998")
    assert not store.is_current()
    with pytest.raises(ConfigError, match="too old"):
        store.migrate()
