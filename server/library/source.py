"""A frame as a source of telemetry, so that it is read by the same rules as any file."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from server.connectors.formats import BATCH_ROWS, type_of
from server.connectors.mapping import ColumnType, detect_mapping
from server.domain.telemetry import Change, ColumnMapping, Metric
from server.errors import InvalidInput
from server.library.frames import arrow_column
from server.library.notes import require_frame


@dataclass(frozen=True)
class FrameSource:
    """A frame's rows. One more column, `place`, says where each row stands in the frame; it is read like a metric."""

    table: pa.Table
    roles: ColumnMapping
    place: str
    name: str = "frame"
    metrics: tuple[Metric, ...] = ()

    @property
    def mapping(self) -> ColumnMapping:
        """The roles, with the place among the metrics."""
        return self.roles.model_copy(update={"metrics": (*self.roles.metrics, self.place)})

    @property
    def rows(self) -> int:
        """Rows of the frame."""
        return self.table.num_rows

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows in the frame's order."""
        yield from self.table.to_batches(max_chunksize=BATCH_ROWS)

    def changes(self) -> Iterator[Change]:
        """None: a frame carries no change log."""
        return iter(())


def source_of(frame: object, options: dict[str, str], *, without_cohort: bool = False) -> FrameSource:
    """The frame as a source; `options` are those of `detect_mapping`.

    Raises:
        InvalidInput: the frame has no rows or no metric, or columns cannot be told apart or read; the message says what to do.
    """
    checked = require_frame(frame)
    cells = {name: arrow_column(checked[name]) for name in checked.columns}
    kinds = {name: ColumnType.TEXT if cell is None else type_of(cell.type) for name, cell in cells.items()}
    roles = _roles(checked, kinds, options)
    if without_cohort:
        roles = roles.model_copy(update={"cohort": (), "ignored": (*roles.ignored, *roles.cohort)})
    if not roles.metrics:
        raise InvalidInput(f"no column is a metric. Name numeric columns with metrics=[...]. Columns: {', '.join(kinds)}.")
    used = [roles.device, roles.time, roles.arrival, roles.store, roles.customer, roles.split, *roles.cohort, *roles.metrics]
    columns = {name: _readable(name, cells[name]) for name in used if name}
    place = "place"
    while place in checked.columns:
        place += "_"
    return FrameSource(pa.table(columns | {place: pa.array(np.arange(len(checked)))}), roles, place)


def _roles(frame: pd.DataFrame, kinds: dict[str, ColumnType], options: dict[str, str]) -> ColumnMapping:
    try:
        return detect_mapping(kinds, options)
    except InvalidInput as error:
        index = [name for name in frame.index.names if name]
        hint = f" If it is the index ({', '.join(map(str, index))}), call frame.reset_index() first." if index else ""
        raise InvalidInput(f"{error}{hint}") from error


def _readable(name: str, cells: pa.Array | None) -> pa.Array:
    if cells is None:
        raise InvalidInput(f"column {name!r} mixes kinds of values. Make it one kind, such as frame[{name!r}].astype(str).")
    return cells
