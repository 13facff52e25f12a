"""A features artifact read by columns."""

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
