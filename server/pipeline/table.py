"""A features artifact on disk: keys and feature columns, read one column or one block at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from server.pipeline.features import FeaturePlan
from server.pipeline.in_place import ONE_PAGE, ColumnFile
from server.pipeline.parts import files_of

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FeatureTable:
    """Features of whole devices, sorted by device and time. Columns are read when asked for and not kept."""

    path: Path
    plan: FeaturePlan

    @cached_property
    def rows(self) -> int:
        """Number of rows."""
        return sum(file.rows for file in self._files)

    def column(self, name: str) -> npt.NDArray[np.float64]:
        """One feature of every row."""
        return self._read(name)

    def fill(self, name: str, out: npt.NDArray[Any]) -> None:
        """Put one column of every row into `out`, of shape (rows,)."""
        start = 0
        for file in self._files:
            file.fill(name, 0, out[start : start + file.rows])
            start += file.rows

    def key(self, name: str) -> npt.NDArray[np.int32]:
        """One key of every row (device, cohort, store or customer codes)."""
        return self._read(name)

    @cached_property
    def time(self) -> Ints:
        """Event time of every row, in microseconds since 1970 UTC."""
        return self._read("time")

    @cached_property
    def reference(self) -> npt.NDArray[np.bool_]:
        """Which rows may be fitted on."""
        return self._read("reference")

    @cached_property
    def device_bounds(self) -> Ints:
        """First row of each device, and the number of rows last."""
        device = self.key("device")
        return np.concatenate(([0], np.flatnonzero(np.diff(device)) + 1, [len(device)])).astype(np.int64)

    def blocks(self, devices: Ints | None = None) -> Iterator[pa.RecordBatch]:
        """The blocks as they were written, each of whole devices; only those devices' rows if codes are given."""
        for file, _, first, last in self._groups():
            every = ((first, last),) if last > first else ()
            wanted = every if devices is None else _stretches(np.isin(file.column("device", first, last), devices), first)
            if wanted:
                yield file.batch(wanted)

    def blocks_at(self, rows: Ints) -> Iterator[pa.RecordBatch]:
        """Those rows of each block, by ascending place in the table; blocks that have none of them are not read."""
        for file, start, first, last in self._groups():
            own = rows[slice(*np.searchsorted(rows, [start + first, start + last]))] - start - first
            if len(own):
                yield file.batch(((first, last),)).take(pa.array(own))

    def blocks_from(self, since: Ints) -> Iterator[tuple[int, pa.RecordBatch | None]]:
        """Of each block the rows at or after their device's time, given by code: (code after the block's last, those rows).

        A block without such rows gives None, and only its keys are read.
        """
        for file, _, first, last in self._groups():
            device, time = (file.column(name, first, last) for name in ("device", "time"))
            wanted = _stretches(time >= since[device], first)
            yield int(device[-1]) + 1, file.batch(wanted) if wanted else None

    def _groups(self) -> Iterator[tuple[ColumnFile, int, int, int]]:
        """Each block's file, the place of that file's first row in the table, and the block's rows in the file."""
        start = 0
        for file in self._files:
            for first, last in file.groups():
                yield file, start, first, last
            start += file.rows

    def _read(self, name: str) -> npt.NDArray[Any]:
        out = np.empty(self.rows, self._files[0].dtype(name))
        self.fill(name, out)
        return out

    @cached_property
    def _files(self) -> tuple[ColumnFile, ...]:
        return tuple(map(ColumnFile, files_of(self.path)))


def _stretches(wanted: npt.NDArray[np.bool_], first: int) -> tuple[tuple[int, int], ...]:
    """The runs of rows that are wanted, counted from `first`."""
    edges = np.flatnonzero(np.diff(wanted, prepend=False, append=False)) + first
    return tuple(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def write_table(path: Path, batches: Iterator[pa.RecordBatch]) -> int:
    """Write each batch as one row group; returns the number of rows.

    Nothing is compressed or dictionary-coded, and a column of a row group is one page: features are noise to a codec, and what
    lies in the file as it does in memory can be read from there (`server.pipeline.in_place`).
    """
    rows = 0
    first = next(batches)
    plain: dict[str, Any] = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    with pq.ParquetWriter(path, first.schema, data_page_size=ONE_PAGE, max_rows_per_page=ONE_PAGE, **plain) as writer:
        while True:
            writer.write_batch(first, row_group_size=max(first.num_rows, 1))
            rows += first.num_rows
            following = next(batches, None)
            if following is None:
                return rows
            first = following
