"""What is carried from one artifact into the next is what would have been made: the same bytes, so the same name."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from server.app import App
from server.domain.run import Run, SourceSpec, Stage
from server.domain.settings import BaselineSettings, DetectorSettings, FeatureSettings, WalkSettings
from server.domain.telemetry import Fleet, Members
from server.pipeline.extend import NEVER, declared, extended, unchanged_before
from server.pipeline.score import Scoring
from server.pipeline.table import FeatureTable, write_table
from server.settings import Settings

QUICK = WalkSettings(detector=DetectorSettings(n_estimators=20, contamination=0.02))
TENANT = "default"
SOON = 70
"""Hours that the first file has."""


class Watched:
    """An app whose reads of telemetry blocks are counted."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.app = App(Settings(home=home, threads=1, _env_file=None))  # pyright: ignore[reportCallIssue]
        self.rows: list[int] = []
        self.asked: list[Any] = []
        whole = self.app.telemetry.blocks

        def counted(*args: Any, **kwargs: Any) -> Iterator[pa.RecordBatch]:
            self.asked.append(kwargs.get("since"))
            for block in whole(*args, **kwargs):
                self.rows.append(block.num_rows)
                yield block

        monkeypatch.setattr(self.app.telemetry, "blocks", counted)

    def start(self, path: Path, settings: WalkSettings = QUICK) -> Run:
        """A run on the file with its rows ingested."""
        run = self.app.walk.start(Fleet(name="shop"), SourceSpec(connector="files", location=str(path)), settings)
        return self.app.walk.run_stage(TENANT, run.id, Stage.INGEST)

    def features(self, run: Run) -> str:
        """Name of the run's features artifact, and forget what was read before."""
        self.rows.clear()
        self.asked.clear()
        return self.app.walk.run_stage(TENANT, run.id, Stage.FEATURES).stages[Stage.FEATURES].artifact


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of one or two devices, so that a fleet has several."""
    monkeypatch.setattr("server.engines.local.BLOCK_ROWS", 150)


@pytest.fixture
def grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Names of the second run's features: extended from a first run's, and made at once in another home; and what was read."""

    def grown(
        first: pd.DataFrame, second: pd.DataFrame, settings: WalkSettings = QUICK, between: Callable[[App], object] = id
    ) -> tuple[str, str, Watched]:
        files = tmp_path / "first.parquet", tmp_path / "second.parquet"
        for part, path in zip((first, second), files, strict=True):
            part.to_parquet(path, index=False)
        names: list[str] = []
        for home in ("once", "carried"):
            watched = Watched(tmp_path / home, monkeypatch)
            with watched.app:
                before = watched.start(files[0])
                if home == "carried":
                    watched.features(before)
                between(watched.app)
                names.append(watched.features(watched.start(files[1], settings)))
        return names[1], names[0], watched

    return grown


