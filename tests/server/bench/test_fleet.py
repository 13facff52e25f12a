"""Telemetry for measuring."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from server.bench.fleet import FleetSize, write_fleet


def test_telemetry_has_everything_that_makes_a_walk_hard(tmp_path: Path) -> None:
    """Sorted by device and time, jittered, with gaps and missing values, cohorts and stores, and as many rows as asked for."""
    rows = write_fleet(tmp_path / "f.parquet", FleetSize(20_000, 40, metrics=8))
    frame = pq.read_table(tmp_path / "f.parquet").to_pandas()
    assert len(frame) == rows
    assert 19_000 < rows <= 20_000
    assert frame.sort_values(["device_id", "timestamp"]).index.is_monotonic_increasing
    assert not frame.duplicated(["device_id", "timestamp"]).any()
    gap = frame.groupby("device_id")["timestamp"].diff().dropna()
    assert gap.nunique() > 1000
    assert (gap.dt.total_seconds() > 8 * 3600).any()
    missing = frame.filter(like="Reading").isna().to_numpy().mean()
    assert 0.01 < missing < 0.03
    assert frame["model"].nunique() == 12
    assert frame["store_id"].nunique() == 2


def test_the_same_size_gives_the_same_telemetry(tmp_path: Path) -> None:
    """Both sides and all rounds are given the same rows; another seed gives others."""
    size = FleetSize(2_000, 10, metrics=3)
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        write_fleet(tmp_path / name, size, seed=seed)
    first, again, other = (pq.read_table(tmp_path / name) for name in "abc")
    assert first.equals(again)
    assert not first.equals(other)


def test_there_are_as_many_metrics_as_asked_for(tmp_path: Path) -> None:
    """How cost grows with metrics is measured by it."""
    write_fleet(tmp_path / "f", FleetSize(500, 5, metrics=16))
    names = [name for name in pq.read_schema(tmp_path / "f").names if name.startswith("Reading")]
    assert len(names) == 16
    assert np.unique(names).size == 16
