"""Rows to CSV or Parquet files, whole or not at all, and with no cell that a spreadsheet would run."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from server.errors import InvalidInput, Unavailable
from server.spreadsheets import FORMULA

if TYPE_CHECKING:
    import pyarrow as pa


def checked_out(path: Path) -> Path:
    """The path to write to. Raises `InvalidInput` unless it ends in .csv or .parquet and its folder is there."""
    if path.suffix.lower() not in {".csv", ".parquet"}:
        raise InvalidInput(f"{path.name}: files of this kind are not written. Give a name that ends in .csv or .parquet.")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise InvalidInput(f"{path}: there is no folder to put this file in. Make it first.")
    return path


def write_rows(path: Path, batches: "Iterator[pa.RecordBatch]") -> int:
    """Write the batches, of one schema, at least one; the file appears when it is complete. Returns how many rows it has.

    Text cells of a CSV that a spreadsheet would take for a formula get an apostrophe in front; Parquet holds them as they are.

    Raises:
        Unavailable: the disk is full or the folder cannot be written; an older file of that name is still there.
    """
    unfinished = path.with_name(f".{path.name}.part")
    try:
        rows = _write(unfinished, batches, as_csv=path.suffix.lower() == ".csv")
        unfinished.replace(path)
    except OSError as error:
        raise Unavailable(
            f"cannot write {path.name}: {error.strerror or error}. Free some space or write elsewhere."
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)
    return rows


def _write(path: Path, batches: "Iterator[pa.RecordBatch]", *, as_csv: bool) -> int:
    first = next(batches)
    prepare = neutralised if as_csv else _as_it_is
    rows = 0
    with _writer(path, prepare(first).schema, as_csv=as_csv) as writer:
        following: pa.RecordBatch | None = first
        while following is not None:
            writer.write_batch(prepare(following))
            rows += following.num_rows
            following = next(batches, None)
    return rows


def _writer(path: Path, schema: "pa.Schema", *, as_csv: bool) -> Any:
    import pyarrow.csv as pv  # noqa: PLC0415 - only where rows are written
    import pyarrow.parquet as pq  # noqa: PLC0415 - as above

    return pv.CSVWriter(path, schema) if as_csv else pq.ParquetWriter(path, schema, compression="zstd")


def _as_it_is(batch: "pa.RecordBatch") -> "pa.RecordBatch":
    return batch


def neutralised(batch: "pa.RecordBatch") -> "pa.RecordBatch":
    """The batch with an apostrophe in front of text that begins like a formula."""
    import pyarrow as pa  # noqa: PLC0415 - only where rows are written

    columns = {
        name: _harmless(column) if pa.types.is_string(column.type) or pa.types.is_large_string(column.type) else column
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    }
    return pa.RecordBatch.from_pydict(columns)


def _harmless(column: "pa.Array") -> "pa.Array":
    import pyarrow.compute as pc  # noqa: PLC0415 - only where rows are written

    return pc.call_function("replace_substring_regex", [column], pc.ReplaceSubstringOptions(FORMULA, r"'\1"))
