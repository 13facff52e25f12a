"""Many rows at once, by each driver's fastest road: `executemany` of plain tuples on SQLite, COPY on PostgreSQL."""

import io
from collections.abc import Iterable, Iterator, Mapping
from itertools import repeat
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from sqlalchemy import Connection, Table
from sqlmodel import SQLModel

from server.errors import InvalidInput

if TYPE_CHECKING:
    import psycopg

_ROWS_AT_ONCE = 20_480


def insert_rows(
    connection: Connection,
    model: type[SQLModel],
    rows: "pa.Table | Iterable[pa.RecordBatch]",
    columns: pa.Schema,
    *,
    same: Mapping[str, str | int],
    order: tuple[tuple[str, str], ...],
) -> int:
    """Insert the rows, each with the values of `same` added; returns how many. `order` is what the largest index sorts by.

    Raises `InvalidInput` naming the column that is missing, unknown, of another type or has a gap.
    """
    count = 0
    for chunk in chunks(rows, columns, order):
        load(connection, model, chunk, same=same)
        count += chunk.num_rows
    return count


def load(connection: Connection, model: type[SQLModel], chunk: pa.RecordBatch, *, same: Mapping[str, str | int]) -> None:
    """Insert the chunk, whose columns are named as the table's, each row with the values of `same` added."""
    table = SQLModel.metadata.tables[str(model.__tablename__)]
    names = [*same, *chunk.schema.names]
    road = _copy if connection.dialect.name == "postgresql" else _execute_many
    road(connection, table, names, chunk, same)


def chunks(
    rows: "pa.Table | Iterable[pa.RecordBatch]", columns: pa.Schema, order: tuple[tuple[str, str], ...]
) -> Iterator[pa.RecordBatch]:
    """The rows, checked and in the types of `columns`, in chunks; sorted within each batch. Raises `InvalidInput`."""
    if not isinstance(rows, pa.Table):
        for batch in rows:
            yield from chunks(pa.Table.from_batches([batch]), columns, order)
        return
    (usable,) = _checked(rows, columns).combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], columns)]
    # in the order of an index its pages are filled one after the other instead of at random
    places = pc.call_function("sort_indices", [usable], pc.SortOptions(list(order)))
    for start in range(0, usable.num_rows, _ROWS_AT_ONCE):
        # taken bit by bit, into memory that the bit before has given back
        yield usable.take(places.slice(start, _ROWS_AT_ONCE))


def _checked(rows: pa.Table, columns: pa.Schema) -> pa.Table:
    if set(rows.column_names) != set(columns.names):
        raise InvalidInput(f"the rows have columns {', '.join(rows.column_names)}; needed are {', '.join(columns.names)}.")
    try:
        usable = rows.select(columns.names).cast(columns)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise InvalidInput(f"the rows are not of the types needed: {error}") from error
    for field in columns:
        column = usable[field.name]
        holes = column.null_count and not field.nullable
        if holes or (
            pa.types.is_floating(field.type)
            and not pc.call_function(
                "all", [pc.call_function("is_finite", [column])], pc.ScalarAggregateOptions(min_count=0)
            ).as_py()
        ):
            raise InvalidInput(f"column {field.name} has empty or infinite values; every row needs one.")
    return usable


def _execute_many(
    connection: Connection, table: Table, names: list[str], chunk: pa.RecordBatch, same: Mapping[str, str | int]
) -> None:
    statement = f"INSERT INTO {_target(table, names)} VALUES ({', '.join('?' * len(names))})"  # noqa: S608 - our own names
    values = [*map(repeat, same.values()), *map(_plain, chunk.columns)]
    connection.exec_driver_sql(statement, list(zip(*values, strict=False)))


def _target(table: Table, names: list[str]) -> str:
    quoted = [f'"{table.c[name].name}"' for name in names]
    return f'"{table.name}" ({", ".join(quoted)})'


def _plain(column: pa.Array) -> list[object]:
    """Python's own values; by way of numpy, which is several times faster than `to_pylist`, where it changes nothing."""
    return column.to_pylist() if column.null_count else column.to_numpy(zero_copy_only=False).tolist()


def _copy(connection: Connection, table: Table, names: list[str], chunk: pa.RecordBatch, same: Mapping[str, str | int]) -> None:
    statement = f"COPY {_target(table, names)} FROM STDIN (FORMAT csv)"
    full = [pa.repeat(value, chunk.num_rows) for value in same.values()]
    text = io.BytesIO()
    pa_csv.write_csv(pa.record_batch([*full, *chunk.columns], names=names), text, pa_csv.WriteOptions(include_header=False))
    with driver_of(connection).cursor() as cursor, cursor.copy(statement.encode()) as copy:
        copy.write(text.getbuffer())


def driver_of(connection: Connection) -> "psycopg.Connection":
    """PostgreSQL's own connection, which can COPY. Raises `TypeError` for a connection of another driver: a fault of ours."""
    import psycopg  # noqa: PLC0415 - for PostgreSQL alone

    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise TypeError(f"expected a connection of psycopg, not {type(driver).__name__}")
    return driver
