"""Foreign SQL over one fleet's telemetry: only the columns that it reads are handed over, and nothing of any other fleet."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from time import perf_counter

import numpy as np
import pyarrow as pa

from server.domain.answers.answer import Span
from server.domain.answers.query import QueryAnswer, Scalar
from server.domain.run import Run
from server.domain.telemetry import Members, Snapshot
from server.errors import InvalidInput
from server.services.reading.sources import Sources, page_bounds
from server.services.reading.words import counted

_MOST_CELLS = 60_000_000
_LONGEST_TEXT = 500
_BLOCK_ROWS = 500_000
_HEAD = ("device", "time", "store", "customer")


def query_telemetry(sources: Sources, run: Run, sql: str, *, limit: int) -> QueryAnswer:
    """The first rows of one SELECT over `telemetry`: the window of the run. Raises `InvalidInput` for anything else."""
    page_bounds(limit, 0, most=1000)
    began = perf_counter()
    snapshot = sources.stages.snapshot(run)
    known = (*_HEAD, *snapshot.cohort_columns, *(metric.name for metric in snapshot.metrics))
    read = sources.queries.columns(sql)
    wanted = [name for name in known if read is None or name.lower() in read] or ["device"]
    cells = snapshot.rows * len(wanted)
    if cells > _MOST_CELLS:
        raise InvalidInput(
            f"{snapshot.rows:,} rows of {counted(len(wanted), 'column')} are more than can be read at once "
            f"({_MOST_CELLS:,} values). Name fewer columns instead of `*`."
        )
    found = sources.queries.run(_table(sources, run, snapshot, wanted), sql, limit=limit)
    first, last = sources.telemetry.extent(run.fleet)
    more = " (there are more)" if found.truncated else ""
    return QueryAnswer(
        summary=f"{counted(len(found.rows), 'row')}{more} from {snapshot.rows:,} rows of {snapshot.devices:,} devices.",
        fleet=run.fleet.name,
        run=run.id,
        window=Span(first=snapshot.start or first, last=snapshot.end or last),
        telemetry_until=last,
        columns=found.columns,
        types=found.types,
        rows=tuple(tuple(_scalar(cell) for cell in row) for row in found.rows),
        truncated=found.truncated,
        limit=limit,
        seconds=round(perf_counter() - began, 3),
        source_columns=known,
    )


def _table(sources: Sources, run: Run, snapshot: Snapshot, wanted: Sequence[str]) -> pa.Table:
    """Those columns of all rows, with names for codes, times in UTC without a zone, and nulls where nothing is known."""
    metrics = tuple(metric for metric in snapshot.metrics if metric.name in wanted)
    narrowed = snapshot.model_copy(update={"metrics": metrics})
    names = _names(sources.stages.members(run), snapshot.cohort_columns)
    return pa.Table.from_batches(
        pa.RecordBatch.from_pydict({name: _column(block, name, names) for name in wanted})
        for block in sources.telemetry.blocks(narrowed, rows=_BLOCK_ROWS)
    )


def _column(block: pa.RecordBatch, name: str, names: Mapping[str, tuple[str, pa.Array]]) -> pa.Array:
    """One column of a block as a query sees it; `names` is what `_names` gives."""
    if name in names:
        key, texts = names[name]
        codes = block.column(key).to_numpy()
        return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), texts)
    values = block.column(name).to_numpy()
    return pa.array(values.view("M8[us]")) if name == "time" else pa.array(values, mask=np.isnan(values))


def _names(members: Members, cohort_columns: Sequence[str]) -> dict[str, tuple[str, pa.Array]]:
    """The block's key and the texts by code of each column that holds names."""
    found = {
        "device": ("device", members.devices),
        "store": ("store", members.stores),
        "customer": ("customer", members.customers),
    }
    found |= {
        column: ("cohort", tuple(cohort[place] for cohort in members.cohorts)) for place, column in enumerate(cohort_columns)
    }
    return {column: (key, pa.array(texts, pa.string())) for column, (key, texts) in found.items()}


def _scalar(cell: object) -> Scalar:
    """A cell as JSON can hold it. Foreign text is capped."""
    if isinstance(cell, bool | int) or cell is None:
        return cell
    if isinstance(cell, float):
        return cell if np.isfinite(cell) else None
    if isinstance(cell, datetime):
        return (cell.replace(tzinfo=UTC) if cell.tzinfo is None else cell.astimezone(UTC)).isoformat()
    return str(cell)[:_LONGEST_TEXT]
