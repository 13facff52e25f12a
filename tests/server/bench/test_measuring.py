"""Programs that are measured, each in a process of its own."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from server.bench import forests, obvious, ours, previewing
from server.bench.child import Sections, peak_mib, program
from server.bench.fleet import FleetSize, write_fleet
from server.bench.runner import PLANS, Bench, ChildFailedError
from server.domain.telemetry import Metric
from server.pipeline.features import FeaturePlan, featurise


def test_cpu_seconds_are_added_up_by_part() -> None:
    """A part that is entered twice has both."""
    sections = Sections()
    for _ in range(2):
        with sections.part("work"):
            sum(range(100_000))
    assert sections.cpu["work"] > 0
    assert peak_mib() > 10


def test_only_this_packages_programs_are_run() -> None:
    """A name from elsewhere is refused, and says where programs are."""
    assert program("ours.forest") is ours.forest
    with pytest.raises(ValueError, match="ours, obvious"):
        program("os.system")


def test_a_program_that_fails_says_why(tmp_path: Path) -> None:
    """The last line of what it said, and not only that it failed."""
    bench = Bench(PLANS["smoke"], "smoke", tmp_path, lambda _: None)
    with pytest.raises(ChildFailedError, match="KeyError: 'rows'"):
        bench.measure("ours.forest")


def test_both_forests_give_the_same_scores() -> None:
    """What is compared is the same work, to the last bit."""
    few = {"rows": 500}
    assert ours.forest(few)["digest"] == obvious.forest(few)["digest"]


def test_the_obvious_way_makes_the_same_features(tmp_path: Path) -> None:
    """Its features are ours, so its time is for the same work."""
    write_fleet(tmp_path / "f", FleetSize(1_500, 3, metrics=2))
    frame = pd.read_parquet(tmp_path / "f")
    metrics = ["Reading00", "Reading01"]
    theirs = obvious._features(frame, metrics)
    for device, rows in frame.groupby("device_id"):
        block = _block(rows, metrics)
        plan = FeaturePlan(tuple(Metric(name=name) for name in metrics), pd.Timedelta("12h"), pd.Timedelta("24h"))
        mine = featurise(block, plan).to_pandas()
        for feature in plan.features:
            np.testing.assert_allclose(theirs.loc[rows.index, feature.name], mine[feature.name], rtol=1e-6, atol=1e-8), device


def _block(rows: pd.DataFrame, metrics: list[str]):
    keys = {key: np.zeros(len(rows), np.int32) for key in ("device", "cohort", "store", "customer")}
    time = rows["timestamp"].astype("int64").to_numpy()
    measured = {name: rows[name].to_numpy() for name in metrics}
    return pa.RecordBatch.from_pydict({**keys, "time": time, "reference": pa.array(np.ones(len(rows), bool)), **measured})


def test_peers_are_given_a_matrix_of_all_columns() -> None:
    """Ours sees the same rows as the others do."""
    z = forests.some_rows(20)
    assert forests.design_of(z).z is z
    assert len(forests.design_of(z).columns) == z.shape[1]


@pytest.mark.slow
def test_a_preview_is_measured_on_a_walked_home_and_reaches_one_cohort(tmp_path: Path) -> None:
    """The change is to one of twelve models, so some devices are reached and most are not."""
    write_fleet(path := tmp_path / "f.parquet", FleetSize(12_000, 24, metrics=2))
    run = ours.walk({"home": str(tmp_path / "home"), "path": str(path)})["run"]
    found = previewing.preview({"home": str(tmp_path / "home"), "run": run})
    assert found["devices"] == 2
    assert found["seconds"] > 0
