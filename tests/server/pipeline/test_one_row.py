"""Readings scored as they arrive, against the batch walk."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from server.domain.baseline import Adjustment, Level
from server.domain.telemetry import Metric
from server.errors import InvalidInput, NotFound
from server.pipeline.baselines import RawFallback
from server.pipeline.features import FeaturePlan
from server.pipeline.one_row import OneRowScorer, ReadingOutcome
from server.pipeline.rings import DeviceWindows
from server.pipeline.score import Scoring

CLOSE = 2.5e-12


def from_row(fleet, trained, baselines, begin: int) -> tuple[OneRowScorer, list[dict]]:
    """A scorer that has seen each device's rows before `begin`, and the rest of all rows in order of time."""
    early, late = [], []
    for block in fleet.blocks:
        device = block.column("device").to_numpy()
        rank = np.arange(len(device)) - np.searchsorted(device, device)
        early.append(block.filter(pa.array(rank < begin)))
        late += block.filter(pa.array(rank >= begin)).to_pylist()
    windows = DeviceWindows.from_blocks(early, fleet.plan, fleet.members)
    for block in fleet.blocks:  # a device without history is still where it is
        windows.cohort[block.column("device").to_numpy()] = block.column("cohort").to_numpy()
        windows.place[block.column("device").to_numpy()] = block.column("store").to_numpy()
    return OneRowScorer(windows, Scoring(trained, baselines)), sorted(late, key=lambda row: row["time"])


def values(row: dict) -> list[float]:
    return [row[name] for name in ("level", "offline", "bytes", "errors")]


@pytest.fixture(scope="module")
def batch(fleet, baselines, trained):
    scored = fleet.score(trained, baselines).to_pandas()
    return scored.set_index(["device", "time"])


@pytest.mark.parametrize("begin", [0, 90, 230])
def test_readings_one_by_one_score_as_in_the_batch_walk(fleet, baselines, trained, batch, begin: int) -> None:
    """Scores, severities, flags, confidence and contributions: from nothing, and from windows made of history."""
    scorer, late = from_row(fleet, trained, baselines, begin)
    flagged = 0
    for row in late:
        found = scorer.score_one(fleet.members.devices[row["device"]], row["time"], values(row))
        expected = batch.loc[(row["device"], row["time"])]
        assert found.outcome is ReadingOutcome.SCORED
        assert found.score == pytest.approx(expected["score"], rel=CLOSE, abs=CLOSE)
        assert found.severity == pytest.approx(expected["severity"], rel=1e-11, abs=1e-9)
        assert found.is_anomaly == expected["is_anomaly"]
        assert found.confidence == pytest.approx(expected["confidence"], rel=1e-12)
        if found.is_anomaly:
            flagged += 1
            check_contributions(found.contributions, json.loads(expected["contributions"]))
    assert flagged > 20


def check_contributions(found, expected: list[dict]) -> None:
    assert [part.metric for part in found] == [part["metric"] for part in expected]
    for mine, theirs in zip(found, expected, strict=True):
        assert (mine.feature, mine.level, mine.n) == (theirs["feature"], theirs["level"], theirs["n"])
        for name in ("value", "typical", "z", "share"):
            value = theirs[name]
            assert getattr(mine, name) == (value if value is None else pytest.approx(value, rel=1e-5, abs=1e-7)), name


@pytest.mark.parametrize("size", [1, 7, 300])
def test_readings_in_batches_score_as_one_by_one(fleet, baselines, trained, batch, size: int) -> None:
    """Many devices and several readings of one device in the same batch."""
    scorer, late = from_row(fleet, trained, baselines, 300)
    for at in range(0, len(late), size):
        rows = late[at : at + size]
        names = [fleet.members.devices[row["device"]] for row in rows]
        found = scorer.score_batch(names, np.array([row["time"] for row in rows]), np.array([values(row) for row in rows]))
        expected = batch.loc[[(row["device"], row["time"]) for row in rows]]
        np.testing.assert_allclose(found.score, expected["score"], rtol=CLOSE, atol=CLOSE)
        np.testing.assert_array_equal(found.flagged, np.flatnonzero(expected["is_anomaly"]))


