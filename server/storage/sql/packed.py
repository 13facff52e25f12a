"""Arrow batches as the bodies of rows: packed, compressed, and stored by each driver's fastest road."""

from collections.abc import Sequence

import pyarrow as pa
from sqlalchemy import Connection, LargeBinary, Table, Text
from sqlmodel import SQLModel

_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)


def pack(rows: pa.RecordBatch) -> bytes:
    """The batch as an Arrow stream."""
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, rows.schema, options=_OPTIONS) as stream:
        stream.write_batch(rows)
    return out.getvalue().to_pybytes()


def unpack(body: bytes) -> pa.RecordBatch:
    """What was packed."""
    with pa.ipc.open_stream(body) as stream:
        return stream.read_next_batch()


def store(connection: Connection, model: type[SQLModel], rows: Sequence[tuple[int | str | bytes, ...]]) -> None:
    """Insert the rows, whose values are in the order of the table's columns."""
    table = SQLModel.metadata.tables[str(model.__tablename__)]
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    if connection.dialect.name == "postgresql":
        _copy(connection, f'COPY "{table.name}" ({columns}) FROM STDIN (FORMAT BINARY)', table, rows)
    elif rows:
        places = ", ".join("?" * len(table.columns))
        connection.exec_driver_sql(f'INSERT INTO "{table.name}" ({columns}) VALUES ({places})', list(rows))  # noqa: S608 - our names


def _copy(connection: Connection, statement: str, table: Table, rows: Sequence[tuple[int | str | bytes, ...]]) -> None:
    from server.storage.sql.bulk import driver_of  # noqa: PLC0415 - loads Arrow's kernels and the driver; reading needs none

    with driver_of(connection).cursor() as cursor, cursor.copy(statement.encode()) as copy:
        copy.set_types([_binary_type(column.type) for column in table.columns])
        for row in rows:
            copy.write_row(row)


def _binary_type(kind: object) -> str:
    return "bytea" if isinstance(kind, LargeBinary) else "text" if isinstance(kind, Text) else "int4"
