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


@dataclass(frozen=True)
class FeatureTable:
    """Features of whole devices, sorted by device and time. Columns are read when asked for and not kept."""

    path: Path
    plan: FeaturePlan

    @cached_property
    def rows(self) -> int:
        """Number of rows."""
        return pq.read_metadata(self.path).num_rows

    def column(self, name: str) -> npt.NDArray[np.float64]:
        """One feature of every row."""
        return self._read(name)

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
        with pq.ParquetFile(self.path) as file:
            for group in range(file.num_row_groups):
                block = file.read_row_group(group)
                if devices is not None:
                    block = block.filter(pa.array(np.isin(block.column("device").to_numpy(), devices)))
                yield from block.combine_chunks().to_batches()

    def _read(self, name: str) -> npt.NDArray[Any]:
        if not hasattr(self._readers, "file"):
            self._readers.file = pq.ParquetFile(self.path)
        return self._readers.file.read(columns=[name]).column(0).to_numpy()

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