@pytest.mark.parametrize("detector", ["isolation_forest", "robust_z"])
def test_other_detectors_score_readings_too(fleet, baselines, detector: str) -> None:
    """Part by part rather than in one call, to the same scores."""
    trained = fleet.train(baselines, name=detector)
    expected = fleet.score(trained, baselines).to_pandas().set_index(["device", "time"])
    scorer, late = from_row(fleet, trained, baselines, 380)
    for row in late:
        found = scorer.score_one(fleet.members.devices[row["device"]], row["time"], values(row))
        assert found.score == pytest.approx(expected.loc[(row["device"], row["time"]), "score"], rel=CLOSE, abs=CLOSE)


def test_readings_are_scored_without_baselines_too(fleet) -> None:
    """Under a raw fallback the features are what is scored, and contributions name no level."""
    raw = RawFallback("none", fleet.plan)
    trained = fleet.train(raw)
    expected = fleet.score(trained, raw).to_pandas().set_index(["device", "time"])
    scorer, late = from_row(fleet, trained, raw, 340)
    for row in late:
        found = scorer.score_one(fleet.members.devices[row["device"]], row["time"], values(row))
        assert found.score == pytest.approx(expected.loc[(row["device"], row["time"]), "score"], rel=1e-9, abs=1e-9)
        assert all(part.level is None for part in found.contributions)


def test_a_late_or_repeated_reading_is_refused_and_changes_nothing(fleet, baselines, trained) -> None:
    """It says which of the two it is; the next reading scores as if it had not come."""
    scorer, late = from_row(fleet, trained, baselines, 300)
    other, _ = from_row(fleet, trained, baselines, 300)
    device = fleet.members.devices[5]
    first, second = [row for row in late if row["device"] == 5][:2]
    assert scorer.score_one(device, first["time"], values(first)) == other.score_one(device, first["time"], values(first))
    repeated = scorer.score_one(device, first["time"], [1e9] * 4)
    earlier = scorer.score_one(device, first["time"] - 1, [1e9] * 4)
    assert repeated.outcome is ReadingOutcome.DUPLICATE
    assert earlier.outcome is ReadingOutcome.LATE
    assert np.isnan(repeated.score)
    assert not repeated.is_anomaly
    assert scorer.score_one(device, second["time"], values(second)) == other.score_one(device, second["time"], values(second))


def test_refused_readings_of_a_batch_have_no_score(fleet, baselines, trained) -> None:
    """The others have theirs."""
    scorer, late = from_row(fleet, trained, baselines, 300)
    row = late[0]
    names = [fleet.members.devices[row["device"]]] * 3
    time = row["time"] + np.array([0, 0, -5])
    found = scorer.score_batch(names, time, np.array([values(row)] * 3))
    assert found.outcome.tolist() == [ReadingOutcome.SCORED, ReadingOutcome.DUPLICATE, ReadingOutcome.LATE]
    assert np.isfinite(found.score).tolist() == [True, False, False]


@pytest.mark.parametrize("batched", [False, True])
def test_a_device_that_reports_often_gets_a_longer_window(fleet, baselines, trained, batched: bool) -> None:
    """Rings grow in place: a row a minute for two days scores like the same device in the batch walk."""
    time = fleet.blocks[0].column("time").to_numpy()[0] + np.arange(2880) * 60_000_000
    chance = np.random.default_rng(4)
    columns = {name: chance.normal(50, 5, 2880) for name in ("level", "offline", "bytes", "errors")}
    keys = {key: np.zeros(2880, np.int32) for key in ("device", "cohort", "store")}
    often = pa.RecordBatch.from_pydict(
        {**keys, "customer": np.full(2880, -1, np.int32), "time": time, "reference": pa.array(np.ones(2880, bool)), **columns}
    )
    busy = replace(fleet, blocks=(often,), folder=fleet.folder / "often")
    busy.folder.mkdir(exist_ok=True)
    expected = busy.score(trained, baselines).column("score").to_numpy()
    windows = DeviceWindows.from_blocks([often.slice(0, 1)], fleet.plan, fleet.members)
    scorer = OneRowScorer(windows, Scoring(trained, baselines))
    measured = np.stack(list(columns.values()), axis=1)
    if batched:
        found = scorer.score_batch(["device-00"] * 2879, time[1:], measured[1:]).score
    else:
        found = [scorer.score_one("device-00", moment, row).score for moment, row in zip(time[1:], measured[1:], strict=True)]
    np.testing.assert_allclose(found, expected[1:], rtol=1e-11, atol=1e-11)


