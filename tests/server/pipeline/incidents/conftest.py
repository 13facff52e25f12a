"""A fleet with planted flagged rows: what is affected is written down, so counts are known."""

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import ModuleType

import numpy as np
import pyarrow as pa
import pytest

from server.domain.run import Run, SourceSpec
from server.domain.settings import WalkSettings
from server.domain.telemetry import Fleet, Members, Metric, Snapshot
from server.pipeline.incidents import Grouped, group_incidents
from server.pipeline.presence import Presence, presence_in

HOUR = 3_600_000_000
START = 1_741_000_000_000_000 // HOUR * HOUR
BATTERY, DOWNLOAD, OFFLINE = "TotalBatteryLevelDrop", "Download", "OfflineTime"
METRICS = (Metric(name=BATTERY), Metric(name=DOWNLOAD), Metric(name=OFFLINE))
COLUMNS = ("ManufacturerId", "ModelId", "OsVersionId")
FLEET = Fleet(name="planted")


@dataclass
class Planted:
    """Devices by cohort and store, and their flagged rows."""

    hours: int = 240
    cohorts: list[tuple[str, ...]] = field(default_factory=list)
    stores: list[str] = field(default_factory=list)
    last: dict[int, int] = field(default_factory=dict)
    rows: list[dict[str, object]] = field(default_factory=list)

    def add(self, count: int, cohort: tuple[str, ...], stores: Iterable[str] = ("",)) -> list[int]:
        """Devices of a cohort, spread over stores in turn; their codes."""
        names = list(stores)
        first = len(self.cohorts)
        self.cohorts += [cohort] * count
        self.stores += [names[i % len(names)] for i in range(count)]
        return list(range(first, first + count))

    def trouble(
        self,
        device: int,
        onset: int,
        hours: int = 6,
        metrics: tuple[str, ...] = (BATTERY,),
        *,
        severity: float = 75.0,
        ratio: float = 3.0,
    ) -> None:
        """Flag a device's rows from an hour on."""
        parts = [
            {"metric": name, "feature": f"{name}_mean", "value": ratio, "typical": 1.0, "z": 9.0, "level": "device", "n": 99}
            | {"share": 0.9 / len(metrics)}
            for name in metrics
        ]
        for hour in range(onset, onset + hours):
            self.rows.append(
                {"device": device, "time": START + hour * HOUR, "severity": severity, "top_metric": metrics[0]}
                | {"contributions": json.dumps(parts)}
            )

    def members(self, order: list[int] | None = None) -> Members:
        cohorts = sorted(set(self.cohorts))
        cohorts = [cohorts[i] for i in order] if order else cohorts
        names = tuple(f"D-{i:05d}" for i in range(len(self.cohorts)))
        stores = tuple(sorted({store for store in self.stores if store}))
        rows = tuple(self.last.get(i, self.hours) for i in range(len(names)))
        return Members(names, tuple(cohorts), stores, (), rows)

    def flagged(self, members: Members) -> pa.Table:
        rows = sorted(self.rows, key=lambda row: (row["device"], row["time"]))
        device = np.array([row["device"] for row in rows], np.int32)
        keys = self._keys(members, device)
        columns = {name: [row[name] for row in rows] for name in ("time", "severity", "top_metric", "contributions")}
        time = pa.array(columns.pop("time"), pa.int64())
        severity = pa.array(columns.pop("severity"), pa.float64())
        texts = {name: pa.array(values, pa.string()) for name, values in columns.items()}
        return pa.table({**keys, "time": time, "severity": severity, **texts})

    def presence(self, members: Members) -> Presence:
        device = np.repeat(np.arange(len(members.devices), dtype=np.int32), members.rows)
        time = np.concatenate([START + np.arange(rows) * HOUR for rows in members.rows])
        batch = pa.RecordBatch.from_pydict({**self._keys(members, device), "time": time})
        return presence_in([batch], timedelta(hours=1))

    def grouped(self, order: list[int] | None = None, settings: WalkSettings | None = None) -> Grouped:
        members = self.members(order)
        run, snapshot = run_of(members, settings)
        return group_incidents(self.flagged(members), self.presence(members), members, run=run, snapshot=snapshot)

    def _keys(self, members: Members, device: np.ndarray) -> dict[str, np.ndarray]:
        cohort = np.array([members.cohorts.index(one) for one in self.cohorts], np.int32)
        store = np.array([members.stores.index(one) if one else -1 for one in self.stores], np.int32)
        nobody = np.full(len(device), -1, np.int32)
        return {"device": device, "cohort": cohort[device], "store": store[device], "customer": nobody}


def run_of(members: Members, settings: WalkSettings | None = None) -> tuple[Run, Snapshot]:
    """A run and its snapshot of that many devices."""
    moment = datetime(2025, 3, 3, tzinfo=UTC)
    source = SourceSpec(connector="planted", location="")
    run = Run(id="r-1", fleet=FLEET, settings=settings or WalkSettings(), created=moment, source=source)
    snapshot = Snapshot(
        fleet=FLEET,
        sequence=1,
        digest="d",
        rows=sum(members.rows),
        devices=len(members.devices),
        metrics=METRICS,
        cohort_columns=COLUMNS,
        interval=timedelta(hours=1),
    )
    return run, snapshot


def mixed_fleet() -> Planted:
    """600 devices: 240 TC57 on 13.4, 60 on 13.3, 100 TC52 and 200 S21, of which some are on 13.4 as well."""
    planted = Planted()
    stores = [f"store-{i:03d}" for i in range(40)]
    planted.add(240, ("Zebra", "TC57", "13.4"), stores)
    planted.add(60, ("Zebra", "TC57", "13.3"), stores)
    planted.add(100, ("Zebra", "TC52", "13.4"), stores)
    planted.add(200, ("Samsung", "S21", "14.0"), stores)
    return planted


@pytest.fixture(scope="session")
def plants() -> ModuleType:
    """This module: test files cannot import each other."""
    return sys.modules[__name__]
