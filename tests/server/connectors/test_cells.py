"""A small file that unpacks to gigabytes is refused by name before it is held, and what is repeated is read in slices."""

import resource

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from server.connectors.cells import MOST_CELL, MOST_HELD, bounded
from server.connectors.files import FilesConnector
from server.errors import InvalidInput

ROWS = 200


def table(column: str, cell: str, rows: int = ROWS) -> pa.Table:
    """Telemetry of one device with one giant cell in one of its columns."""
    cells = {"device": ["a"] * rows, "time": [f"2025-01-01T00:{row // 60 % 60:02d}:{row % 60:02d}" for row in range(rows)]}
    cells |= {"model": ["X"] * rows}
    cells[column][rows // 2] = cell
    return pa.table({**cells, "heat": [float(row) for row in range(rows)]})


def read(path) -> list[pa.RecordBatch]:
    """All batches of the file."""
    return list(FilesConnector().open(str(path), {}).batches())


@pytest.mark.parametrize("column", ["device", "time", "model"])
@pytest.mark.parametrize("size", [MOST_CELL + 1, 100 << 20])
def test_a_giant_cell_is_refused_with_its_file_and_column(tmp_path, column, size):
    """A file of a few kilobytes: 100 MiB of one letter. What to do is said."""
    path = tmp_path / "bomb.parquet"
    pq.write_table(table(column, "x" * size), path, compression="zstd")
    assert path.stat().st_size < 1 << 20
    with pytest.raises(InvalidInput, match=rf"bomb.parquet: column '{column}' holds .* option ignore"):
        read(path)


def test_a_column_that_holds_too_much_is_refused_unread(tmp_path):
    """The footer says how much it is, so none of it is unpacked: memory stays where it was."""
    path = tmp_path / "bomb.parquet"
    pq.write_table(table("device", "x" * (200 << 20)), path, compression="zstd")
    source = FilesConnector().open(str(path), {})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    allocated = pa.total_allocated_bytes()
    with pytest.raises(InvalidInput, match=r"204,80. KiB in 200 rows"):
        list(source.batches())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 << 10
    assert pa.total_allocated_bytes() - allocated < 1 << 20


def test_the_longest_cell_that_is_taken_is_read(tmp_path):
    """The bound is no lower than it says."""
    path = tmp_path / "long.parquet"
    pq.write_table(table("model", "x" * MOST_CELL), path)
    assert sum(batch.num_rows for batch in read(path)) == ROWS


def test_a_giant_cell_of_a_column_that_is_ignored_does_no_harm(tmp_path):
    """Which is what the refusal tells people to do."""
    path = tmp_path / "notes.parquet"
    pq.write_table(table("model", "x" * (1 << 20)), path)
    assert sum(batch.num_rows for batch in FilesConnector().open(str(path), {"ignore": "model"}).batches()) == ROWS


def test_a_long_name_on_every_row_is_read_in_slices():
    """Coded it takes 64 KiB, written out for every row 4 GiB: no slice holds more than the bound, none loses a row."""
    rows = 65_536
    names = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * MOST_CELL]))
    slices = list(bounded(pa.record_batch({"device": names}), "f.parquet"))
    assert sum(each.num_rows for each in slices) == rows
    assert max(each.num_rows for each in slices) * MOST_CELL <= MOST_HELD


def test_usual_rows_pass_as_they_came():
    """One batch stays one batch: slicing is for what is unusual."""
    batch = pa.record_batch({"device": pa.array(["d-1"] * 65_536).dictionary_encode(), "heat": [1.0] * 65_536})
    (same,) = bounded(batch, "f.parquet")
    assert same.equals(batch)


def test_many_long_texts_that_differ_are_refused(tmp_path):
    """They would take gigabytes in a batch of usual length."""
    path = tmp_path / "wide.parquet"
    rows = 4_000
    names = [f"{row:05d}" + "x" * 20_000 for row in range(rows)]
    pq.write_table(pa.table({"device": names, "time": ["2025-01-01"] * rows, "heat": [1.0] * rows}), path, row_group_size=rows)
    with pytest.raises(InvalidInput, match="column 'device' holds"):
        read(path)


def test_a_file_that_is_gone_when_it_is_read_is_said(tmp_path):
    """Somebody may remove it between opening and reading."""
    for name in ("gone.parquet", "gone.csv"):
        path = tmp_path / name
        if name.endswith("csv"):
            path.write_text("device,time,heat\na,2025-01-01,1\n")
        else:
            pq.write_table(table("model", "X"), path)
        source = FilesConnector().open(str(path), {})
        path.unlink()
        with pytest.raises(InvalidInput, match=name):
            list(source.batches())


@pytest.mark.parametrize("name", ["week [1].parquet", "it's*.parquet", "a?.parquet"])
def test_signs_in_a_files_name_mean_nothing(tmp_path, name):
    """None of them is taken for a pattern, or for the end of a text."""
    pq.write_table(table("model", "X"), tmp_path / name)
    pq.write_table(table("model", "x" * (MOST_CELL + 1)), tmp_path / "week 1.parquet")
    assert sum(batch.num_rows for batch in read(tmp_path / name)) == ROWS