def test_bounds_and_sentinels_count_as_missing(fleet, baselines, trained) -> None:
    """As at ingest: infinite, out of bounds and sentinel values are no values."""
    metrics = (
        Metric(name="level", lower=0, upper=100, sentinels=(55.0,)),
        *fleet.plan.metrics[1:],
    )
    plan = FeaturePlan(metrics, fleet.plan.window, fleet.plan.lag)
    history = [block.slice(0, block.num_rows) for block in fleet.blocks]
    time = max(int(block.column("time").to_numpy().max()) for block in history) + 1
    found = []
    for value in (np.nan, np.inf, -1.0, 101.0, 55.0):
        windows = DeviceWindows.from_blocks(history, plan, fleet.members)
        found.append(OneRowScorer(windows, Scoring(trained, baselines)).score_one("device-03", time, [value, 0.0, 100.0, 2.0]))
    assert len({reading.score for reading in found}) == 1
    assert found[0].confidence < 1


def test_an_admitted_device_is_scored_against_its_cohort(fleet, baselines, trained) -> None:
    """A device that the baselines do not know rests on wider levels until they are computed anew."""
    windows = DeviceWindows.from_blocks(fleet.blocks, fleet.plan, fleet.members)
    scorer = OneRowScorer(windows, Scoring(trained, baselines))
    with pytest.raises(NotFound, match="device-99"):
        scorer.score_one("device-99", 1, [0.0] * 4)
    windows.admit("device-99", cohort=1)
    scorer.refresh()
    readings = [scorer.score_one("device-99", 3_600_000_000 * hour, [900.0, 90.0, 1e9, 99.0]) for hour in range(1, 30)]
    assert readings[-1].is_anomaly
    assert {part.level for part in readings[-1].contributions} == {"cohort"}


def test_a_reading_of_the_wrong_width_is_refused(fleet, baselines, trained) -> None:
    """The message says how many values there have to be."""
    scorer, _ = from_row(fleet, trained, baselines, 300)
    with pytest.raises(InvalidInput, match="3 values, the fleet 4 metrics"):
        scorer.score_one("device-00", 1, [1.0] * 3)
    with pytest.raises(InvalidInput, match="3 values"):
        scorer.score_batch(["device-00"], np.array([1]), np.zeros((1, 3)))


def test_once_an_adjustment_has_settled_readings_score_as_in_the_batch_walk(fleet, baselines, trained) -> None:
    """The passing part of its step, in changes and spreads, is over by then; before, only the batch walk knows of it."""
    name = baselines.features[0].name
    level = next(each for each in baselines.levels if each.level is Level.COHORT)
    begin = min(int(block.column("time").to_numpy().min()) for block in fleet.blocks)
    since = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=begin) + timedelta(hours=24)
    move = Adjustment(
        level=Level.COHORT, group=level.groups[0], feature=name, amount=3.0, full=3.0, base_median=0.0, scale=1.0, since=since
    )
    adjusted = replace(baselines, adjustments=(move,))
    batch = fleet.score(trained, adjusted).to_pandas().set_index(["device", "time"])
    scorer, late = from_row(fleet, trained, adjusted, 0)
    settled = (since + fleet.plan.window + fleet.plan.lag - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    different = 0
    for row in late:
        found = scorer.score_one(fleet.members.devices[row["device"]], row["time"], values(row))
        expected = batch.loc[(row["device"], row["time"])]["score"]
        if row["time"] >= settled:
            assert found.score == pytest.approx(expected, rel=CLOSE, abs=CLOSE)
        different += abs(found.score - expected) > CLOSE
    assert different
