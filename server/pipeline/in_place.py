"""Columns of a Parquet file; numbers are read from where they lie.

`write_table` neither compresses nor codes, declares what holds no null, and puts each column of a row group on one page: after
a short header the values lie in the file as they do in memory, so any rows of them are one read into memory that is there
already. A Parquet reader makes two copies of the whole row group in new memory, and new memory costs more than what is done in
it. Files that were written otherwise are read through such a reader, to the same values.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from server.errors import ArtifactDamaged

Ints = npt.NDArray[np.int64]
Numbers = npt.NDArray[Any]
Stretch = tuple[int, int]
"""Rows of a file: the first, and the one beyond the last."""

ONE_PAGE = 1 << 30
"""Bytes and rows of a page that no row group fills."""
_BITS = {np.dtype("<f8"): 64, np.dtype("<i8"): 64, np.dtype("<i4"): 32, np.dtype(np.bool_): 1}
"""How many bits of a plain page a value takes."""
_TWO_HEADERS = 34
"""Bytes that the headers of two pages take at least: each has 17 of Thrift's compact protocol."""


class _Part(NamedTuple):
    """Rows of a stretch that lie in one row group, counted from the group's first."""

    group: int
    begin: int
    end: int


class ColumnFile:
    """The columns of one file. It is opened for each read, so this holds no descriptor and several threads can share it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._metadata = pq.read_metadata(path)
        groups = range(self._metadata.num_row_groups)
        self.schema = self._metadata.schema.to_arrow_schema()
        self.starts: Ints = np.cumsum([0, *(self._metadata.row_group(group).num_rows for group in groups)])
        """First row of each row group, and the number of rows last."""
        schema = self._metadata.schema
        self._leaf = {schema.column(at).path: at for at in range(len(schema))}
        self._places: dict[str, tuple[int | None, ...]] = {}

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.starts[-1])

    def groups(self) -> Iterator[Stretch]:
        """The rows of each row group."""
        return zip(self.starts[:-1].tolist(), self.starts[1:].tolist(), strict=True)

    def dtype(self, name: str) -> np.dtype[Any]:
        """What the values of a column of numbers are."""
        return np.dtype(self.schema.field(name).type.to_pandas_dtype())

    def fill(self, name: str, first: int, out: Numbers) -> None:
        """Put the numbers of a column from row `first` on into `out`, of shape (rows wanted,).

        Raises:
            ArtifactDamaged: the file ends before its columns do.
            IndexError: it has not so many rows.
        """
        with self.path.open("rb") as file:
            self._fill(file.fileno(), name, list(self._parts([(first, first + len(out))])), out)

    def column(self, name: str, first: int, last: int) -> Numbers:
        """The numbers of a column in the rows first:last."""
        out = np.empty(last - first, self.dtype(name))
        self.fill(name, first, out)
        return out

    def batch(self, stretches: Sequence[Stretch], columns: Sequence[str] | None = None) -> pa.RecordBatch:
        """All columns, or those named, of stretches of rows, one stretch after the other."""
        parts = list(self._parts(stretches))
        rows = sum(part.end - part.begin for part in parts)
        names = self.schema.names if columns is None else columns
        kinds = {name: self.dtype(name) for name in names if self._holds_numbers(name)}
        # one piece of memory for all columns of a kind: the system hands out large pieces in large pages
        pools = {kind: iter(np.empty((list(kinds.values()).count(kind), rows), kind)) for kind in set(kinds.values())}
        arrays: list[pa.Array] = []
        with self.path.open("rb") as file:
            for name in names:
                if name in kinds:
                    out = next(pools[kinds[name]])
                    self._fill(file.fileno(), name, parts, out)
                    arrays.append(pa.array(out))
                else:
                    arrays.append(self._anything(name, parts))
        return pa.RecordBatch.from_arrays(arrays, schema=pa.schema([self.schema.field(name) for name in names]))

    def _parts(self, stretches: Iterable[Stretch]) -> Iterator[_Part]:
        for first, last in stretches:
            begin, end = np.searchsorted(self.starts, [first, last], side="right")
            for group in range(int(begin) - 1, min(int(end), len(self.starts) - 1)):
                start = int(self.starts[group])
                own = _Part(group, max(first - start, 0), min(last, int(self.starts[group + 1])) - start)
                if own.end > own.begin:
                    yield own

    def _fill(self, descriptor: int, name: str, parts: Sequence[_Part], out: Numbers) -> None:
        places = self._places_of(name) if out.dtype == self.dtype(name) else ()
        filled = 0
        for group, own in groupby(parts, attrgetter("group")):
            place = places[group] if places else None
            decoded = self._decoded(name, group).to_numpy() if place is None else out[:0]
            for _, begin, end in own:
                part = out[filled : filled + end - begin]
                filled += end - begin
                if place is None:
                    part[:] = decoded[begin:end]
                elif out.dtype == np.bool_:
                    packed = np.empty((end + 7) // 8 - begin // 8, np.uint8)
                    self._read(descriptor, place + begin // 8, packed)
                    part[:] = np.unpackbits(packed, bitorder="little")[begin % 8 :][: len(part)]
                else:
                    self._read(descriptor, place + begin * part.itemsize, part)
        if filled != len(out):
            raise IndexError(f"{self.path.name} has {self.rows:,} rows, of which {filled:,} are among those asked for")

    def _read(self, descriptor: int, place: int, out: Numbers) -> None:
        wanted = out.data.cast("B")
        while wanted:
            count = os.preadv(descriptor, [wanted], place)
            if not count:
                raise ArtifactDamaged(
                    self.path.name, "it ends before its columns do", advice="Run the stage that wrote it again."
                )
            wanted, place = wanted[count:], place + count

    def _places_of(self, name: str) -> tuple[int | None, ...]:
        """By row group where in the file the column's first value lies; None where values do not lie side by side."""
        if name not in self._places:
            groups = range(self._metadata.num_row_groups)
            self._places[name] = tuple(self._place(group, self._leaf[name], self.dtype(name)) for group in groups)
        return self._places[name]

    def _place(self, group: int, column: int, kind: np.dtype[Any]) -> int | None:
        chunk = self._metadata.row_group(group).column(column)
        coded = chunk.compression != "UNCOMPRESSED" or chunk.has_dictionary_page or "PLAIN" not in chunk.encodings
        if coded or kind not in _BITS or self._metadata.schema.column(column).max_definition_level:
            return None
        header = chunk.total_compressed_size - (_BITS[kind] * chunk.num_values + 7) // 8
        return int(chunk.data_page_offset + header) if 0 < header < _TWO_HEADERS else None

    def _holds_numbers(self, name: str) -> bool:
        field = self.schema.field(name)
        return not field.nullable and pa.types.is_primitive(field.type) and not pa.types.is_temporal(field.type)

    def _anything(self, name: str, parts: Sequence[_Part]) -> pa.Array:
        """A column of texts, or one that may hold nulls, as Arrow reads it."""
        chunks = [pa.array([], self.schema.field(name).type)]
        for group, own in groupby(parts, attrgetter("group")):
            decoded = self._decoded(name, group)
            chunks += [chunk for _, begin, end in own for chunk in decoded[begin:end].chunks]
        return pa.concat_arrays(chunks)

    def _decoded(self, name: str, group: int) -> pa.ChunkedArray:
        with pq.ParquetFile(self.path, metadata=self._metadata) as file:
            return file.read_row_group(group, columns=[name]).column(0)
