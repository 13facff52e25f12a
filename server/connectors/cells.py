"""How long a cell may be and how much of a table is held at once: a file of a few kilobytes can unpack to gigabytes."""

# pyarrow makes its compute functions when it is imported, so a checker does not see them
# pyright: reportAttributeAccessIssue=false

from collections import Counter
from collections.abc import Iterator, Sequence
from glob import escape
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from server.errors import InvalidInput

MOST_CELL = 64 << 10
"""Bytes of a cell: no name, time or number is that long."""
MOST_HELD = 64 << 20
"""Bytes that a column's cells may take at once, written out."""
_ROW = 256
_PARTS = """
    SELECT row_group_id, path_in_schema, total_uncompressed_size, row_group_num_rows FROM parquet_metadata(?) ORDER BY 1
"""


def bounded(batch: pa.RecordBatch, file: str) -> Iterator[pa.RecordBatch]:
    """The batch, in slices none of which holds much once its repeated names are written out.

    Raises:
        InvalidInput: a cell is longer than any name, time or number; the message names file and column.
    """
    repeated = 0
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        longest = _longest(column)
        if longest > MOST_CELL or column.nbytes > MOST_HELD:
            held = f"a cell of {_kib(longest)}" if longest > MOST_CELL else f"{_kib(column.nbytes)} in {len(column):,} rows"
            raise _too_long(file, name, held)
        repeated += longest if pa.types.is_dictionary(column.type) else 0
    rows = max(1, MOST_HELD // max(1, repeated))
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def check_footer(path: Path, columns: Sequence[str]) -> int:
    """Rows to read at once from a Parquet file, by what its footer says of the columns' sizes: at most `MOST_HELD` in all.

    Raises:
        InvalidInput: a column takes more than cells of names, times or numbers can, or the footer cannot be made out;
            nothing of the rows has been read.
    """
    widest = 1
    for _, parts in groupby(_parts(path), itemgetter(0)):
        held, rows = Counter[str](), 1
        for _, place, size, count in parts:
            rows = max(rows, count)
            held.update({name: size for name in columns if f"{place}, ".startswith(f"{name}, ")})
        for name, size in held.items():
            if size > MOST_HELD + rows * _ROW:
                raise _too_long(path.name, name, f"{_kib(size)} in {rows:,} rows")
        widest = max(widest, held.total() // rows)
    return max(1, MOST_HELD // widest)


def _parts(path: Path) -> list[tuple[int, str, int, int]]:
    """Of each part of a column: row group, path in the schema, bytes when unpacked, rows.

    DuckDB reads the footer: asked for the same, Arrow 26 ends the whole process where some bytes are not as they were written.
    """
    offline: dict[str, Any] = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false", "threads": "1"}
    try:
        with duckdb.connect(":memory:", config=offline) as connection:
            connection.execute(f"SET allowed_directories = [{_quoted(path.parent)}]")
            connection.execute("SET enable_external_access = false")
            return connection.execute(_PARTS, [escape(str(path))]).fetchall()
    except (duckdb.Error, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path.name} is no readable Parquet file: {error}. Write it anew.") from error


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _longest(column: pa.Array) -> int:
    """Bytes of the longest text; 0 where cells are no text."""
    cells = column.dictionary if pa.types.is_dictionary(column.type) else column
    return (pc.max(pc.binary_length(cells)).as_py() or 0) if _holds_text(cells.type) else 0


def _holds_text(kind: pa.DataType) -> bool:
    types = pa.types
    return types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind) or types.is_large_binary(kind)


def _kib(size: int) -> str:
    return f"{size / 1024:,.0f} KiB"


def _too_long(file: str, column: str, held: str) -> InvalidInput:
    return InvalidInput(
        f"{file}: column {column[:80]!r} holds {held}. No name, time or number is longer than {_kib(MOST_CELL)}: "
        "shorten its cells, leave the column out of the file, or name it with the option ignore."
    )
