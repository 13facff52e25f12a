"""A small made-up fleet and its walk up to any stage, without stores."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from server.detectors.base import DesignMatrix
from server.detectors.registry import Detectors
from server.detectors.stored import Trained
from server.domain.settings import BaselineSettings, DetectorSettings
from server.domain.telemetry import HarmfulDirection, Members, Metric, Transform
from server.pipeline.baselines import BaselineSet, compute_baselines
from server.pipeline.features import FeaturePlan, engineer_features
from server.pipeline.normalize import normalize
from server.pipeline.score import Scoring, score_telemetry
from server.pipeline.table import FeatureTable, write_table
from server.pipeline.train import train_detector

HOUR = 3_600_000_000
METRICS = (
    Metric(name="level", domain="battery", harmful=HarmfulDirection.LOWER, resolution=1.0),
    Metric(name="offline", domain="connectivity", harmful=HarmfulDirection.HIGHER, resolution=0.1),
    Metric(name="bytes", domain="usage", transform=Transform.LOG1P),
    Metric(name="errors", domain="system"),
)


@dataclass(frozen=True)
class SmallFleet:
    """Telemetry of twelve devices in two cohorts and three stores (one in none), in two blocks, and each stage over it."""

    blocks: tuple[pa.RecordBatch, ...]
    members: Members
    folder: Path
    plan: FeaturePlan

    def table(self, plan: FeaturePlan | None = None, *, threads: int = 1) -> FeatureTable:
        plan = plan or self.plan
        path = self.folder / f"features-{abs(hash(plan))}-{threads}.parquet"
        if not path.exists():
            write_table(path, engineer_features(self.blocks, plan, threads=threads))
        return FeatureTable(path, plan)

    def baselines(self, settings: BaselineSettings | None = None, *, threads: int = 1) -> BaselineSet:
        return compute_baselines(self.table(), self.members, settings or BaselineSettings(), threads=threads)

    def matrices(self, baselines: BaselineSet, *, threads: int = 1) -> list[DesignMatrix]:
        return list(normalize(self.table().blocks(), baselines, threads=threads))

    def train(self, baselines: BaselineSet, **knobs: object) -> Trained:
        settings = DetectorSettings(**{"n_estimators": 30, **knobs})
        return train_detector(
            normalize(FeatureTable(self.table(baselines.plan).path, baselines.plan).blocks(), baselines),
            Detectors().get(settings.name),
            settings,
            rows_per_day=24.0 * len(self.members.devices),
        )

    def score(self, trained: Trained, baselines: BaselineSet, *, threads: int = 1, name_every_row: bool = False) -> pa.Table:
        scoring = Scoring(trained, baselines, name_every_row)
        return pa.Table.from_batches(score_telemetry(self.table(baselines.plan).blocks(), scoring, threads=threads))


def telemetry(device: int, rows: int, chance: np.random.Generator) -> dict[str, np.ndarray]:
    """One device's rows: a daily rhythm, its own level, jittered times, a gap, missing values and a fault near the end."""
    time = np.arange(rows) * HOUR + chance.integers(0, HOUR // 10, rows) + 1_700_000_000_000_000 // HOUR * HOUR
    kept = ~((np.arange(rows) > rows // 2) & (np.arange(rows) < rows // 2 + 30)) if device % 3 == 0 else np.ones(rows, bool)
    rhythm = np.sin(2 * np.pi * (time // HOUR % 24) / 24)
    values = {
        "level": 60 + 3 * device + 20 * rhythm + chance.normal(0, 2, rows),
        "offline": np.where(chance.random(rows) < 0.7, 0.0, chance.exponential(1 + device % 2, rows)),
        "bytes": np.exp(8 + rhythm + chance.normal(0, 0.3, rows)),
        "errors": chance.poisson(2, rows).astype(float),
    }
    if device == 7:
        values["offline"][-48:] += 30.0
    for column in values.values():
        column[chance.random(rows) < 0.03] = np.nan
    return {"time": time[kept]} | {name: column[kept] for name, column in values.items()}


def block(codes: range, rows: int, chance: np.random.Generator) -> pa.RecordBatch:
    parts = [telemetry(code, rows, chance) for code in codes]
    lengths = [len(part["time"]) for part in parts]
    codes_of = {
        "device": np.array(codes, np.int32),
        "cohort": np.array([code % 2 for code in codes], np.int32),
        "store": np.array([-1 if code == 11 else code % 3 for code in codes], np.int32),
        "customer": np.full(len(codes), -1, np.int32),
    }
    keys = {name: np.repeat(values, lengths) for name, values in codes_of.items()}
    measured = {name: np.concatenate([part[name] for part in parts]) for name in ("time", *(m.name for m in METRICS))}
    reference = np.ones(sum(lengths), bool)
    reference[::50] = False
    return pa.RecordBatch.from_pydict({**keys, "time": measured.pop("time"), "reference": pa.array(reference), **measured})


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> SmallFleet:
    chance = np.random.default_rng(11)
    blocks = (block(range(7), 400, chance), block(range(7, 12), 400, chance))
    rows = np.concatenate([part.column("device").to_numpy() for part in blocks])
    names = tuple(f"device-{code:02d}" for code in range(12))
    cohorts = (("maker", "1"), ("maker", "2"))
    members = Members(names, cohorts, ("north", "south", "west"), (), tuple(np.bincount(rows).tolist()))
    plan = FeaturePlan(METRICS, timedelta(hours=12), timedelta(hours=24))
    return SmallFleet(blocks, members, tmp_path_factory.mktemp("fleet"), plan)


@pytest.fixture(scope="session")
def baselines(fleet: SmallFleet) -> BaselineSet:
    return fleet.baselines()


@pytest.fixture(scope="session")
def trained(fleet: SmallFleet, baselines: BaselineSet) -> Trained:
    return fleet.train(baselines)


@pytest.fixture(scope="session")
def as_frame(fleet: SmallFleet) -> pd.DataFrame:
    """The fleet's features as a pandas frame, with each row's group of every level."""
    table = fleet.table()
    frame = pa.Table.from_batches(list(table.blocks())).to_pandas()
    site = (frame["cohort"].astype(str) + "/" + frame["store"].astype(str)).where(frame["store"] >= 0)
    return frame.assign(site=site, fleet=0)
