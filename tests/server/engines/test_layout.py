"""A snapshot is cut into parts by the rows of its devices alone, and a task puts its rows together into the same blocks."""

import numpy as np
import pyarrow as pa
import pytest

from server.engines.spark.layout import Part, cut
from server.engines.spark.tasks import whole_devices
from server.errors import Unavailable


def test_parts_and_their_blocks_hold_whole_devices_in_order() -> None:
    """Every device is in one part; a part or block goes beyond its bound only where a single device does."""
    rows = [30, 80, 10, 500, 20, 20, 60]
    parts = cut(rows, part_rows=120, block_rows=50)
    assert [(part.first, part.last) for part in parts] == [(0, 2), (3, 3), (4, 6)]
    assert [part.blocks for part in parts] == [(30, 80, 10), (500,), (40, 60)]
    assert [part.ends for part in parts] == [(1, 2, 3), (4,), (6, 7)]
    assert [part.rows for part in parts] == [120, 500, 100]
    assert cut([], part_rows=10) == []


@pytest.mark.parametrize("size", [1, 7, 40, 1000])
def test_blocks_do_not_depend_on_how_rows_arrive(size: int) -> None:
    """A task that is tried again gets other batches and writes the same bytes."""
    part = Part(0, 3, (40, 500, 60), (1, 3, 4))
    table = pa.table({"row": np.arange(part.rows)})
    blocks = list(whole_devices(table.to_batches(max_chunksize=size), part))
    assert [block.num_rows for block in blocks] == list(part.blocks)
    assert pa.Table.from_batches(blocks).equals(table)


@pytest.mark.parametrize("rows", [0, 99, 101])
def test_lost_or_doubled_rows_are_refused(rows: int) -> None:
    """A part with other rows than the snapshot's is never scored."""
    batches = pa.table({"row": np.arange(rows)}).to_batches(max_chunksize=30)
    with pytest.raises(Unavailable, match="have not the 100 rows"):
        list(whole_devices(batches, Part(0, 3, (60, 40), (2, 4))))
