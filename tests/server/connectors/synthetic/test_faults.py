"""Faults in the telemetry: each is there, and its truth counts exactly the rows that it struck."""

from collections.abc import Callable

import pandas as pd
import pytest

from server.connectors.synthetic import PLANS, FleetPlan, SyntheticSource
from server.connectors.synthetic.catalogue import METRIC_NAMES, NEW_COLUMN
from server.connectors.synthetic.faults import FAULTS

KEY = ["DeviceId", "Timestamp"]
EDITED = ("unit_change", "stuck_values", "counter_reset", "sentinels", "null_cohort")


@pytest.fixture(scope="module")
def struck(plan_with, rows_of) -> Callable[[str], tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]]:
    def make(kind: str) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """Rows with the one fault, rows without it, and the fault's truth."""
        plan: FleetPlan = plan_with(devices=60, faults={kind: 1.0})
        return rows_of(plan), rows_of(plan_with(devices=60)), SyntheticSource(plan).truth().faults.to_pandas()

    return make


@pytest.mark.parametrize("kind", ["missing_at_random", "missing_block", "flat_battery"])
def test_absences_take_away_the_rows_that_truth_counts(kind: str, struck):
    """Rows lost per device equal the truth's; what is left is untouched."""
    rows, whole, truth = struck(kind)
    lost = whole.groupby("DeviceId").size() - rows.groupby("DeviceId").size()
    assert (lost[lost > 0] == truth.set_index("device")["rows"].reindex(lost[lost > 0].index)).all()
    assert truth["rows"].sum() == len(whole) - len(rows) > 0
    both = rows.merge(whole, on=KEY, suffixes=("", "_whole"))
    assert len(both) == len(rows)
    assert all((both[name] == both[f"{name}_whole"]).all() for name in METRIC_NAMES)


def test_missing_at_random_is_one_to_five_in_a_hundred(struck):
    """As in the field: each device at a rate of its own."""
    _, whole, truth = struck("missing_at_random")
    share = truth.set_index("device")["rows"] / whole.groupby("DeviceId").size()
    assert 0.01 < share.mean() < 0.05
    assert share.max() < 0.08


@pytest.mark.parametrize("kind", EDITED)
def test_edits_change_only_rows_that_truth_names(kind: str, struck):
    """Every changed row lies in a struck device's time; each struck device has changed rows, never more than counted."""
    rows, whole, truth = struck(kind)
    both = rows.merge(whole, on=KEY, suffixes=("", "_whole"))
    columns = [*METRIC_NAMES, "OsVersionId"]
    differs = pd.concat([both[name].ne(both[f"{name}_whole"]) for name in columns], axis=1).any(axis=1)
    changed = both[differs].merge(truth, left_on="DeviceId", right_on="device")
    assert len(changed) == differs.sum()
    assert ((changed["Timestamp"] >= changed["start"]) & (changed["Timestamp"] < changed["end"])).all()
    counted = truth.set_index("device")["rows"]
    seen = changed.groupby("device").size().reindex(counted.index)
    assert (seen <= counted).all()
    assert seen.sum() > 0.85 * counted.sum()


def test_a_firmware_counts_in_other_units(struck):
    """Downloads are 1,024 times as large from the update on."""
    rows, whole, truth = struck("unit_change")
    one = truth.iloc[0]
    both = rows[rows["DeviceId"] == one["device"]].merge(whole, on=KEY, suffixes=("", "_whole"))
    since = both[both["Timestamp"] >= one["start"]]
    assert (since["Download"] / since["Download_whole"]).dropna().median() == pytest.approx(1024)
    assert set(since["ModelId"]) == {"TC52"}


def test_a_stuck_device_repeats_itself(struck):
    """Signal and free storage have one value for the whole time."""
    rows, _, truth = struck("stuck_values")
    one = truth.sort_values("rows").iloc[-1]
    inside = rows[(rows["DeviceId"] == one["device"]) & (rows["Timestamp"] >= one["start"]) & (rows["Timestamp"] < one["end"])]
    assert len(inside) == one["rows"] > 12
    assert inside["WiFiSignalStrength"].nunique() == inside["TotalFreeStorageKb"].nunique() == 1


def test_counters_fall_back_below_zero(struck):
    """A difference across a reset is negative: no reading could be."""
    rows, _, truth = struck("counter_reset")
    assert ((rows["Download"] < 0) & (rows["Upload"] < 0)).sum() == truth["rows"].sum()


def test_sentinels_are_those_that_the_metrics_declare(struck):
    """-1 and 255 stand for no reading, one a row."""
    rows, _, truth = struck("sentinels")
    declared = {metric.name: metric.sentinels for metric in SyntheticSource(PLANS["demo"]).metrics}
    found = {name: int(rows[name].isin(declared[name]).sum()) for name in METRIC_NAMES}
    assert sum(found.values()) == truth["rows"].sum()
    assert (rows["WiFiSignalStrength"] == 255).any()
    assert (rows["OfflineTime"] == -1).any()


def test_a_null_cohort_has_no_os_version(struck):
    """The rest of the row is as ever."""
    rows, _, truth = struck("null_cohort")
    assert rows["OsVersionId"].isna().sum() == truth["rows"].sum() > 0


def test_a_column_appears_that_nobody_announced(struck, plan_with):
    """It has no role, is empty before its first day, and is not there at all without the fault."""
    rows, whole, truth = struck("unknown_new_column")
    assert rows[NEW_COLUMN].notna().sum() == truth["rows"].sum() > 0
    assert NEW_COLUMN not in whole
    source = SyntheticSource(plan_with(devices=2, faults={"unknown_new_column": 1.0}))
    assert source.mapping.ignored == (NEW_COLUMN,)


