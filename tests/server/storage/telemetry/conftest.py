"""A source made of rows written down in the test, and a store in memory."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from server.domain.telemetry import Change, ColumnMapping, Fleet, IngestReport, Metric
from server.storage.telemetry import DuckDBTelemetryStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Rows:
    """A source of rows written down; `metric_names` are its metric columns, `batch` how many rows come at a time."""

    listed: Sequence[dict[str, Any]]
    metric_names: tuple[str, ...] = ("x",)
    batch: int = 3
    name: str = "rows"
    told: tuple[Change, ...] = ()
    metrics: tuple[Metric, ...] = ()
    cohort: tuple[str, ...] = ("model",)

    @property
    def rows(self) -> int:
        return len(self.listed)

    @property
    def mapping(self) -> ColumnMapping:
        return ColumnMapping(
            device="device",
            time="time",
            arrival="arrival",
            cohort=self.cohort,
            store="store",
            customer="customer",
            split="split",
            metrics=self.metric_names,
        )

    def batches(self) -> Iterator[pa.RecordBatch]:
        texts = ("device", "time", "arrival", "store", "customer", "split", *self.cohort)
        kinds = {name: pa.string() for name in texts}
        for metric in self.metric_names:
            is_text = any(isinstance(listed.get(metric), str) for listed in self.listed)
            kinds[metric] = pa.string() if is_text else pa.float64()
        for start in range(0, len(self.listed), self.batch):
            yield pa.RecordBatch.from_pylist(list(self.listed[start : start + self.batch]), schema=pa.schema(kinds))

    def changes(self) -> Iterator[Change]:
        return iter(self.told)


class Telemetry:
    """A store and the fleet that a test is about; every call gives a new fleet unless it names one."""

    def __init__(self, store: DuckDBTelemetryStore) -> None:
        self.store, self.count = store, 0

    def fleet(self) -> Fleet:
        self.count += 1
        return Fleet(name=f"fleet-{self.count}")

    def ingest(
        self, fleet: Fleet, source: Any, *catalogue: Metric, fit_split: str | None = None, now: datetime = NOW
    ) -> IngestReport:
        return self.store.ingest(fleet, source, catalogue, fit_split=fit_split, now=now, progress=lambda *_: None)

    def table(self, fleet: Fleet, *, rows: int = 1000) -> dict[str, list[Any]]:
        """All blocks of a new snapshot, by column; not-a-number as None."""
        blocks = list(self.store.blocks(self.store.snapshot(fleet), rows=rows))
        return {name: [_plain(v) for b in blocks for v in b.column(name).to_pylist()] for name in blocks[0].schema.names}

    def state(self, fleet: Fleet) -> tuple[Any, ...]:
        """All that can be read of a fleet but the number of its last ingest."""
        snapshot = self.store.snapshot(fleet)
        frozen = snapshot.model_dump(exclude={"sequence", "fleet"})
        return frozen, self.store.members(snapshot), self.table(fleet)


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and np.isnan(value) else value


@pytest.fixture(scope="session")
def telemetry() -> Iterator[Telemetry]:
    """Telemetry in memory, one thread."""
    store = DuckDBTelemetryStore(Path(":memory:"), threads=1)
    yield Telemetry(store)
    store.close()


@pytest.fixture(scope="session")
def make_source() -> type[Rows]:
    """The class of written-down sources."""
    return Rows


@pytest.fixture(scope="session")
def make_row() -> Callable[..., dict[str, Any]]:
    """`row`, below."""
    return row


def row(device: str | None = "a", hour: float | str | None = 0, x: Any = 1.0, **more: Any) -> dict[str, Any]:
    """A row of device `device`, `hour` hours into 2025 (or the time as text)."""
    time = at(hour) if isinstance(hour, int | float) else hour
    return {"device": device, "time": time, "x": x, **more}


def at(hour: float) -> str:
    """That many hours into 2025, as text."""
    moment = datetime(2025, 1, 1, tzinfo=UTC).timestamp() + hour * 3600
    return datetime.fromtimestamp(moment, UTC).isoformat()


@pytest.fixture(scope="session")
def now() -> datetime:
    """When every ingest of these tests happens."""
    return NOW
