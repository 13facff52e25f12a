"""Telemetry as Parquet by day and hash of the device: whole, under names, and only new days and hashes written again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from server.app import App
from server.domain.run import SourceSpec, Stage
from server.domain.settings import WalkSettings
from server.domain.telemetry import Fleet
from server.engines.spark.telemetry import DAY
from server.pipeline.parts import read_columns

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def files(home: Path) -> dict[str, int]:
    """Each Parquet file of the folder by its path in it, with the time of its last change."""
    root = home / "telemetry/default/shop"
    return {str(path.relative_to(root)): path.stat().st_mtime_ns for path in root.rglob("*.parquet")}


def featured(app: App, *telemetry: Path) -> Any:
    """The features of the last of some ingests, each with a run of its own."""
    for path in telemetry:
        run = app.walk.start(Fleet(name="shop"), SourceSpec(connector="files", location=str(path)), WalkSettings())
        run = app.walk.advance("default", run.id, Stage.FEATURES)
    return read_columns(app.walk.stages.feature_table(run).path, ["device", "time", "load_mean", "heat_change"])


def assert_same(found: Any, expected: Any) -> None:
    """The same features of the same rows to the bit, gaps included."""
    assert found.num_rows == expected.num_rows
    for name in expected.column_names:
        np.testing.assert_array_equal(found[name].to_numpy(), expected[name].to_numpy())


def test_a_later_ingest_writes_only_the_days_and_hashes_that_it_changes(
    needs_spark: None,  # noqa: ARG001 - skips
    opened: Callable[..., App],
    fleet_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A new day for all devices, and a row that comes six days late for one; the features are the embedded engine's."""
    monkeypatch.setattr("server.engines.spark.telemetry.FILE_ROWS", 40)
    fleet = pd.read_parquet(fleet_file)
    last = fleet["time"] >= pd.Timestamp("2025-03-09", tz="UTC")
    late = (fleet["device"] == "d-03") & (fleet["time"] == pd.Timestamp("2025-03-04 10:00", tz="UTC"))
    assert late.sum() == 1
    earlier, later = tmp_path / "1.parquet", tmp_path / "2.parquet"
    fleet[~last & ~late].to_parquet(earlier, index=False)
    fleet[last | late].to_parquet(later, index=False)
    app = opened(tmp_path / "spark", "spark", part_rows=2000)
    featured(app, earlier)
    before = files(tmp_path / "spark")
    assert (
        sum(pq.read_metadata(tmp_path / "spark/telemetry/default/shop" / name).num_rows for name in before)
        == (~last & ~late).sum()
    )
    found = featured(app, later)
    after = files(tmp_path / "spark")
    changed = {name for name in after if after[name] != before.get(name)}
    late_hash = {name.split("/")[1] for name in changed if f"{DAY}=2025-03-04" in name}
    assert len(late_hash) == 1
    days = {name.split("/")[0] for name in changed if name.split("/")[1] not in late_hash}
    assert days == {f"{DAY}=2025-03-09"}
    expected = featured(opened(tmp_path / "duckdb", "duckdb"), earlier, later)
    assert_same(found, expected)


def test_a_file_that_somebody_removed_is_written_again(
    needs_spark: None,  # noqa: ARG001 - skips
    opened: Callable[..., App],
    fleet_file: Path,
    tmp_path: Path,
) -> None:
    """Rather than scored around."""
    app = opened(tmp_path, "spark", part_rows=2000)
    first = featured(app, fleet_file)
    (tmp_path / "telemetry/default/shop" / min(files(tmp_path))).unlink()
    assert_same(featured(app, fleet_file), first)
