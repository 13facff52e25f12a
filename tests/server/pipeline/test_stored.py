"""Baselines and detectors as files."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from server.detectors.registry import Detectors
from server.detectors.stored import Trained, read_trained, write_trained
from server.domain.baseline import Adjustment, Level
from server.pipeline.baselines import BaselineSet, RawFallback
from server.pipeline.stored import read_baselines, write_baselines

MOVE = Adjustment(
    level=Level.COHORT, group="maker / 1", feature="level_mean", amount=0.7, full=2.0, base_median=60.0, scale=3.0,
    since=datetime(2023, 11, 20, tzinfo=UTC),
)  # fmt: skip


def assert_equal(left: BaselineSet, right: BaselineSet) -> None:
    assert left.plan == right.plan
    assert (left.min_rows, left.adjustments) == (right.min_rows, right.adjustments)
    for one, other in zip(left.levels, right.levels, strict=True):
        assert (one.level, one.groups) == (other.level, other.groups)
        for name in ("median", "scale", "count"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert (left.grouping.cohorts, left.grouping.sites) == (right.grouping.cohorts, right.grouping.sites)
    assert left.grouping.site_key == right.grouping.site_key
    np.testing.assert_array_equal(left.grouping.site_of, right.grouping.site_of)
    assert (left.profile is None) == (right.profile is None)
    if left.profile and right.profile:
        assert left.profile.hours == right.profile.hours
        np.testing.assert_array_equal(left.profile.deviation, right.profile.deviation)


@pytest.mark.parametrize("with_profile", [True, False])
def test_baselines_come_back_from_their_file_equal(baselines: BaselineSet, tmp_path: Path, with_profile: bool) -> None:
    """Adjustments and the profile included."""
    written = replace(baselines, adjustments=(MOVE,), profile=baselines.profile if with_profile else None)
    write_baselines(tmp_path / "b.parquet", written)
    found = read_baselines(tmp_path / "b.parquet")
    assert isinstance(found, BaselineSet)
    assert_equal(found, written)


def test_a_raw_fallback_comes_back_with_its_reason(baselines: BaselineSet, tmp_path: Path) -> None:
    """The reason is shown on every anomaly, so it is kept."""
    fallback = RawFallback("too few rows", baselines.plan)
    write_baselines(tmp_path / "b.json", fallback)
    assert read_baselines(tmp_path / "b.json") == fallback


@pytest.mark.parametrize("detector", Detectors().names)
def test_a_detector_comes_back_from_its_file_and_scores_the_same(
    fleet, baselines: BaselineSet, tmp_path: Path, detector: str
) -> None:
    """Every registered detector, bit for bit, scores and attribution."""
    trained = fleet.train(baselines, name=detector)
    write_trained(tmp_path / "t.npz", trained)
    found = read_trained(tmp_path / "t.npz", Detectors())
    assert (found.detector, found.threshold, found.calibration, found.rows) == (
        detector,
        trained.threshold,
        trained.calibration,
        trained.rows,
    )
    np.testing.assert_array_equal(found.reference_scores, trained.reference_scores)
    assert fleet.score(found, baselines).equals(fleet.score(trained, baselines))


def test_the_same_object_gives_the_same_bytes(baselines: BaselineSet, trained: Trained, tmp_path: Path) -> None:
    """Artifacts are named by their digest, so a repeated stage must not seem to have changed anything."""
    first, second = tmp_path / "1", tmp_path / "2"
    for path in (first, second):
        write_baselines(path.with_suffix(".parquet"), baselines)
        write_trained(path.with_suffix(".npz"), trained)
    for suffix in (".parquet", ".npz"):
        assert first.with_suffix(suffix).read_bytes() == second.with_suffix(suffix).read_bytes()


def test_a_table_of_features_does_not_depend_on_threads(fleet) -> None:
    """One thread or two write the same bytes."""
    assert fleet.table(threads=2).path.read_bytes() == fleet.table().path.read_bytes()