def hours(frame: pd.DataFrame) -> np.ndarray:
    """Hours since the fleet's first row."""
    return ((frame["time"] - frame["time"].min()) // pd.Timedelta("1h")).to_numpy()


def test_new_rows_extend_the_features_of_the_run_before(grow: Any, frame: pd.DataFrame) -> None:
    """Only new rows, and what their windows look back on, are read; the artifact is the one that a whole computation makes."""
    late = hours(frame) >= SOON
    carried, once, watched = grow(frame[~late], frame[late])
    assert carried == once
    lookback = 36
    assert 0 < sum(watched.rows) <= late.sum() + (lookback + 1) * frame["device"].nunique()
    assert sum(watched.rows) < len(frame)


def test_late_corrected_and_new_devices_rows_are_told_apart(grow: Any, frame: pd.DataFrame) -> None:
    """A device that sorts first, a new cohort, rows that came late and a device without news: each by its own rule."""
    hour = hours(frame)
    late = (hour >= SOON) & (frame["device"] != "d5")
    missed = (frame["device"] == "d2") & (hour >= 20) & (hour < 24)
    newcomer = frame[frame["device"] == "d1"].assign(device="a0", model="EC55")
    moved = frame[late & (frame["device"] == "d4")].assign(model="EC55")
    rest = frame[(late | missed) & (frame["device"] != "d4") | missed]
    first = frame[~late & ~missed]
    carried, once, watched = grow(first, pd.concat([rest, newcomer, moved]))
    assert carried == once
    assert any(since is not None and NEVER in since for since in watched.asked), "d5 has nothing new and is not read"


def test_rows_removed_by_age_leave_the_windows_that_they_were_in(grow: Any, frame: pd.DataFrame) -> None:
    """What comes after them is made anew, from what is left."""
    late = hours(frame) >= SOON
    before = frame["time"].min() + pd.Timedelta("50h")

    def prune(app: App) -> object:
        return app.telemetry.prune(Fleet(name="shop"), before=before, needed=[1], now=before, dry_run=False)

    new = late & (frame["device"] == "d5")
    carried, once, _ = grow(frame[~late], frame[new], between=prune)
    assert carried == once


def test_the_same_rows_again_are_copied_without_being_read(grow: Any, frame: pd.DataFrame) -> None:
    """A second run on the same rows has the same features."""
    carried, once, watched = grow(frame, frame)
    assert carried == once
    assert sum(watched.rows) == 0


def test_other_windows_and_other_metrics_are_made_anew(grow: Any, frame: pd.DataFrame) -> None:
    """What was made under another plan is of no use."""
    wider = QUICK.model_copy(update={"features": FeatureSettings(window=pd.Timedelta("6h").to_pytimedelta())})
    carried, once, watched = grow(frame, frame, wider)
    assert carried == once
    assert watched.asked == [None]
    more = frame[hours(frame) >= SOON].assign(drops=1.0)
    carried, once, watched = grow(frame[hours(frame) < SOON], more)
    assert carried == once
    assert watched.asked == [None]


def test_cohorts_that_are_filled_in_from_other_rows_are_read_whole(grow: Any, frame: pd.DataFrame) -> None:
    """A later row may tell what cohort an earlier one was of."""
    late = hours(frame) >= SOON
    untold = frame.assign(model=frame["model"].where(late | (frame["device"] != "d3")))
    carried, once, watched = grow(untold[~late], untold[late])
    assert carried == once
    assert watched.asked == [None]


KEEPING = QUICK.model_copy(update={"baselines": BaselineSettings(keep_for=timedelta(days=2))})


def kept_walk(app: App, frames: list[pd.DataFrame], folder: Path, settings: WalkSettings) -> list[Run]:
    """A run with everything done for each part of the telemetry, one after the other."""
    runs: list[Run] = []
    for number, part in enumerate(frames):
        path = folder / f"part-{number}.parquet"
        part.to_parquet(path, index=False)
        run = app.walk.start(Fleet(name="shop"), SourceSpec(connector="files", location=str(path)), settings)
        runs.append(app.walk.advance(TENANT, run.id))
    return runs


def scored(app: App, run: Run) -> pd.DataFrame:
    """The run's scores by the names of devices, in order."""
    frame = pd.read_parquet(app.walk.stages.scores(run))
    names = np.array(app.walk.stages.members(run).devices)
    return frame.assign(device=names[frame["device"]]).set_index(["device", "time"])[["score", "is_anomaly", "contributions"]]


@pytest.fixture
def scored_blocks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Filled with the rows that are scored anew of each block of a table that is carried on."""
    seen: list[int] = []
    whole = FeatureTable.blocks_from

    def counted(table: FeatureTable, since: Any) -> Iterator[tuple[int, pa.RecordBatch | None]]:
        for end, block in whole(table, since):
            seen.append(0 if block is None else block.num_rows)
            yield end, block

    monkeypatch.setattr(FeatureTable, "blocks_from", counted)
    return seen


def test_baselines_that_are_kept_score_new_rows_only_and_leave_the_others_as_they_were(
    frame: pd.DataFrame, tmp_path: Path, scored_blocks: list[int]
) -> None:
    """A device that nothing is known of is judged by wider levels; what is carried equals scoring every row."""
    late = hours(frame) >= SOON
    newcomer = frame[late & (frame["device"] == "d1")].assign(device="a0")
    with App(Settings(home=tmp_path / "home", threads=1, _env_file=None)) as app:  # pyright: ignore[reportCallIssue]
        first, second = kept_walk(app, [frame[~late], pd.concat([frame[late], newcomer])], tmp_path, KEEPING)
        assert second.stages[Stage.BASELINES].summary.endswith("kept from the version before")
        assert second.stages[Stage.TRAIN].digest == first.stages[Stage.TRAIN].digest
        assert sum(scored_blocks) == late.sum() + len(newcomer)
        before, after = scored(app, first), scored(app, second)
        pd.testing.assert_frame_equal(after.loc[before.index], before)
        assert len(after) == len(frame) + len(newcomer)
        stages = app.walk.stages
        scoring = Scoring(stages.trained(second), stages.baseline_set(second))
        again = stages.engine.score(second.id, stages.feature_table(second), scoring, lambda *_: None)
        assert again.artifact == second.stages[Stage.SCORE].artifact
        levels = {app.records.baseline_version(first.fleet, number).reason for number in (1, 2)}  # pyright: ignore[reportOptionalMemberAccess]
        assert levels == {"computed from telemetry", "kept from the version before"}


def test_baselines_are_estimated_anew_when_their_time_is_over_or_their_rules_change(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    """Kept for a day, telemetry that goes on for longer ends it; so does another number of rows at which a level counts."""
    late = hours(frame) >= SOON
    short = BaselineSettings(keep_for=timedelta(hours=20))
    stricter = BaselineSettings(keep_for=timedelta(days=2), min_rows=30)
    for number, rules in enumerate((short, stricter)):
        with App(Settings(home=tmp_path / str(number), threads=1, _env_file=None)) as app:  # pyright: ignore[reportCallIssue]
            (first,) = kept_walk(app, [frame[~late]], tmp_path, KEEPING)
            (second,) = kept_walk(app, [frame[late]], tmp_path, KEEPING.model_copy(update={"baselines": rules}))
            assert "kept" not in second.stages[Stage.BASELINES].summary
            assert second.stages[Stage.TRAIN].digest != first.stages[Stage.TRAIN].digest


def test_a_table_that_an_earlier_version_declared_otherwise_is_carried(tmp_path: Path) -> None:
    """It let numbers be null: rows that stay and rows that are made anew still go into one file, declared as it is now."""
    device, time = np.array([0, 0, 1, 1], np.int32), np.array([1, 2, 1, 2])
    codes = {name: np.full(4, -1, np.int32) for name in ("cohort", "store", "customer")}
    whole = pa.RecordBatch.from_pydict({"device": device, **codes, "time": time, "score": np.arange(4.0)})
    write_table(tmp_path / "old.parquet", iter([whole.slice(0, 2), whole.slice(2)]))
    kept = unchanged_before(tmp_path / "old.parquet", Members(("a", "b"), (), (), (), (2, 2)), np.array([NEVER, 2]))
    again = whole.slice(3).cast(declared(whole.schema))
    assert write_table(tmp_path / "new.parquet", extended(kept, [(1, None), (2, again)])) == 4
    assert pq.read_table(tmp_path / "new.parquet").equals(pa.Table.from_batches([whole]).cast(declared(whole.schema)))