def test_an_id_is_used_again(struck):
    """A retired device's id comes back with another device behind it; the two never overlap."""
    rows, _, truth = struck("reused_device_id")
    one = truth.iloc[0]
    both = rows[rows["DeviceId"] == one["device"]]
    later = both[both["Timestamp"] >= one["start"]]
    earlier = both[both["Timestamp"] < one["start"]]
    assert len(later) == one["rows"]
    assert len(earlier) > 0
    assert later["Timestamp"].min() - earlier["Timestamp"].max() > pd.Timedelta(hours=24)


def test_uploads_come_in_windows_of_four_hours(struck):
    """Rows of one window arrive at one time, at most five hours late."""
    rows, _, truth = struck("upload_windows")
    delay = rows["ArrivalTime"] - rows["Timestamp"]
    assert truth["rows"].sum() == len(rows)
    assert delay.min() > pd.Timedelta(0)
    assert pd.Timedelta(hours=3) < delay.max() < pd.Timedelta(hours=5)
    uploads = rows.groupby("DeviceId")["ArrivalTime"].nunique() / rows.groupby("DeviceId").size()
    assert uploads.median() == pytest.approx(1 / 4, abs=0.01)


def test_offline_buffers_hold_rows_for_days(struck):
    """Up to seven days late, all of a buffer at once."""
    rows, _, truth = struck("offline_buffer")
    delay = rows["ArrivalTime"] - rows["Timestamp"]
    assert pd.Timedelta(days=4) < delay.max() < pd.Timedelta(days=7, hours=2)
    one = truth.iloc[0]
    held = rows[(rows["DeviceId"] == one["device"]) & rows["Timestamp"].between(one["start"], one["end"], inclusive="left")]
    assert len(held) == one["rows"]
    assert held["ArrivalTime"].nunique() == 1


def test_rows_come_out_of_order(struck):
    """Later rows of a device are sent before earlier ones; the rows are the same."""
    rows, whole, _ = struck("out_of_order")
    steps = rows.groupby("DeviceId")["Timestamp"].diff()
    assert (steps < pd.Timedelta(0)).sum() > 50
    assert (whole.groupby("DeviceId")["Timestamp"].diff().dropna() > pd.Timedelta(0)).all()
    pd.testing.assert_frame_equal(
        rows.sort_values(KEY, ignore_index=True), whole.sort_values(KEY, ignore_index=True), check_like=True
    )


def test_skewed_clocks_are_minutes_off(struck):
    """Every row of the skewed time is off the hour, and takes no other row's time."""
    rows, whole, truth = struck("clock_skew")
    off = rows["Timestamp"].dt.minute.ne(0)
    assert off.sum() == truth["rows"].sum() > 0
    assert not rows.duplicated(KEY).any()
    assert len(rows) == len(whole)


@pytest.mark.parametrize(("kind", "least", "most"), [("clock_1970", 1970, 1970), ("clock_future", 2044, 2046)])
def test_clocks_that_are_decades_off(kind: str, least: int, most: int, struck):
    """Before 2000 or far in the future, and counted."""
    rows, _, truth = struck(kind)
    years = rows["Timestamp"].dt.year
    assert (years != 2025).sum() == truth["rows"].sum() > 0
    assert years[years != 2025].between(least, most).all()


@pytest.mark.parametrize("kind", ["exact_duplicate", "conflicting_duplicate"])
def test_copies_are_extra_rows(kind: str, struck):
    """As many as counted; exact ones say the same, conflicting ones never do."""
    rows, whole, truth = struck(kind)
    copies = rows[rows.duplicated(KEY, keep="first")]
    assert len(copies) == truth["rows"].sum() == len(rows) - len(whole) > 0
    same = rows.duplicated(keep="first").sum()
    assert same == (len(copies) if kind == "exact_duplicate" else 0)
    originals = rows.drop_duplicates(KEY, keep="first").reset_index(drop=True)
    pd.testing.assert_frame_equal(originals, whole)


@pytest.mark.parametrize("seed", [1, 4, 11])
def test_the_demo_has_every_fault(seed: int):
    """All of the list, in 300 devices x 30 days."""
    truth = SyntheticSource(PLANS["demo"].model_copy(update={"seed": seed})).truth()
    assert set(truth.faults.to_pandas()["kind"]) == set(FAULTS)


def test_switching_one_fault_off_leaves_the_others():
    """Each fault has a chance of its own."""
    with_all = PLANS["demo"].model_copy(update={"devices": 60})
    fewer = with_all.model_copy(update={"faults": {k: v for k, v in with_all.faults.items() if k != "sentinels"}})
    first, second = (SyntheticSource(plan).truth().faults.to_pandas() for plan in (with_all, fewer))
    pd.testing.assert_frame_equal(first[first["kind"] != "sentinels"].reset_index(drop=True), second)


def test_a_fault_strikes_about_its_share_of_devices(demo: SyntheticSource):
    """The plan's rate decides how many devices have it."""
    devices = demo.truth().faults.to_pandas().groupby("kind")["device"].nunique() / demo.plan.devices
    for kind in ("missing_block", "sentinels", "clock_skew", "exact_duplicate", "offline_buffer"):
        assert 0.4 < devices[kind] / demo.plan.faults[kind] < 1.8
