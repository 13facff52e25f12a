"""How fast a scored set is stored, against SQLModel's `add_all` written plainly. `--help` says more.

Both sides begin with the same Arrow table, which is what scoring leaves, and are timed until the commit is durable. To the ORM
each row has to be made an object first.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from sqlalchemy import BigInteger, Index, insert
from sqlalchemy.orm import registry
from sqlmodel import Field, Session, SQLModel, col

from server.domain.baseline import BaselineVersion, Level
from server.domain.run import Run, SourceSpec
from server.domain.settings import WalkSettings
from server.domain.telemetry import Fleet
from server.storage.columns import ANOMALY_COLUMNS, BASELINE_COLUMNS
from server.storage.sql import SqlRecords
from server.storage.sql.database import Database
from server.storage.tables import ScoredSetRow

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FLEET = Fleet()


class PlainTables(SQLModel, registry=registry()):
    """Base of tables kept apart from the store's, whose metadata they must not join."""


class PlainAnomaly(PlainTables, table=True):
    """The obvious table: all columns of an anomaly, found by their id and listed by severity, as those of the store are."""

    __table_args__ = (Index("plain_by_severity", "scored_set", "severity"),)

    scored_set: int = Field(primary_key=True)
    id: str = Field(primary_key=True)
    tenant: str
    device: str
    time: int = Field(sa_type=BigInteger)
    cohort: str
    site: str
    score: float
    threshold: float
    severity: float
    confidence: float
    top_metric: str
    contributions: str
    baseline_version: int | None
    detector_version: int
    fallback: str
    incident: str


def anomalies(count: int) -> pa.Table:
    """Made-up anomalies with three contributions each, in `ANOMALY_COLUMNS`."""
    chance = np.random.default_rng(1)
    causes = [
        [
            {"metric": "Download", "feature": f"Download_{kind}", "value": round(value, 6), "typical": round(value / 3, 6)}
            | {"z": round(value / 50, 4), "level": "device", "n": int(value), "share": round(value / 1000, 4)}
            for kind, value in zip(("mean", "std", "change"), values, strict=True)
        ]
        for values in 1000 * chance.random((count, 3))
    ]
    words = {
        "id": [f"a-{key:016x}" for key in chance.integers(1 << 62, size=count)],
        "device": [f"device-{number:05d}" for number in chance.integers(10_000, size=count)],
        "cohort": ['["3","17","13.4"]'] * count,
        "site": ["store-12/3/17/13.4"] * count,
        "top_metric": ["Download"] * count,
        "contributions": [json.dumps(each, separators=(",", ":")) for each in causes],
        "fallback": [""] * count,
        "incident": [f"i-{number}" if number < 300 else "" for number in chance.integers(1000, size=count)],
    }
    numbers = {
        "time": chance.integers(1_700_000_000_000_000, 1_710_000_000_000_000, size=count),
        "score": -chance.random(count),
        "threshold": np.full(count, -0.5),
        "severity": 100 * chance.random(count),
        "confidence": chance.random(count),
        "baseline_version": np.full(count, 1),
        "detector_version": np.full(count, 1),
    }
    return pa.table({name: (words | numbers)[name] for name in ANOMALY_COLUMNS.names}, schema=ANOMALY_COLUMNS)


def baselines(devices: int, features: int) -> pa.Table:
    """Made-up baselines of each device for each feature, in `BASELINE_COLUMNS`."""
    chance, count = np.random.default_rng(1), devices * features
    columns = {
        "feature": [f"Metric{number % features // 4}_{number % 4}" for number in range(count)],
        "level": [Level.DEVICE.value] * count,
        "group": [f"device-{number // features:05d}" for number in range(count)],
        "median": chance.random(count),
        "scale": chance.random(count) + 0.1,
        "n": np.full(count, 720),
    }
    return pa.table(columns, schema=BASELINE_COLUMNS)


def measure(url: str, rows: int) -> dict[str, float]:
    """Seconds for `add_all` of the rows, for `persist_scored` of them, for a baseline version."""
    records = SqlRecords(url)
    run = Run(
        id=f"run-{time.time_ns()}",
        fleet=FLEET,
        settings=WalkSettings(),
        created=NOW,
        source=SourceSpec(connector="files", location="x"),
    )
    records.add_run(run)
    ready, statistics = anomalies(rows), baselines(10_000, 32)
    digest = str(time.time_ns())
    version = BaselineVersion(fleet=FLEET, version=1, run=run.id, digest=digest, artifact="", created=NOW)
    _warm_up(url, records, run, ready.slice(0, 10))
    found = {
        "add_all": _add_all(url, run, ready, "orm"),
        "persist_scored": _seconds(lambda: records.persist_scored(run, digest, ready, [])),
        "add_baseline_version": _seconds(lambda: records.add_baseline_version(version, statistics)),
    }
    records.close()
    return found


def _warm_up(url: str, records: SqlRecords, run: Run, few: pa.Table) -> None:
    """A few rows by each way: what is loaded and compiled at the first call is of neither."""
    _add_all(url, run, few, "warm-up of the orm")
    records.persist_scored(run, "warm-up", few, [])


def _add_all(url: str, run: Run, ready: pa.Table, digest: str) -> float:
    database = Database(url)
    with database.writing() as connection:
        PlainTables.metadata.create_all(connection)
        made = insert(ScoredSetRow).values(
            tenant="default", fleet="default", run=run.id, created=NOW, digest=digest, shown=0, anomalies=len(ready)
        )
        set_id = int(connection.execute(made.returning(col(ScoredSetRow.id))).scalar_one() or 0)

    def add() -> None:
        with Session(database.engine) as session:
            session.add_all(PlainAnomaly(scored_set=set_id, tenant="default", **row) for row in ready.to_pylist())
            session.commit()

    try:
        return _seconds(add)
    finally:
        database.close()


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    """Print one line a store: seconds, and how many times faster than `add_all`."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--rows", type=int, default=300_000)
    asked.add_argument("--url", help="a store to fill; unset: SQLite in a temporary folder")
    options = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(options.url or f"sqlite:///{Path(folder) / 'records.db'}", options.rows)
    ratio = found["add_all"] / found["persist_scored"]
    print(f"{options.rows:,} anomalies: {', '.join(f'{name} {taken:.2f} s' for name, taken in found.items())}; {ratio:.1f}x")  # noqa: T201


if __name__ == "__main__":
    main()
