"""Statements on the path of every webhook, compiled once.

Each time SQLAlchemy executes a statement it looks up the compiled form and walks over
every parameter of every row by name, which costs more than SQLite's part. Here that is
done once; the SQL and the conversions of values are still SQLAlchemy's.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from operator import itemgetter
from typing import Any, Protocol

from sqlalchemy import Connection, Dialect
from sqlalchemy.sql.dml import UpdateBase

from bridge.store.database import Refused

Values = Mapping[str, Any]


class _Runnable(Protocol):
    """A statement as one of the databases has it run fastest."""

    def run(self, connection: Connection, rows: Sequence[Values]) -> int:
        """Run it for each row of values; return how many rows it touched."""
        ...


class Prepared:
    """An INSERT or UPDATE that is run with many rows of values.

    Args:
        statement: One that returns no rows. No two of the rows it is run with at once
            may be about the same row of the table.
        columns: What an INSERT fills, where it does not say so itself.
    """

    def __init__(self, statement: UpdateBase, *columns: str) -> None:
        self._statement = statement
        self._columns = list(columns) or None
        #: By the name of the dialect.
        self._compiled: dict[str, _Runnable] = {}

    def run(self, connection: Connection, rows: Sequence[Values]) -> int:
        """Run it once for each row of values.

        Returns:
            How many rows of the table it inserted or changed.

        Raises:
            Refused: A value is none that its column can hold.
        """
        if not rows:
            return 0
        dialect = connection.dialect
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = self._compile(dialect)
        return compiled.run(connection, rows)

    def _compile(self, dialect: Dialect) -> _Runnable:
        if dialect.name == "sqlite":
            return _RowByRow(self._statement, self._columns, dialect)
        # Here, because it takes psycopg along.
        module = import_module("bridge.store.multirow")
        made: _Runnable = module.MultiRow(self._statement, self._columns)
        return made


class _RowByRow:
    """SQL with places for values, and how these are made of a row's."""

    def __init__(
        self, statement: UpdateBase, columns: list[str] | None, dialect: Dialect
    ) -> None:
        compiled: Any = statement.compile(dialect=dialect, column_keys=columns)
        names: list[str] = compiled.positiontup
        self.sql = str(compiled)
        self._constants = {
            name: value for name, value in compiled.params.items() if value is not None
        }
        self._in_order: Callable[[Values], tuple[Any, ...]] = itemgetter(*names)
        kinds = [compiled.binds[name].type.dialect_impl(dialect) for name in names]
        converters = [kind.bind_processor(dialect) for kind in kinds]
        self._converters = [
            (place, convert) for place, convert in enumerate(converters) if convert
        ]

    def run(self, connection: Connection, rows: Sequence[Values]) -> int:
        result = connection.exec_driver_sql(
            self.sql,
            self._bind(rows),
            execution_options={"preserve_rowcount": True},
        )
        return result.rowcount

    def _bind(self, rows: Sequence[Values]) -> list[tuple[Any, ...]]:
        try:
            return [self._values(row) for row in rows]
        except (TypeError, ValueError) as error:
            raise Refused("a value has no form in the database") from error

    def _values(self, row: Values) -> tuple[Any, ...]:
        if self._constants:
            row = {**self._constants, **row}
        values = list(self._in_order(row))
        for place, convert in self._converters:
            values[place] = convert(values[place])
        return tuple(values)
