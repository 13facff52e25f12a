"""One reader a file format. Each says which columns there are, what their cells can be read as, and yields rows in batches."""

# pyarrow makes its compute functions when it is imported, so a checker does not see them
# pyright: reportAttributeAccessIssue=false

# ruff: noqa: S608 - identifiers are quoted and were found in the file's own catalogue

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
import pyarrow.parquet as pq

from server.connectors.cells import bounded, check_footer
from server.connectors.mapping import ColumnType
from server.errors import InvalidInput

BATCH_ROWS = 65_536
_SAMPLE_ROWS = 10_000
_CSV_BLOCK = 4 << 20
MOST_COLUMNS = 3_000
_UNREADABLE = (pa.ArrowException, OSError, UnicodeDecodeError)
"""What Arrow raises for bytes that it cannot make out."""


class Table(Protocol):
    """A file, or a table within one."""

    @property
    def columns(self) -> Mapping[str, ColumnType]:
        """What each column's cells can be read as."""
        ...

    @property
    def rows(self) -> int | None:
        """How many rows there are, if known without reading them."""
        ...

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """All rows of these columns."""
        ...


@dataclass(frozen=True)
class ParquetTable:
    """A Parquet file."""

    path: Path

    @cached_property
    def _metadata(self) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(self.path)
        except _UNREADABLE as error:
            raise InvalidInput(f"{self.path.name} is no readable Parquet file: {error}. Write it anew.") from error

    @property
    def columns(self) -> Mapping[str, ColumnType]:
        """Top-level columns; nested ones count as text."""
        schema = self._metadata.schema_arrow
        _check_names(schema.names, self.path)
        return {field.name: type_of(field.type) for field in schema}

    @property
    def rows(self) -> int:
        """From the file's footer."""
        return self._metadata.metadata.num_rows

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """All rows; columns of text come dictionary-coded, as they are stored. Raises `InvalidInput` for giant cells."""
        texts = [
            field.name for field in self._metadata.schema_arrow if field.name in columns and pa.types.is_string(field.type)
        ]
        rows = min(BATCH_ROWS, check_footer(self.path, columns))
        try:
            with pq.ParquetFile(self.path, read_dictionary=texts) as file:
                for batch in file.iter_batches(rows, columns=list(columns), use_threads=False):
                    yield from bounded(batch, self.path.name)
        except _UNREADABLE as error:
            raise InvalidInput(f"{self.path.name} is damaged: {error}. Write it anew.") from error


@dataclass(frozen=True)
class CsvTable:
    """A file of comma- or tab-separated text in UTF-8. Cells are left as text: the store judges them."""

    path: Path

    def _open(self) -> pv.CSVStreamingReader:
        read = pv.ReadOptions(block_size=_CSV_BLOCK, use_threads=False)
        parse = pv.ParseOptions(delimiter="\t" if ".tsv" in self.path.suffixes else ",", newlines_in_values=True)
        convert = pv.ConvertOptions(
            column_types=dict.fromkeys(self._header, pa.string()), strings_can_be_null=True, null_values=[""]
        )
        try:
            reader = pv.open_csv(self.path, read_options=read, parse_options=parse, convert_options=convert)
        except _UNREADABLE as error:
            raise self._unreadable(error) from error
        if reader.schema.names != self._header:
            raise InvalidInput(
                f"{self.path.name}: its first line cannot be told apart into names of columns. Begin with one line of names, "
                "with no line break inside a name."
            )
        return reader

    @cached_property
    def _header(self) -> list[str]:
        if not self.path.stat().st_size:
            raise InvalidInput(f"{self.path.name} is empty. Give a file with a header and rows.")
        with self.path.open("rb") as file:
            start = file.read(_CSV_BLOCK)
        if b"\0" in start:
            raise InvalidInput(f"{self.path.name} is binary, not text. Give CSV in UTF-8, or Parquet with the suffix .parquet.")
        first_line = start.removeprefix(b"\xef\xbb\xbf").splitlines()[:1]
        try:
            text = first_line[0].decode()
        except (IndexError, UnicodeDecodeError) as error:
            raise self._unreadable(error) from error
        try:
            names = next(csv.reader([text], delimiter="\t" if ".tsv" in self.path.suffixes else ","))
        except csv.Error as error:
            raise self._unreadable(error) from error
        _check_names(names, self.path)
        return names

    @property
    def columns(self) -> Mapping[str, ColumnType]:
        """By what the first rows hold."""
        return self._columns

    @cached_property
    def _columns(self) -> Mapping[str, ColumnType]:
        sample = next(self.batches(self._header), None)
        if sample is None or not sample.num_rows:
            raise InvalidInput(f"{self.path.name} has a header but no rows. Give a file with rows.")
        sample = sample.slice(0, _SAMPLE_ROWS)
        return {name: type_of_text(sample.column(name)) for name in self._header}

    @property
    def rows(self) -> None:
        """Not known before the file is read."""
        return

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """All rows, every cell as text, empty ones as null."""
        try:
            for batch in self._open():
                yield from bounded(batch.select(list(columns)), self.path.name)
        except _UNREADABLE as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> InvalidInput:
        return InvalidInput(f"{self.path.name} cannot be read as CSV in UTF-8: {error}. Mend the file, or save it as UTF-8.")


