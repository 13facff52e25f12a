"""Fleets walked by both engines. Where PySpark or Java is missing, what needs Spark is skipped and says so."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from shutil import which

import numpy as np
import pandas as pd
import pytest

from server.app import App
from server.detectors.stored import Trained
from server.domain.run import Run, SourceSpec
from server.domain.settings import BaselineSettings, DetectorSettings, WalkSettings
from server.domain.telemetry import Fleet, Members, Snapshot
from server.pipeline.baselines import BaselineSet, compute_baselines
from server.pipeline.features import engineer_features, plan_features
from server.pipeline.normalize import normalize
from server.pipeline.score import Scoring, score_telemetry
from server.pipeline.table import FeatureTable, write_table
from server.pipeline.train import rows_per_day, sampled_devices, train_detector
from server.services.stages import Stages
from server.settings import Settings, SparkSettings

TENANT = "default"
QUICK = WalkSettings(detector=DetectorSettings(n_estimators=20, contamination=0.02))
SMALL_JVM = {"spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC", "spark.driver.memory": "1g"}


@dataclass(frozen=True)
class Walked:
    """A run walked to its end, with the server that did it."""

    app: App
    run: Run

    @property
    def stages(self) -> Stages:
        return self.app.walk.stages

    @property
    def snapshot(self) -> Snapshot:
        return self.stages.snapshot(self.run)

    @property
    def table(self) -> FeatureTable:
        return self.stages.feature_table(self.run)

    @property
    def scores(self) -> Path:
        return self.stages.scores(self.run)


@dataclass(frozen=True)
class Plain:
    """Every stage of the fleet by calling the pipeline's functions one after the other, with no engine in between."""

    members: Members
    table: FeatureTable
    baselines: BaselineSet
    trained: Trained
    scores: Path


def missing() -> str:
    """Why Spark cannot run here; empty if it can."""
    if find_spec("pyspark") is None:
        return "PySpark is not installed (extra `spark`)"
    return "" if which("java") else "there is no Java"


@pytest.fixture(scope="session")
def needs_spark() -> None:
    if missing():
        pytest.skip(missing())


@pytest.fixture(scope="session")
def opened() -> Iterator[Callable[..., App]]:
    """Opens servers on an engine, and closes them in the end."""
    with ExitStack() as stack:

        def open_app(home: Path, engine: str, *, master: str = "local[2]", part_rows: int = 300) -> App:
            spark = SparkSettings(master=master, options=SMALL_JVM, part_rows=part_rows)
            settings = Settings(home=home, engine=engine, threads=1, spark=spark, _env_file=None)  # pyright: ignore
            return stack.enter_context(App(settings))

        yield open_app


def walked(app: App, path: Path, settings: WalkSettings = QUICK) -> Walked:
    """A run on a file with everything done."""
    run = app.walk.start(Fleet(name="shop"), SourceSpec(connector="files", location=str(path)), settings)
    return Walked(app, app.walk.advance(TENANT, run.id))


@pytest.fixture(scope="session")
def fleet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve devices, nine days, two models, stores and a few devices in none; a daily rhythm, gaps, and one fault."""
    chance = np.random.default_rng(23)
    rows, devices = 24 * 9, 12
    hour = np.tile(np.arange(rows), devices)
    device = np.repeat(np.arange(devices), rows)
    fleet = pd.DataFrame(
        {
            "device": [f"d-{n:02d}" for n in device],
            "time": pd.Timestamp("2025-03-01", tz="UTC") + pd.to_timedelta(hour, unit="h"),
            "model": np.where(device < 7, "TC52", "TC57"),
            "store": np.where(device == 11, None, np.char.add("s", (device % 3).astype(str)).astype(object)),
            "load": 50 + 20 * np.sin(2 * np.pi * hour / 24) + chance.normal(0, 2, len(hour)),
            "heat": 40 + device + chance.normal(0, 1, len(hour)),
        }
    )
    fleet.loc[(device == 4) & (hour > 180) & (hour < 200), "heat"] += 30
    fleet.loc[chance.random(len(fleet)) < 0.02, "load"] = np.nan
    path = tmp_path_factory.mktemp("telemetry") / "fleet.parquet"
    fleet[chance.random(len(fleet)) > 0.01].to_parquet(path, index=False)
    return path


@pytest.fixture(scope="session")
def embedded(opened: Callable[..., App], fleet_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Walked:
    """The fleet walked by the embedded engine."""
    return walked(opened(tmp_path_factory.mktemp("embedded"), "duckdb"), fleet_file)


@pytest.fixture(scope="session")
def on_spark(
    needs_spark: None,  # noqa: ARG001 - skips
    opened: Callable[..., App],
    fleet_file: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Walked:
    """The fleet walked on Spark, in nine parts."""
    return walked(opened(tmp_path_factory.mktemp("spark"), "spark"), fleet_file)


@pytest.fixture(scope="session")
def plain(embedded: Walked, tmp_path_factory: pytest.TempPathFactory) -> Plain:
    """What the stages of the fleet have to come to."""
    folder, telemetry, snapshot = tmp_path_factory.mktemp("plain"), embedded.app.telemetry, embedded.snapshot
    members = telemetry.members(snapshot)
    plan = plan_features(snapshot, QUICK.features)
    table = FeatureTable(folder / "features.parquet", plan)
    write_table(table.path, engineer_features(telemetry.blocks(snapshot, rows=1000), plan))
    baselines = compute_baselines(table, members, BaselineSettings())
    sample = normalize(table.blocks(sampled_devices(members.rows)), baselines)
    detector = embedded.app.detectors.get(QUICK.detector.name)
    trained = train_detector(sample, detector, QUICK.detector, rows_per_day=rows_per_day(table.time))
    write_table(folder / "scores.parquet", score_telemetry(table.blocks(), Scoring(trained, baselines)))
    return Plain(members, table, baselines, trained, folder / "scores.parquet")


@pytest.fixture(params=["embedded", pytest.param("on_spark", marks=pytest.mark.slow)])
def subject(request: pytest.FixtureRequest) -> Walked:
    """The fleet walked by each engine in turn."""
    return request.getfixturevalue(request.param)
