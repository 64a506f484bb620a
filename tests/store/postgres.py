"""A PostgreSQL whose one database is emptied for each test of the store."""

from contextlib import closing

import psycopg
from psycopg import sql

from bridge.store import open_store
from bridge.store.schema import REVISION, metadata
from tests.product.postgres import Postgres


class Ledgers:
    """Databases with current tables on one server.

    Emptying tables is much quicker than making them, so one is used again.
    """

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self._shared: str | None = None

    def clean_database(self) -> str:
        """Return a database with current tables and nothing in them, for one test."""
        if self._shared is None or not _empty(self._shared):
            self._shared = self.server.new_database()
            with closing(open_store(self._shared)) as store:
                store.migrate()
        return self._shared


def _empty(url: str) -> bool:
    """Empty the tables; False where the last test left other tables."""
    names = [sql.Identifier(name) for name in metadata.tables]
    truncate = sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(names))
    with psycopg.connect(url, autocommit=True) as connection:
        tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        found = {name for (name,) in connection.execute(tables)}
        if found != {*metadata.tables, "alembic_version"}:
            return False
        revisions = connection.execute("SELECT version_num FROM alembic_version")
        if revisions.fetchall() != [(REVISION,)]:
            return False
        connection.execute(truncate)
    return True
