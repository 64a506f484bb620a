"""Look-up files: who a Voucherify customer is to Iterable."""

import csv
from pathlib import Path

from bridge.config.settings import Lookup
from bridge.model import UserId


def read_lookup(path: Path) -> Lookup:
    """Read a CSV of two columns, `from` and `user_id`.

    Raises:
        ValueError: A line has not exactly two columns, or names somebody twice.
    """
    table: dict[str, str] = {}
    with path.open(encoding="utf-8", newline="") as lines:
        for number, row in enumerate(csv.reader(lines), start=1):
            if not row or row == ["from", "user_id"]:
                continue
            if len(row) != 2:  # noqa: PLR2004 - the two columns of the docstring
                raise ValueError(f"line {number} has not exactly two columns")
            if row[0].strip() in table:
                raise ValueError(f"line {number} names somebody a second time")
            table[row[0].strip()] = UserId(row[1].strip())
    return Lookup(path=path, table=table)
