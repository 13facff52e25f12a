"""A features artifact read by columns."""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from server.pipeline.features import FeaturePlan
from server.pipeline.parts import write_parts
from server.pipeline.table import FeatureTable, write_table

_PLAN = FeaturePlan((), timedelta(hours=1), timedelta(hours=1), 1)


def test_a_column_of_many_blocks_is_filled_in_whole(tmp_path: Path) -> None:
    """The same values as reading it at once gives, from one file or from a list of files."""
    blocks = [pa.RecordBatch.from_pydict({"x": np.arange(size, dtype=np.float64) - size}) for size in range(1, 41)]
    path = tmp_path / "features.parquet"
    write_table(path, iter(blocks))
    write_parts(tmp_path / "list.parts", [path.name, path.name])
    for table, times in ((FeatureTable(path, _PLAN), 1), (FeatureTable(tmp_path / "list.parts", _PLAN), 2)):
        found = np.full(table.rows, np.nan)
        table.fill("x", found)
        assert np.array_equal(found, table.column("x"))
        assert np.array_equal(found, np.tile(np.concatenate([block.column("x").to_numpy() for block in blocks]), times))


def test_blocks_of_a_list_of_files_are_those_of_the_rows(tmp_path: Path) -> None:
    """All of them, those of some devices, those at some places, and those from a time on, over files of unequal length."""
    device = np.repeat(np.arange(12, dtype=np.int32), 5)
    time = np.tile(np.arange(5, dtype=np.int64), 12)
    whole = pa.RecordBatch.from_pydict({"device": device, "time": time, "x": np.arange(60.0)})
    write_table(tmp_path / "one.parquet", iter([whole.slice(0, 10), whole.slice(10, 15)]))
    write_table(tmp_path / "two.parquet", iter([whole.slice(25, 20), whole.slice(45, 15)]))
    write_parts(tmp_path / "list.parts", ["one.parquet", "two.parquet"])
    table = FeatureTable(tmp_path / "list.parts", _PLAN)

    def of(blocks: Iterable[pa.RecordBatch | None]) -> list[float]:
        return [value for block in blocks if block is not None for value in block.column("x").to_pylist()]

    assert of(table.blocks()) == list(range(60))
    assert of(table.blocks(np.array([1, 6, 11]))) == [*range(5, 10), *range(30, 35), *range(55, 60)]
    assert of(table.blocks_at(np.array([0, 12, 24, 25, 59]))) == [0, 12, 24, 25, 59]
    since = np.full(12, 9)
    since[[2, 8]] = 3
    assert of(block for _, block in table.blocks_from(since)) == [13, 14, 43, 44]
    assert [end for end, _ in table.blocks_from(since)] == [2, 5, 9, 12]
