"""Ids and column types: one Python value, the best form for it in each database."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import uuid_utils
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Dialect,
    LargeBinary,
    Text,
    Uuid,
    and_,
)
from sqlalchemy.types import TypeDecorator, TypeEngine

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
#: Sorts before every id; in place of one that cannot exist.
NO_ID = "00000000-0000-0000-0000-000000000000"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ID_BYTES = 16

_Processor = Callable[[Any], Any] | None


def new_id() -> str:
    """Make an id that sorts by the time it was made at (UUIDv7)."""
    return str(uuid_utils.uuid7())


def earliest_id(moment: datetime) -> str:
    """Name the least id that `new_id` could have made at a moment."""
    digits = f"{max(0, int(moment.timestamp() * 1000)):012x}"
    return f"{digits[:8]}-{digits[8:]}-0000-0000-000000000000"


def as_id(text: str) -> str | None:
    """Read an id a person typed; None when it cannot be one."""
    lower = text.strip().lower()
    return lower if _ID.fullmatch(lower) else None


def _is_sqlite(dialect: Dialect) -> bool:
    return dialect.name == "sqlite"


class UuidStr(TypeDecorator[str]):
    """A UUID: text with dashes in Python, 16 bytes in the database.

    Half the size of the text in every index; UUIDv7 keeps its order as bytes, so new
    rows are appended at the right end of the tree.
    """

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose bytes on SQLite, else the database's own UUID type."""
        kind: TypeEngine[Any] = LargeBinary(_ID_BYTES)
        if not _is_sqlite(dialect):
            kind = Uuid(as_uuid=False)
        return dialect.type_descriptor(kind)

    # Processors are overridden whole instead of through `process_bind_param`: one call
    # a value instead of three, on the path of every webhook.
    def bind_processor(self, dialect: Dialect) -> _Processor:
        """Make the function that turns text into bytes."""
        return _id_to_bytes if _is_sqlite(dialect) else None

    def result_processor(self, dialect: Dialect, coltype: object) -> _Processor:
        """Make the function that turns bytes into text."""
        if _is_sqlite(dialect):
            return _id_to_text
        return super().result_processor(dialect, coltype)


def _id_to_bytes(value: str | None) -> bytes | None:
    return None if value is None else bytes.fromhex(value.replace("-", ""))


def _id_to_text(value: bytes | None) -> str | None:
    if value is None:
        return None
    digits = value.hex()
    parts = digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]
    return "-".join(parts)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time in Python; whole microseconds since 1970 in SQLite."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose an integer on SQLite, else a timestamp with time zone."""
        kind: TypeEngine[Any] = BigInteger()
        if not _is_sqlite(dialect):
            kind = DateTime(timezone=True)
        return dialect.type_descriptor(kind)

    def bind_processor(self, dialect: Dialect) -> _Processor:
        """Make the function that turns a time into microseconds."""
        return _utc_to_number if _is_sqlite(dialect) else None

    def result_processor(self, dialect: Dialect, coltype: object) -> _Processor:
        """Make the function that turns microseconds into a time."""
        if _is_sqlite(dialect):
            return _number_to_utc
        return super().result_processor(dialect, coltype)


def _utc_to_number(value: datetime | None) -> int | None:
    return None if value is None else (value - _EPOCH) // _MICROSECOND


def _number_to_utc(value: int | None) -> datetime | None:
    return None if value is None else _EPOCH + timedelta(microseconds=value)


class SafeText(TypeDecorator[str]):
    """Text from outside, made storable whatever is in it, and ordered by its bytes.

    Lone surrogates have no UTF-8 form and PostgreSQL rejects NUL: both become U+FFFD,
    because one odd name must not make a webhook fail. The order is that of the code
    points in both databases, so that a range finds what begins with a text.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose text, with the collation that compares bytes on PostgreSQL."""
        collation = None if _is_sqlite(dialect) else "C"
        return dialect.type_descriptor(Text(collation=collation))

    def bind_processor(self, dialect: Dialect) -> _Processor:  # noqa: ARG002 - same for all
        """Make the function that cleans text."""
        return storable


def begins_with(column: ColumnElement[str], prefix: str) -> ColumnElement[bool]:
    """Build the condition that a `SafeText` column begins with a text, as a range."""
    # Not BETWEEN: PostgreSQL allows no COLLATE in its lower bound.
    return and_(column >= prefix, column < prefix + "\U0010ffff")


def storable(value: str | None) -> str | None:
    """Replace what a database cannot hold in a text by U+FFFD."""
    if value is None or (value.isascii() and "\0" not in value):
        return value
    sound = value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return sound.replace("\0", "\ufffd")
