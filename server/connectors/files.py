"""The `files` connector: CSV, Parquet, a folder of them, or a table of a DuckDB file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from server.connectors.formats import CsvTable, DuckDBTable, ParquetTable, Table
from server.connectors.locations import Roots, allowed
from server.connectors.mapping import CONSTANT_DEVICE, ColumnType, check_options, detect_mapping
from server.domain.telemetry import Change, ColumnMapping, Metric
from server.errors import InvalidInput

_PARQUET = {".parquet", ".pq"}
_CSV = {".csv", ".tsv", ".txt"}
_PACKED = {".gz", ".bz2", ".zst"}
_DUCKDB = {".duckdb", ".db", ".ddb"}


@dataclass(frozen=True)
class FileSource:
    """Rows of one or more tables, united by column name; a column that a file lacks is empty there."""

    name: str
    mapping: ColumnMapping
    tables: Sequence[Table]
    device_name: str | None = None
    metrics: tuple[Metric, ...] = ()

    @property
    def rows(self) -> int | None:
        """The sum over the files, if every one knows."""
        counts = [table.rows for table in self.tables]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    def batches(self) -> Iterator[pa.RecordBatch]:
        """File after file in order of name, the mapped columns only."""
        wanted = _used(self.mapping)
        for table in self.tables:
            known = table.columns  # worked out anew each time it is asked for
            here = [name for name in wanted if name in known]
            for batch in table.batches(here):
                yield self._completed(batch, wanted)

    def _completed(self, batch: pa.RecordBatch, wanted: Sequence[str]) -> pa.RecordBatch:
        if batch.schema.names == list(wanted):
            return batch
        absent = pa.nulls(batch.num_rows, pa.string())
        here = dict(zip(batch.schema.names, batch.columns, strict=True))
        columns = {name: here.get(name, absent) for name in wanted}
        if self.device_name is not None:
            columns[self.mapping.device] = pa.repeat(pa.scalar(self.device_name), batch.num_rows)
        return pa.RecordBatch.from_pydict(columns)

    def changes(self) -> Iterator[Change]:
        """None: files of telemetry carry no change log."""
        return iter(())


class FilesConnector:
    """Opens a file or folder below one of `roots` (anywhere, if None).

    Options: device, time, arrival, store, customer, split name a column each; cohort, metrics, ignore name several,
    separated by commas; device_name names the one device that all rows are of.
    """

    name = "files"
    opens_paths = True

    def __init__(self, roots: Roots = None) -> None:
        self._roots = roots

    def open(self, location: str, options: Mapping[str, str]) -> FileSource:
        """The source at `location`: a path, or `file.duckdb::table`.

        Raises:
            PathNotAllowed: the path, with links and `..` resolved, is not below an allowed root.
            InvalidInput: there is nothing readable there, or its columns cannot be told apart.
        """
        check_options(options)
        table = location.partition("::")[2]
        path = allowed(location, self._roots)
        tables = self._tables(path, table)
        columns: dict[str, ColumnType] = {}
        for part in tables:
            columns |= {
                name: kind for name, kind in part.columns.items() if columns.get(name, ColumnType.TEXT) is ColumnType.TEXT
            }
        try:
            mapping = detect_mapping(columns, options)
        except InvalidInput as error:
            raise InvalidInput(f"{path.name}: {error}") from error
        name = f"{path.name}::{table}" if table else path.name
        return FileSource(name, mapping, tables, options.get(CONSTANT_DEVICE))

    def _tables(self, path: Path, table: str) -> Sequence[Table]:
        if path.is_dir():
            return self._folder(path)
        if not path.is_file():
            raise InvalidInput(f"there is no file or folder {path.name}. Check the path.")
        if table or path.suffix.lower() in _DUCKDB:
            return [DuckDBTable(path, table)]
        found = _table_of(path)
        if found is None:
            raise InvalidInput(
                f"{path.name}: files of this kind are not read. Give .csv, .tsv, .parquet, a folder or .duckdb::table."
            )
        return [found]

    def _folder(self, folder: Path) -> Sequence[Table]:
        tables: list[Table] = []
        for path in sorted(folder.iterdir()):
            found = _table_of(path) if path.is_file() else None
            if found is not None:
                allowed(str(path), self._roots)
                tables.append(found)
        if not tables:
            raise InvalidInput(f"folder {folder.name} holds no .csv, .tsv or .parquet file. Give a folder that does.")
        return tables


def _table_of(path: Path) -> Table | None:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    last = suffixes[-2:-1] if suffixes and suffixes[-1] in _PACKED else suffixes[-1:]
    if last and last[0] in _PARQUET:
        return ParquetTable(path)
    return CsvTable(path) if last and last[0] in _CSV else None


def _used(mapping: ColumnMapping) -> list[str]:
    single = (mapping.device, mapping.time, mapping.arrival, mapping.store, mapping.customer, mapping.split)
    return list(dict.fromkeys([*(name for name in single if name), *mapping.cohort, *mapping.metrics]))
