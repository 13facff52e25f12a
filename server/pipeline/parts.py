"""A table artifact on disk: one Parquet file, or a list of files that hold whole devices each and the rows in order together.

A list is a JSON file `….parts` with the names of the files beside it. Those are artifacts themselves, named by their content.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from server.pipeline.in_place import ColumnFile

PARTS = ".parts"
"""Suffix of a list."""


def write_parts(path: Path, names: Sequence[str]) -> None:
    """Write the list of these files, in order."""
    path.write_text(json.dumps(list(names)))


def files_of(path: Path) -> tuple[Path, ...]:
    """The Parquet files of a table artifact, in the order of their rows."""
    if path.suffix != PARTS:
        return (path,)
    return tuple(path.with_name(name) for name in json.loads(path.read_text()))


def read_columns(path: Path, columns: Sequence[str]) -> pa.Table:
    """Some columns of every row."""
    files = map(ColumnFile, files_of(path))
    return pa.Table.from_batches([file.batch(((0, file.rows),), columns) for file in files]).combine_chunks()


def row_groups(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """One row group after another: whole devices, as they were written."""
    for file in map(ColumnFile, files_of(path)):
        for group in file.groups():
            yield pa.Table.from_batches([file.batch([group], columns)])
