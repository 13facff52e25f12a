"""What the source promises whoever reads it."""

import time
from itertools import islice

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from server.connectors.synthetic import PLANS, FleetPlan, SyntheticSource
from server.connectors.synthetic.catalogue import METRIC_NAMES
from server.connectors.synthetic.source import ROWS_A_BATCH


def demo_of(**changes: object) -> FleetPlan:
    return PLANS["demo"].model_copy(update=changes)


def table_of(plan: FleetPlan) -> pa.Table:
    return pa.Table.from_batches(SyntheticSource(plan).batches())


def test_two_readings_give_equal_rows():
    """A source may be read again from the start, and so may a second one of the same plan."""
    source = SyntheticSource(demo_of(devices=120, days=10))
    first = pa.Table.from_batches(source.batches())
    assert first.equals(pa.Table.from_batches(source.batches()))
    assert first.equals(table_of(source.plan))


def test_another_seed_gives_other_rows():
    """The seed decides."""
    assert not table_of(demo_of(devices=3, days=4)).equals(table_of(demo_of(devices=3, days=4, seed=9)))


@pytest.mark.parametrize("tier", list(PLANS))
def test_more_devices_change_no_row_of_those_before(tier: str):
    """Device 0 is the same in a fleet of any size."""
    small = PLANS[tier].model_copy(update={"devices": 40, "days": 12})
    large = small.model_copy(update={"devices": 333})
    few = table_of(small)
    assert few.equals(table_of(large).slice(0, few.num_rows))


def test_batches_are_bounded_and_hold_whole_devices():
    """No batch is much larger than said, and no device is in two of them unless its id was used again."""
    plan = demo_of(devices=250, faults={})
    seen: set[str] = set()
    for batch in SyntheticSource(plan).batches():
        here = set(batch.column("DeviceId").to_pylist())
        assert batch.num_rows <= ROWS_A_BATCH
        assert not here & seen
        seen |= here


def test_the_first_batch_of_a_large_fleet_comes_at_once():
    """Ten thousand devices: nothing of the rest is built before it is read."""
    begun = time.process_time()
    first = next(SyntheticSource(demo_of(devices=10_000)).batches())
    assert 0 < first.num_rows <= ROWS_A_BATCH
    assert time.process_time() - begun < 5


@pytest.mark.parametrize("name", list(PLANS))
def test_mapped_columns_are_in_every_batch(name: str):
    """Every source column has a role or is ignored; no role names a column that is not there."""
    source = SyntheticSource(PLANS[name].model_copy(update={"devices": 100}))
    mapping = source.mapping
    roles = [mapping.device, mapping.time, mapping.arrival, *mapping.cohort, mapping.store, mapping.customer]
    named = [*roles, *mapping.metrics, *mapping.ignored]
    for batch in islice(source.batches(), 2):
        assert batch.schema.names == named
    assert source.rows is None
    assert tuple(metric.name for metric in source.metrics) == mapping.metrics


def test_without_faults_values_are_physical():
    """Whole counts that are not negative, seconds within the hour, signal in dBm, battery in percent; never missing."""
    rows = table_of(demo_of(faults={})).to_pandas()
    assert not rows.isna().any().any()
    for metric in SyntheticSource(PLANS["demo"]).metrics:
        values = rows[metric.name]
        assert metric.lower is None or values.min() >= metric.lower
        assert metric.upper is None or values.max() <= metric.upper
        assert metric.name == "TotalBatteryLevelDrop" or (values % 1 == 0).all()
    assert (rows["OfflineTime"] + rows["ConnectionTime"] <= 3600).all()
    assert rows["Timestamp"].dt.minute.eq(0).all()
    assert not rows.duplicated(["DeviceId", "Timestamp"]).any()
    assert rows["ArrivalTime"].ge(rows["Timestamp"]).all()


def test_days_have_hours_and_weeks_have_sundays(plan_with, rows_of):
    """Even the null fleet is busy by day and quiet by night and on Sundays."""
    rows = rows_of(plan_with(devices=60))
    drop = rows.groupby(rows["Timestamp"].dt.hour)["TotalBatteryLevelDrop"].mean()
    assert drop.max() > 4 * drop.min()
    by_weekday = rows.groupby(rows["Timestamp"].dt.day_of_week)["Download"].mean()
    assert by_weekday[6] < 0.5 * by_weekday[0]


def test_metrics_move_together_with_heavy_tails(plan_with, rows_of):
    """Offline time goes with disconnects and a bad signal, downloads with drain; tails are heavy."""
    rows = rows_of(plan_with(devices=60))
    parts = [rows["DeviceId"], rows["Timestamp"].dt.day_of_week, rows["Timestamp"].dt.hour]
    rest = rows[list(METRIC_NAMES)] - rows.groupby(parts)[list(METRIC_NAMES)].transform("mean")
    together = rest.corr(method="spearman")
    assert together.loc["OfflineTime", "DisconnectCount"] > 0.3
    assert together.loc["WiFiSignalStrength", "OfflineTime"] < -0.2
    assert together.loc["Download", "TotalBatteryLevelDrop"] > 0.2
    assert rest["OfflineTime"].kurtosis() > 1


def test_devices_and_cohorts_differ(plan_with, rows_of):
    """Levels belong to devices and models, and no one cohort is the fleet."""
    rows = rows_of(plan_with(devices=150))
    of_device = rows.groupby("DeviceId")["TotalBatteryLevelDrop"].mean()
    assert of_device.std() > 0.1 * of_device.mean()
    assert rows["ManufacturerId"].nunique() == 5
    assert rows["ModelId"].nunique() == 10
    assert rows.groupby("ModelId")["OsVersionId"].nunique().max() == 3
    assert rows["StoreId"].nunique() == 10


def test_devices_enrol_and_retire(plan_with, rows_of):
    """Some come later, some leave earlier."""
    rows = rows_of(plan_with(devices=150))
    seen = rows.groupby("DeviceId")["Timestamp"].agg(["min", "max"])
    assert (seen["min"] > rows["Timestamp"].min()).sum() >= 3
    assert (seen["max"] < rows["Timestamp"].max()).sum() >= 3


def test_an_interval_of_a_quarter_hour_has_four_rows_an_hour(plan_with, rows_of):
    """The hour is only the default; times then stay within the quarter."""
    rows = rows_of(plan_with(devices=2, days=3, interval=pd.Timedelta(minutes=15).to_pytimedelta()))
    assert len(rows) == 2 * 3 * 96
    assert (np.diff(rows["Timestamp"].to_numpy()[:96]) == np.timedelta64(15, "m")).all()
    # The bound of the interval, not of the hour.
    assert (rows["OfflineTime"] + rows["ConnectionTime"]).max() <= 900
