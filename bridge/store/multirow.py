"""One PostgreSQL statement for many rows, instead of one statement a row.

The SQL is SQLAlchemy's, with a list of `VALUES` in it. Lists of a few lengths only are
used, so that the server has each of them prepared.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from psycopg import RawCursor
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Connection,
    Dialect,
    Insert,
    Integer,
    column,
    table,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.visitors import replacement_traverse
from sqlalchemy.types import NullType, TypeEngine

from bridge.store.columns import Utc, Words
from bridge.store.database import Refused
from bridge.store.postgres import driver_of, translated

#: Numbers of rows in one statement, the greatest first; any number is a sum of these.
_LENGTHS = (32, 16, 8, 7, 6, 5, 4, 3, 2, 1)
#: Stands in the SQL where the rows will be.
_ROWS = "(given_rows)"
#: What a change calls them.
_GIVEN = "given"

_Encoder = Callable[[Any], Any]


class MultiRow:
    """An INSERT or UPDATE for any number of rows.

    Args:
        statement: One that returns no rows; what differs from row to row are its
            parameters, those of an INSERT's conflict clause being the same for all.
        columns: What an INSERT fills.
    """

    def __init__(self, statement: UpdateBase, columns: Sequence[str] | None) -> None:
        dialect = postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
        if isinstance(statement, Insert):
            shape = _insertion(statement, columns or ())
        else:
            shape = _change(statement, dialect)
        self._kinds, self._casts, outline = shape
        compiled: Any = outline.compile(dialect=dialect)
        #: Parameters that are the same for all rows come first.
        self._shared: list[str] = list(compiled.positiontup or ())
        self._constants = {
            name: value for name, value in compiled.params.items() if value is not None
        }
        self._shared_encoders = [
            _encoder(compiled.binds[name].type) for name in self._shared
        ]
        self._encoders = [(name, _encoder(kind)) for name, kind in self._kinds.items()]
        names = ", ".join(self._kinds)
        self._outline = str(compiled).replace(
            f"FROM {_GIVEN} ", f"FROM ({_ROWS}) AS {_GIVEN} ({names}) "
        )
        self._statements: dict[int, bytes] = {}

    def run(self, connection: Connection, rows: Sequence[Any]) -> int:
        """Run it for all rows; return how many rows of the table it touched.

        Raises:
            Refused: A value is none that its column can hold.
        """
        cursor = RawCursor(driver_of(connection))
        touched = 0
        with translated():
            for part in _parts(rows):
                cursor.execute(self._statement(len(part)), self._bound(part))
                touched += cursor.rowcount
        return touched

    def _bound(self, rows: Sequence[Any]) -> list[Any]:
        try:
            values = [
                encode(self._constants.get(name, rows[0].get(name)))
                for name, encode in zip(
                    self._shared, self._shared_encoders, strict=True
                )
            ]
            for row in rows:
                values += [encode(row[name]) for name, encode in self._encoders]
        except (TypeError, ValueError) as error:
            raise Refused("a value has no form in the database") from error
        return values

    def _statement(self, count: int) -> bytes:
        if count not in self._statements:
            self._statements[count] = self._compose(count).encode()
        return self._statements[count]

    def _compose(self, count: int) -> str:
        first, width = len(self._shared) + 1, len(self._kinds)
        lists = []
        for start in range(first, first + count * width, width):
            places = [f"${place}" for place in range(start, start + width)]
            if start == first and self._casts:
                places = [
                    f"CAST({place} AS {cast})" if cast else place
                    for place, cast in zip(places, self._casts, strict=True)
                ]
            lists.append(f"({', '.join(places)})")
        return self._outline.replace(_ROWS, f"VALUES {', '.join(lists)}")


_Shape = tuple[dict[str, TypeEngine[Any]], Sequence[str], Any]


def _insertion(statement: Insert, columns: Sequence[str]) -> _Shape:
    kinds = {name: statement.table.c[name].type for name in columns}
    rows = text(_ROWS).columns(*(column(name) for name in columns))
    return kinds, (), statement.from_select(list(columns), rows)


def _change(statement: UpdateBase, dialect: Dialect) -> _Shape:
    """Have each parameter read from a list of rows beside the table."""
    binds = statement.compile(dialect=dialect).binds
    kinds = {name: one.type for name, one in binds.items() if one.required}
    beside = table(_GIVEN, *(column(name, kind) for name, kind in kinds.items()))

    def given(element: Any, **_: Any) -> Any:
        is_ours = element.__visit_name__ == "bindparam" and element.key in kinds
        return beside.c[element.key] if is_ours else None

    casts = [_cast(kind, dialect) for kind in kinds.values()]
    return kinds, casts, replacement_traverse(statement, {}, given)


def _cast(kind: TypeEngine[Any], dialect: Dialect) -> str:
    if isinstance(kind, NullType):
        return ""
    return str(kind.dialect_impl(dialect).compile(dialect))


def _parts(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    start = 0
    for length in _LENGTHS:
        while len(rows) - start >= length:
            yield rows[start : start + length]
            start += length


def _encoder(kind: TypeEngine[Any]) -> _Encoder:
    """Choose the one form in which values of a column are given to the driver.

    All but bytes are text without a type, which the server reads as the column's: a
    driver that took the smallest type for each number would have the server prepare
    the same statement again and again.
    """
    if isinstance(kind, Words):
        return kind.bind_processor(postgresql.dialect()) or _same  # type: ignore[no-untyped-call]
    if isinstance(kind, JSON):
        return json.dumps
    if isinstance(kind, (Utc, Integer, BigInteger)):
        return _as_text
    return _same if not isinstance(kind, Boolean) else _as_truth


def _same(value: Any) -> Any:
    return value


def _as_text(value: Any) -> str | None:
    return None if value is None else str(value)


def _as_truth(value: bool | None) -> str | None:
    return None if value is None else "ft"[value]