@dataclass(frozen=True)
class DuckDBTable:
    """A table or view of a DuckDB file, opened read-only and closed to everything outside that file."""

    path: Path
    table: str

    def _connect(self) -> Any:
        options: dict[str, Any] = {
            "enable_external_access": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }
        try:
            return duckdb.connect(str(self.path), read_only=True, config=options)
        except duckdb.Error as error:
            raise InvalidInput(f"{self.path.name} cannot be opened as a DuckDB file: {error}.") from error

    @cached_property
    def _names(self) -> str:
        """The table's quoted name. Raises `InvalidInput` listing the tables there are."""
        with self._connect() as connection:
            found = connection.execute("SELECT table_schema, table_name FROM information_schema.tables ORDER BY ALL").fetchall()
        tables = {name if schema == "main" else f"{schema}.{name}": (schema, name) for schema, name in found}
        if self.table not in tables:
            listed = ", ".join(tables) or "none"
            raise InvalidInput(
                f"{self.path.name} has no table {self.table!r}. Tables: {listed}. Write {self.path.name}::<table>."
            )
        return ".".join('"' + part.replace('"', '""') + '"' for part in tables[self.table])

    @property
    def columns(self) -> Mapping[str, ColumnType]:
        """By the table's own types."""
        return self._columns

    @cached_property
    def _columns(self) -> Mapping[str, ColumnType]:
        with self._connect() as connection:
            schema = connection.sql(f"SELECT * FROM {self._names} LIMIT 0").to_arrow_table().schema
        _check_names(schema.names, self.path)
        return {field.name: type_of(field.type) for field in schema}

    @property
    def rows(self) -> int:
        """Counted."""
        return self._rows

    @cached_property
    def _rows(self) -> int:
        with self._connect() as connection:
            return connection.execute(f"SELECT count(*) FROM {self._names}").fetchall()[0][0]

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """All rows."""
        listed = ", ".join('"' + name.replace('"', '""') + '"' for name in columns)
        try:
            with self._connect() as connection:
                for batch in connection.sql(f"SELECT {listed} FROM {self._names}").to_arrow_reader(BATCH_ROWS):
                    yield from bounded(batch, self.path.name)
        except duckdb.Error as error:
            raise InvalidInput(
                f"{self.path.name} cannot be read: {error}. Mend the table or view, or write it anew."
            ) from error


def _check_names(names: Sequence[str], path: Path) -> None:
    if len(names) > MOST_COLUMNS:
        raise InvalidInput(f"{path.name} has {len(names):,} columns; {MOST_COLUMNS:,} are the most. Leave some out.")
    repeated = sorted(name for name, times in Counter(names).items() if times > 1)
    if repeated:
        raise InvalidInput(f"{path.name} has column {repeated[0]!r} more than once. Rename one of them.")


def type_of(kind: pa.DataType) -> ColumnType:
    """What cells of this Arrow type can be read as; booleans and decimals count as numbers."""
    types = pa.types
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_boolean(kind):
        return ColumnType.NUMBER
    return ColumnType.TIME if types.is_timestamp(kind) or types.is_date(kind) else ColumnType.TEXT


def type_of_text(column: pa.Array) -> ColumnType:
    """What most of the filled cells of this text column can be read as; an empty column is text."""
    cells = pc.drop_null(pc.utf8_trim_whitespace(column))
    if not len(cells):
        return ColumnType.TEXT
    numbers = pc.sum(pc.match_substring_regex(cells, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^(?i:[+-]?inf|nan|na|null)$"))
    if numbers.as_py() * 2 > len(cells):
        return ColumnType.NUMBER
    times = pc.sum(pc.match_substring_regex(cells, r"^\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}.*)?$"))
    return ColumnType.TIME if times.as_py() * 2 > len(cells) else ColumnType.TEXT
