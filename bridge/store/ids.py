"""Ids that sort by the time they were made at."""

import re
from datetime import datetime

import uuid_utils

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
#: Sorts before every id; stands for one that cannot be.
NO_ID = "00000000-0000-0000-0000-000000000000"


def new_id() -> str:
    """Make a sortable id (UUIDv7)."""
    return str(uuid_utils.uuid7())


def earliest_id(moment: datetime) -> str:
    """Name the least id that `new_id` could have made at a moment."""
    digits = f"{max(0, int(moment.timestamp() * 1000)):012x}"
    return f"{digits[:8]}-{digits[8:]}-0000-0000-000000000000"


def as_id(text: str) -> str | None:
    """Read an id a person typed; None when it cannot be one."""
    lower = text.strip().lower()
    return lower if _ID.fullmatch(lower) else None
