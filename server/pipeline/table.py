"""A features artifact on disk: keys and feature columns, read one column or one block at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import local
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from server.pipeline.features import FeaturePlan
from server.pipeline.parts import PARTS, files_of, read_columns, row_groups

_GROUPS_AT_ONCE = 16


@dataclass(frozen=True)
class FeatureTable:
    """Features of whole devices, sorted by device and time. Columns are read when asked for and not kept."""

    path: Path
    plan: FeaturePlan

    @cached_property
    def rows(self) -> int:
        """Number of rows."""
        return sum(pq.read_metadata(each).num_rows for each in files_of(self.path))

    def column(self, name: str) -> npt.NDArray[np.float64]:
        """One feature of every row."""
        return self._read(name)

    def fill(self, name: str, out: npt.NDArray[np.float64]) -> None:
        """Put one feature of every row into `out`, of shape (rows,), without holding it a second time meanwhile."""
        if self.path.suffix == PARTS:
            np.copyto(out, self._read(name))
            return
        file, start = self._file(), 0
        for first in range(0, file.num_row_groups, _GROUPS_AT_ONCE):
            groups = range(first, min(first + _GROUPS_AT_ONCE, file.num_row_groups))
            for chunk in file.read_row_groups(list(groups), columns=[name]).column(0).chunks:
                out[start : start + len(chunk)] = chunk.to_numpy(zero_copy_only=False)
                start += len(chunk)

    def key(self, name: str) -> npt.NDArray[np.int32]:
        """One key of every row (device, cohort, store or customer codes)."""
        return self._read(name)

    @cached_property
    def time(self) -> npt.NDArray[np.int64]:
        """Event time of every row, in microseconds since 1970 UTC."""
        return self._read("time")

    @cached_property
    def reference(self) -> npt.NDArray[np.bool_]:
        """Which rows may be fitted on."""
        return self._read("reference")

    @cached_property
    def device_bounds(self) -> npt.NDArray[np.int64]:
        """First row of each device, and the number of rows last."""
        device = self.key("device")
        return np.concatenate(([0], np.flatnonzero(np.diff(device)) + 1, [len(device)])).astype(np.int64)

    def blocks(self, devices: npt.NDArray[np.int64] | None = None) -> Iterator[pa.RecordBatch]:
        """The blocks as they were written, each of whole devices; only those devices' rows if codes are given."""
        for block in row_groups(self.path):
            kept = block if devices is None else block.filter(pa.array(np.isin(block.column("device").to_numpy(), devices)))
            yield from kept.combine_chunks().to_batches()

    def blocks_at(self, rows: npt.NDArray[np.int64]) -> Iterator[pa.RecordBatch]:
        """Those rows of each block, by ascending place in the table; blocks that have none of them are not read."""
        start = 0
        for each in files_of(self.path):
            with pq.ParquetFile(each) as file:
                for group in range(file.num_row_groups):
                    end = start + file.metadata.row_group(group).num_rows
                    begin, stop = np.searchsorted(rows, [start, end])
                    if stop > begin:
                        yield from (
                            file.read_row_group(group).take(pa.array(rows[begin:stop] - start)).combine_chunks().to_batches()
                        )
                    start = end

    def blocks_from(self, since: npt.NDArray[np.int64]) -> Iterator[tuple[int, pa.RecordBatch | None]]:
        """Of each block the rows at or after their device's time, given by code: (code after the block's last, those rows).

        A block without such rows gives None, and only its keys are read.
        """
        for each in files_of(self.path):
            with pq.ParquetFile(each) as file:
                for group in range(file.num_row_groups):
                    keys = file.read_row_group(group, columns=["device", "time"])
                    device, time = keys.column("device").to_numpy(), keys.column("time").to_numpy()
                    wanted = time >= since[device]
                    made = file.read_row_group(group).filter(pa.array(wanted)).combine_chunks() if wanted.any() else None
                    yield int(device[-1]) + 1, made.to_batches()[0] if made is not None else None

    def _read(self, name: str) -> npt.NDArray[Any]:
        if self.path.suffix == PARTS:
            return read_columns(self.path, [name]).column(0).to_numpy()
        return self._file().read(columns=[name]).column(0).to_numpy()

    def _file(self) -> pq.ParquetFile:
        if not hasattr(self._readers, "file"):
            self._readers.file = pq.ParquetFile(self.path)
        return self._readers.file

    @cached_property
    def _readers(self) -> local:
        """One reader a thread: it takes the whole footer to open one, and thousands of columns make a long footer."""
        return local()


def write_table(path: Path, batches: Iterator[pa.RecordBatch]) -> int:
    """Write each batch as one row group; returns the number of rows.

    Nothing is compressed or dictionary-coded: features are noise to a codec, and plain pages cost little more than a copy.
    """
    rows = 0
    first = next(batches)
    with pq.ParquetWriter(path, first.schema, compression="none", use_dictionary=False, write_statistics=False) as writer:
        while True:
            writer.write_batch(first, row_group_size=max(first.num_rows, 1))
            rows += first.num_rows
            following = next(batches, None)
            if following is None:
                return rows
            first = following
