"""What a part takes of an earlier table: nothing but the files that hold its devices, or one of those as it is."""

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from server.engines.spark.cluster import Cluster
from server.pipeline.extend import NEVER, Carried, declared, is_identity
from server.pipeline.parts import files_of


@dataclass(frozen=True, slots=True)
class Range:
    """Device codes, from first to last."""

    first: int
    last: int

    def touches(self, other: "Range") -> bool:
        """Whether they have a code in common."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True, slots=True)
class Piece(Carried):
    """What of an earlier table holds for the devices of one part; `files` are those of its files that have some of them."""

    files: tuple[Path, ...]
    devices: Range

    @classmethod
    def of(cls, kept: Carried, files: Sequence[Path], devices: Range) -> Self:
        """The part's share of all that is kept."""
        return cls(kept.path, kept.codes, kept.since, tuple(files), devices)

    @property
    def unchanged(self) -> bool:
        """Whether no row of the part's devices has to be made anew."""
        return bool((self.since[self.devices.first : self.devices.last + 1] == NEVER).all())

    def pieces(self) -> Iterator[pa.Table]:
        """The row groups that hold some of the part's devices, without the rows of others. At least one, be it empty."""
        yield self.recoded(pq.read_schema(self.files[0]).empty_table())
        for path in self.files:
            with pq.ParquetFile(path) as file:
                for group in range(file.num_row_groups):
                    own = self._own(file.read_row_group(group, columns=["device"]))
                    if own.any():
                        rows = self.recoded(file.read_row_group(group))
                        yield rows if own.all() else rows.filter(pa.array(own))

    def as_it_is(self, blocks: Sequence[int]) -> Path | None:
        """The one file that already is this part, with row groups of so many rows each; None if there is none."""
        if len(self.files) != 1 or not self.unchanged or not all(map(is_identity, self.codes.values())):
            return None
        schema = pq.read_schema(self.files[0])
        if row_counts(self.files[0]) != list(blocks) or not schema.equals(declared(schema)):
            return None
        return self.files[0] if self._own(pq.read_table(self.files[0], columns=["device"])).all() else None

    def _own(self, keys: pa.Table) -> np.ndarray:
        device = self.codes["device"][keys.column("device").to_numpy()]
        return (device >= self.devices.first) & (device <= self.devices.last)


def row_counts(path: Path) -> list[int]:
    """Rows of each row group of a file."""
    about = pq.read_metadata(path)
    return [about.row_group(place).num_rows for place in range(about.num_row_groups)]


def linked(source: Path, path: Path) -> None:
    """The same file under another name, or a copy of it where the file system has no such names."""
    try:
        os.link(source, path)
    except OSError:
        shutil.copyfile(source, path)


def holders(cluster: Cluster, kept: Carried, parts: Sequence[Range]) -> list[tuple[Path, ...]]:
    """For each part the files of the earlier table that hold some of its devices."""
    files = files_of(kept.path)
    found = [_later(kept, range_) for range_ in cluster.over(devices_in, files)]
    return [
        tuple(path for path, held in zip(files, found, strict=True) if held is not None and held.touches(part))
        for part in parts
    ]


def devices_in(path: Path) -> Range:
    """The device codes in a file whose rows lie in their order."""
    with pq.ParquetFile(path) as file:
        groups = file.num_row_groups
        first, last = (file.read_row_group(group, columns=["device"]).column("device") for group in (0, groups - 1))
        return Range(first[0].as_py(), last[-1].as_py())


def _later(kept: Carried, held: Range) -> Range | None:
    """A range of earlier codes in later ones, which lie in the same order; None if all have gone."""
    codes = kept.codes["device"][held.first : held.last + 1]
    left = codes[codes >= 0]
    return Range(int(left[0]), int(left[-1])) if len(left) else None


def split_at(batches: Iterable[pa.RecordBatch], ends: Sequence[int]) -> Iterator[tuple[int, pa.RecordBatch | None]]:
    """Rows sorted by device as a block for each end, the code after its last device; None where there are no rows."""
    stream = (batch for batch in batches if batch.num_rows)
    held: list[pa.RecordBatch] = []
    for end in ends:
        while (not held or held[-1].column("device")[-1].as_py() < end) and (batch := next(stream, None)) is not None:
            held.append(batch)
        if not held:
            yield end, None
            continue
        table = pa.Table.from_batches(held)
        count = int(np.searchsorted(table.column("device").to_numpy(), end))
        held = table.slice(count).to_batches()
        yield end, table.slice(0, count).combine_chunks().to_batches()[0] if count else None
