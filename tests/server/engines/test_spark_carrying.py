"""A later run on Spark: what an earlier one holds is kept, the rest is made anew, and the outcome is that of a whole run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from server.app import App
from server.domain.run import Run, SourceSpec, Stage
from server.domain.settings import WalkSettings
from server.domain.telemetry import Fleet
from server.engines.spark.carrying import split_at
from server.engines.spark.telemetry import TelemetryFolder
from server.pipeline.extend import NEVER, unchanged_before
from server.pipeline.parts import files_of
from server.pipeline.score import Scoring

LAST_DAY = pd.Timestamp("2025-03-09", tz="UTC")


def featured(app: App, *telemetry: Path) -> Run:
    """The last of some runs, one a file, with its features made."""
    for path in telemetry:
        run = app.walk.start(Fleet(name="shop"), SourceSpec(connector="files", location=str(path)), WalkSettings())
        run = app.walk.advance("default", run.id, Stage.FEATURES)
    return run


def parts(app: App, run: Run) -> tuple[Path, ...]:
    """The files of the run's features."""
    return files_of(app.walk.stages.feature_table(run).path)


def later_rows(fleet: pd.DataFrame, change: str) -> "pd.Series[bool]":
    """Which rows come with the second ingest."""
    new_day, of_one = fleet["time"] >= LAST_DAY, fleet["device"] == "d-05"
    late = (fleet["device"] == "d-03") & (fleet["time"] == pd.Timestamp("2025-03-04 10:00", tz="UTC"))
    return {"a new day": new_day, "a late row": late, "a new device": of_one, "all of these": new_day | late | of_one}[change]


def in_two(fleet_file: Path, folder: Path, change: str) -> tuple[Path, Path]:
    """Files with the fleet's rows of the first ingest, and with those of the second."""
    fleet = pd.read_parquet(fleet_file)
    later = later_rows(fleet, change)
    assert later.any()
    first, second = folder / "first.parquet", folder / "second.parquet"
    fleet[~later].to_parquet(first, index=False)
    fleet[later].to_parquet(second, index=False)
    return first, second


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows of telemetry each run's features were made from."""
    rows: list[int] = []
    whole = TelemetryFolder.frame

    def counted(*args: Any, **kwargs: Any) -> Any:
        frame = whole(*args, **kwargs)
        rows.append(frame.count())
        return frame

    monkeypatch.setattr(TelemetryFolder, "frame", counted)
    monkeypatch.setattr("server.engines.spark.telemetry.FILE_ROWS", 40)
    return rows


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("change", ["a new day", "a late row", "a new device", "all of these"])
def test_features_carried_from_an_earlier_run_are_those_of_a_whole_one(
    needs_spark: None,  # noqa: ARG001 - skips
    opened: Callable[..., App],
    fleet_file: Path,
    tmp_path: Path,
    read: list[int],
    change: str,
) -> None:
    """The same bytes, so the same name, though fewer rows of telemetry are read."""
    grown = opened(tmp_path / "grown", "spark", part_rows=450)
    run = featured(grown, *in_two(fleet_file, tmp_path, change))
    assert read[1] < 0.6 * len(pd.read_parquet(fleet_file))
    at_once = opened(tmp_path / "once", "spark", part_rows=450)
    assert run.stages[Stage.FEATURES].artifact == featured(at_once, fleet_file).stages[Stage.FEATURES].artifact


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_parts_without_a_changed_row_are_the_earlier_files(
    needs_spark: None,  # noqa: ARG001 - skips
    opened: Callable[..., App],
    fleet_file: Path,
    tmp_path: Path,
) -> None:
    """One late row of one device: its part is written, the others are the same files under the later run."""
    first, second = in_two(fleet_file, tmp_path, "a late row")
    app = opened(tmp_path / "grown", "spark", part_rows=450)
    before, after = featured(app, first), featured(app, second)
    same = [old.samefile(new) for old, new in zip(parts(app, before), parts(app, after), strict=True)]
    assert same.count(False) == 1
    assert len(same) == 6


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_telemetry_that_somebody_removed_is_found_missing_by_a_later_run(
    needs_spark: None,  # noqa: ARG001 - skips
    opened: Callable[..., App],
    fleet_file: Path,
    tmp_path: Path,
) -> None:
    """The folder is written again; rows are not scored around."""
    first, second = in_two(fleet_file, tmp_path, "a new day")
    app = opened(tmp_path / "grown", "spark", part_rows=450)
    featured(app, first)
    run = app.walk.start(Fleet(name="shop"), SourceSpec(connector="files", location=str(second)), WalkSettings())
    run = app.walk.run_stage("default", run.id, Stage.INGEST)
    stages = app.walk.stages
    snapshot = stages.snapshot(run)
    stages.engine.telemetry_folder.frame(app.telemetry, snapshot)  # pyright: ignore[reportAttributeAccessIssue]
    gone = sorted((tmp_path / "grown/telemetry").rglob("*=2025-03-08/*/*.parquet"))
    assert gone
    gone[0].unlink()
    run = app.walk.run_stage("default", run.id, Stage.FEATURES)
    at_once = opened(tmp_path / "once", "spark", part_rows=450)
    assert run.stages[Stage.FEATURES].artifact == featured(at_once, fleet_file).stages[Stage.FEATURES].artifact


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_scores_of_unchanged_devices_are_kept_and_the_others_made_anew(on_spark: Any, plain: Any) -> None:
    """As after an approved adjustment, which reaches some rows of some devices."""
    engine, table = on_spark.stages.engine, on_spark.table
    scoring = Scoring(plain.trained, plain.baselines)
    whole = engine.score(on_spark.run.id, table, scoring, lambda *_: None)
    made = on_spark.stages.artifact(on_spark.run, whole.artifact)
    since = np.full(len(plain.members.devices), NEVER)
    since[4] = int(np.median(table.time))
    kept = unchanged_before(made, plain.members, since)
    assert engine.score("later-run", table, scoring, lambda *_: None, kept) == whole
    folder = on_spark.app.settings.artifact_folder
    same = [path.samefile(folder / "later-run" / path.name) for path in files_of(made)]
    assert same.count(False) == 1


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_rows_are_cut_at_the_ends_of_blocks_however_they_arrive(size: int) -> None:
    """A block without rows is None, and no row is lost."""
    device = np.repeat([1, 2, 5, 6], [10, 3, 20, 1]).astype(np.int32)
    table = pa.table({"device": device, "row": np.arange(len(device))})
    found = list(split_at(table.to_batches(max_chunksize=size), [1, 3, 5, 6, 8, 9]))
    assert [(end, None if block is None else block.num_rows) for end, block in found] == [
        (1, None), (3, 13), (5, None), (6, 20), (8, 1), (9, None),
    ]  # fmt: skip
    assert pa.Table.from_batches([block for _, block in found if block is not None]).equals(table.combine_chunks())
