"""Creating and upgrading the tables."""

import re
from pathlib import Path

from sqlalchemy import inspect, text

from bridge.errors import ConfigError, Problem
from bridge.store.database import Database, Tx
from bridge.store.schema import REVISION

#: Seconds to wait for another process that migrates.
TIMEOUT = 60.0

_FOLDER = Path(__file__).with_name("migrations")
_TABLE = "alembic_version"
_NAME = re.compile(r"(?P<number>\d{4})(?:-needs-(?P<least>\d{4}))?")


def migrate(database: Database) -> None:
    """Create or upgrade the tables; nothing happens when they are current.

    Several processes may call it at once: one works, the others find it done.

    Raises:
        ConfigError: The tables need a newer program.
        StoreUnavailable: The database cannot be written.
    """
    with database.write(TIMEOUT) as tx:
        database.lock_for_migration(tx)
        found = _revision(tx)
        if found is not None and _number(found) > _number(REVISION):
            _refuse_unless_usable(found)
        elif found != REVISION:
            _upgrade(tx)


def is_current(database: Database) -> bool:
    """Tell whether this program can work with the tables as they are.

    Raises:
        StoreUnavailable: The database cannot be read.
    """
    with database.read() as tx:
        found = _revision(tx)
    return found is not None and (found == REVISION or _is_usable(found))


def _revision(tx: Tx) -> str | None:
    """Read which migration the tables are at; None for no tables yet."""
    if not inspect(tx.connection).has_table(_TABLE):
        return None
    return tx.connection.execute(text(f"SELECT version_num FROM {_TABLE}")).scalar()  # noqa: S608 - a constant


def _upgrade(tx: Tx) -> None:
    # Here, because importing Alembic costs each process of `serve` memory for nothing.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = tx.connection
    command.upgrade(config, "head")


def _number(revision: str) -> int:
    match = _NAME.fullmatch(revision)
    return 0 if match is None else int(match["number"])


def _is_usable(revision: str) -> bool:
    """Tell whether newer tables let this program work: most only add something."""
    match = _NAME.fullmatch(revision)
    if match is None or int(match["number"]) < _number(REVISION):
        return False
    return int(match["least"] or 0) <= _number(REVISION)


def _refuse_unless_usable(revision: str) -> None:
    if not _is_usable(revision):
        raise ConfigError(
            [
                Problem(
                    "DATABASE_URL",
                    f"its tables are at {revision}: this program is too old for them",
                )
            ]
        )
