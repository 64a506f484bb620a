"""Fills a SQLite ledger with copies of one delivered webhook, spread over 90 days.

This module alone knows tables: through HTTP, a million rows would take half an hour.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from benchmarks import webhooks
from benchmarks.checkout import BenchmarkError

#: Run of the copies' serials; no load has it.
FILL_RUN = 0xFFFF
DAYS = 90
_MICROSECONDS_A_DAY = 86_400_000_000
#: Table; its row of an event or a delivery; the order of a table that is one tree.
TABLES = (
    ("events", "id = :event", ""),
    ("deliveries", "id = :delivery", ""),
    ("keys", "delivery_id = :delivery", "ORDER BY route, key"),
    ("attempts", "delivery_id = :delivery", ""),
)
_INDEXES = """
SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL
AND tbl_name IN ('events', 'deliveries', 'keys', 'attempts')
"""
_ORIGINAL = """
SELECT event_id AS event, id AS delivery, created_at AS at FROM deliveries
WHERE status = 'accepted' AND instr(code, ?)
"""
_NUMBERS = """
WITH RECURSIVE numbers(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM numbers
WHERE i < :last) INSERT INTO main.{0} SELECT {1} FROM numbers, temp.{0} {2}
"""


def fill(path: Path, *, rows: int, run: int) -> None:
    """Copy the first webhook of a run, which was delivered, so many times."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-500000"):
            db.execute(f"PRAGMA {pragma}")
        indexes = db.execute(_INDEXES).fetchall()
        for name, _ in indexes:
            db.execute(f"DROP INDEX {name}")
        _copy(db, webhooks.serial(run, 0), rows)
        for _, sql in indexes:
            db.execute(sql)
        db.execute("PRAGMA journal_mode=WAL")
    # What the kernel has yet to write would delay the first commits of the measurement.
    os.sync()


def _copy(db: sqlite3.Connection, serial: str, rows: int) -> None:
    found = db.execute(_ORIGINAL, (serial,)).fetchone()
    if found is None:
        raise BenchmarkError("the webhook to copy was not delivered")
    event, delivery, at = found
    step = DAYS * _MICROSECONDS_A_DAY // rows

    def moment(index: int) -> int:
        return int(at) - (rows - index) * step

    for name, kind in (("copied_event", 0), ("copied_delivery", 1)):
        db.create_function(
            name, 1, lambda index, kind=kind: _id(moment(index), index, kind)
        )
    db.create_function("serial", 1, lambda index: webhooks.serial(FILL_RUN, index))
    values = {"event": event, "delivery": delivery}
    for table, condition, order in TABLES:
        original = f"SELECT * FROM main.{table} WHERE {condition}"
        db.execute(f"CREATE TEMP TABLE {table} AS {original}", values)
        columns = [info[1:3] for info in db.execute(f"PRAGMA main.table_info({table})")]
        selected = ", ".join(_value(table, *column) for column in columns)
        db.execute(
            _NUMBERS.format(table, selected, order),
            {"last": rows - 1, "rows": rows, "step": step, "serial": serial},
        )


def _value(table: str, column: str, kind: str) -> str:
    """Write the expression of a copy's value in a column."""
    if (table, column) == ("events", "id") or column == "event_id":
        return "copied_event(i)"
    if column in {"id", "delivery_id"}:
        return "copied_delivery(i)"
    if column.endswith("_at"):
        return f"{column} - (:rows - i) * :step"
    if kind in {"INTEGER", "BIGINT", "BOOLEAN"}:
        return column
    replaced = f"replace(CAST({column} AS TEXT), :serial, serial(i))"
    return f"CAST({replaced} AS BLOB)" if kind == "BLOB" else replaced


def _id(moment: int, index: int, kind: int) -> bytes:
    """Make a UUIDv7, which sorts by the time in its first six bytes."""
    head = (moment // 1000).to_bytes(6, "big")
    return head + bytes([0x70, kind, 0x80]) + index.to_bytes(7, "big")
