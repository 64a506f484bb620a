"""Column types: one value in Python, the best form for it in each database."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Interval, LargeBinary, Text, Uuid
from sqlalchemy.types import TypeDecorator, TypeEngine

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ID_BYTES = 16

_Processor = Callable[[Any], Any] | None


def _is_sqlite(dialect: Dialect) -> bool:
    return dialect.name == "sqlite"


class Id(TypeDecorator[str]):
    """A UUID: text with dashes outside, 16 bytes inside.

    Half the size of the text in every index, and UUIDv7 keeps its order as bytes, so
    that new rows land at the right end of the tree.
    """

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose bytes, or the database's own UUID type."""
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
        return (
            _id_to_text
            if _is_sqlite(dialect)
            else super().result_processor(dialect, coltype)
        )


def _id_to_bytes(value: str | None) -> bytes | None:
    return None if value is None else bytes.fromhex(value.replace("-", ""))


def _id_to_text(value: bytes | None) -> str | None:
    if value is None:
        return None
    digits = value.hex()
    parts = digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]
    return "-".join(parts)


class Utc(TypeDecorator[datetime]):
    """An aware UTC time outside; whole microseconds since 1970 inside SQLite."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose an integer, or a timestamp with time zone."""
        kind: TypeEngine[Any] = BigInteger()
        if not _is_sqlite(dialect):
            kind = DateTime(timezone=True)
        return dialect.type_descriptor(kind)

    def bind_processor(self, dialect: Dialect) -> _Processor:
        """Make the function that turns a time into microseconds."""
        return _utc_to_number if _is_sqlite(dialect) else None

    def result_processor(self, dialect: Dialect, coltype: object) -> _Processor:
        """Make the function that turns microseconds into a time."""
        return (
            _number_to_utc
            if _is_sqlite(dialect)
            else super().result_processor(dialect, coltype)
        )


def _utc_to_number(value: datetime | None) -> int | None:
    return None if value is None else (value - _EPOCH) // _MICROSECOND


def _number_to_utc(value: int | None) -> datetime | None:
    return None if value is None else _EPOCH + timedelta(microseconds=value)


class Span(TypeDecorator[timedelta]):
    """A length of time that can be added to a `Utc` column in the database."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose an integer, or an interval."""
        kind: TypeEngine[Any] = BigInteger()
        if not _is_sqlite(dialect):
            kind = Interval()
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: timedelta | None, dialect: Dialect) -> Any:
        """Turn a length of time into microseconds on SQLite."""
        if value is None or not _is_sqlite(dialect):
            return value
        return value // _MICROSECOND

    def process_result_value(self, value: Any, dialect: Dialect) -> timedelta | None:
        """Turn microseconds into a length of time."""
        if value is None or not _is_sqlite(dialect):
            return value  # type: ignore[no-any-return] # the driver made it a timedelta
        return timedelta(microseconds=value)


class Words(TypeDecorator[str]):
    """Text from outside, made storable whatever is in it.

    Lone surrogates have no UTF-8 form and PostgreSQL refuses NUL: both become U+FFFD,
    because one odd name must not turn a webhook away.
    """

    impl = Text
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> _Processor:  # noqa: ARG002 - same for all
        """Make the function that cleans text."""
        return _storable


def _storable(value: str | None) -> str | None:
    if value is None or (value.isascii() and "\0" not in value):
        return value
    sound = value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return sound.replace("\0", "\ufffd")
