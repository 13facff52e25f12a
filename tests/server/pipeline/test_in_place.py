"""Columns of a Parquet file, read from where they lie: the same values as Arrow reads, whoever wrote the file."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import ArtifactDamaged
from server.pipeline.in_place import ColumnFile
from server.pipeline.table import write_table

SCHEMA = pa.schema(
    [
        pa.field("code", pa.int32(), nullable=False),
        pa.field("time", pa.int64(), nullable=False),
        pa.field("usable", pa.bool_(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("loose", pa.float64()),
        pa.field("text", pa.string()),
    ]
)
NUMBERS = ("code", "time", "usable", "value")


def rows(count: int, seed: int = 1) -> pa.RecordBatch:
    """So many rows, a tenth of the loose values and of the texts null."""
    chance = np.random.default_rng(seed)
    values = chance.normal(size=count)
    texts = [None if draw < 0.1 else f"text {draw:.3f}" for draw in chance.random(count)]
    columns = [
        chance.integers(-1, 9, count, dtype=np.int32),
        chance.integers(0, 2**60, count),
        chance.random(count) < 0.7,
        values,
        pa.array(values, mask=chance.random(count) < 0.1),
        pa.array(texts, pa.string()),
    ]
    return pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=SCHEMA)


def test_numbers_are_read_without_a_parquet_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `write_table` writes is read from where it lies: also where a row group is larger than a usual page."""
    blocks = [rows(count, count) for count in (7, 300_000, 1)]
    write_table(tmp_path / "own.parquet", iter(blocks))
    file = ColumnFile(tmp_path / "own.parquet")
    monkeypatch.setattr(pq, "ParquetFile", _refused)
    found = file.batch(((0, file.rows),), NUMBERS)
    assert found.equals(pa.Table.from_batches(blocks).select(NUMBERS).combine_chunks().to_batches()[0])


def _refused(*_: object, **__: object) -> Any:
    raise AssertionError("a Parquet reader was asked")


WRITERS: dict[str, dict[str, Any]] = {
    "own": {"compression": "none", "use_dictionary": False, "write_statistics": False, "max_rows_per_page": 1 << 30},
    "pages": {"compression": "none", "use_dictionary": False, "max_rows_per_page": 3},
    "two pages": {"compression": "none", "use_dictionary": False, "write_statistics": False, "max_rows_per_page": 20},
    "checksums": {"compression": "none", "use_dictionary": False, "write_page_checksum": True},
    "dictionary": {"compression": "none", "use_dictionary": True},
    "compressed": {"compression": "zstd", "use_dictionary": False},
    "byte streams": {"compression": "none", "use_dictionary": False, "use_byte_stream_split": ["value"]},
    "newer pages": {"compression": "none", "use_dictionary": False, "data_page_version": "2.0"},
    "deltas": {"compression": "none", "use_dictionary": False, "column_encoding": {"time": "DELTA_BINARY_PACKED"}},
}


@pytest.mark.parametrize("writer", WRITERS)
@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), min_size=1, max_size=4))
def test_any_rows_of_any_file_are_what_arrow_reads(
    tmp_path_factory: pytest.TempPathFactory, writer: str, ends: list[tuple[int, int]]
) -> None:
    """Whatever pages, codes and codecs the writer chose; stretches may be empty, overlap and cross row groups."""
    path = tmp_path_factory.getbasetemp() / f"{writer}.parquet"
    table = pa.Table.from_batches([rows(100)])
    if not path.exists():
        pq.write_table(table, path, row_group_size=37, **WRITERS[writer])
    stretches = [(min(pair), max(pair)) for pair in ends]
    wanted = pa.concat_tables([table.slice(first, last - first) for first, last in stretches]).combine_chunks()
    assert pa.Table.from_batches([ColumnFile(path).batch(stretches)]).equals(wanted)


def test_a_column_is_put_where_it_is_wanted(tmp_path: Path) -> None:
    """From any row on, over row groups, in place."""
    write_table(tmp_path / "own.parquet", iter([rows(5, 1), rows(6, 2)]))
    file = ColumnFile(tmp_path / "own.parquet")
    out = np.full(8, -1.0)
    file.fill("value", 3, out[1:7])
    value = pa.concat_arrays([rows(5, 1).column("value"), rows(6, 2).column("value")]).to_numpy()
    np.testing.assert_array_equal(out[1:7], value[3:9])
    assert out[0] == out[7] == -1.0
    np.testing.assert_array_equal(file.column("code", 4, 4), np.empty(0, np.int32))


def test_a_file_cut_short_while_it_is_read_is_said(tmp_path: Path) -> None:
    """Rather than whatever the memory held before."""
    path = tmp_path / "own.parquet"
    write_table(path, iter([rows(1000)]))
    file = ColumnFile(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ArtifactDamaged, match=r"own\.parquet is damaged"):
        file.batch([(0, 1000)], ["value"])


def test_a_column_after_a_nested_one_is_found(tmp_path: Path) -> None:
    """Parquet counts the leaves of a structure as columns of their own."""
    pair = pa.array([{"x": 1, "y": 2}] * 9, pa.struct([pa.field("x", pa.int64(), False), pa.field("y", pa.int64(), False)]))
    schema = pa.schema([pa.field("pair", pair.type, nullable=False), pa.field("value", pa.int64(), nullable=False)])
    batch = pa.RecordBatch.from_arrays([pair, pa.array(range(9))], schema=schema)
    write_table(tmp_path / "nested.parquet", iter([batch]))
    file = ColumnFile(tmp_path / "nested.parquet")
    assert file.column("value", 2, 5).tolist() == [2, 3, 4]
    assert file.batch([(0, 9)]).equals(batch)


def test_numbers_of_another_kind_are_converted(tmp_path: Path) -> None:
    """Rather than read as if they were of the kind that is wanted."""
    write_table(tmp_path / "own.parquet", iter([rows(9)]))
    wide = np.empty(9, np.int64)
    ColumnFile(tmp_path / "own.parquet").fill("code", 0, wide)
    np.testing.assert_array_equal(wide, rows(9).column("code").to_numpy())


def test_more_rows_than_there_are_are_refused(tmp_path: Path) -> None:
    """What lies beyond the end is nobody's value."""
    write_table(tmp_path / "own.parquet", iter([rows(9)]))
    with pytest.raises(IndexError, match="9 rows, of which 4"):
        ColumnFile(tmp_path / "own.parquet").column("value", 5, 12)
