"""Benign look-alikes: each is there, in the truth and in the numbers, and is no incident."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from server.connectors.synthetic import PLANS, SyntheticSource
from server.connectors.synthetic.look_alikes import LOOK_ALIKES

KEY = ["DeviceId", "Timestamp"]
SCOPE_COLUMN = {"DeviceId": "DeviceId", "StoreId": "StoreId", "ModelId": "ModelId"}
# Mean of the metric in the look-alike's rows, relative to the same rows without it.
EXPECTED = [
    ("stock_take", "TotalBatteryLevelDrop", 1.2, 3.0),
    ("stock_take", "Download", 1.5, 20.0),
    ("stock_take", "DisconnectCount", 1.2, 4.0),
    ("new_app_drain", "TotalBatteryLevelDrop", 1.08, 1.12),
    ("night_shift", "TotalBatteryLevelDrop", 1.1, 3.0),
    ("docked_kiosks", "TotalBatteryLevelDrop", 0.0, 0.1),
    ("cold_store", "TotalBatteryLevelDrop", 1.3, 1.4),
    ("patch_day", "Download", 4.0, 40.0),
    ("inventory_scan", "Upload", 3.0, 20.0),
    ("new_device_first_days", "Download", 1.5, 20.0),
]


def within(rows: pd.DataFrame, source: SyntheticSource) -> pd.DataFrame:
    """The rows that the truth's look-alikes cover."""
    parts = []
    for one in source.truth().look_alikes.to_pandas().itertuples():
        column, _, value = str(one.scope).partition("=")
        named = rows[rows[column] == value] if column in SCOPE_COLUMN else rows
        parts.append(named[(named["Timestamp"] >= one.start) & (named["Timestamp"] < one.end)])
    return pd.concat(parts)


@pytest.mark.parametrize(("kind", "metric", "least", "most"), EXPECTED)
def test_a_look_alike_is_visible_in_its_rows(kind: str, metric: str, least: float, most: float, plan_with, rows_of):
    """Its metric moves as it should, against the same fleet without it."""
    plan = plan_with(devices=300, look_alikes=(kind,))
    struck = within(rows_of(plan), SyntheticSource(plan))
    plain = rows_of(plan_with(devices=300)).set_index(KEY)[metric]
    usual = plain.loc[pd.MultiIndex.from_frame(struck[KEY])]
    assert len(struck)
    assert least <= struck[metric].mean() / usual.mean() <= most


def test_the_refresh_shifts_the_cohort_mix(plan_with, rows_of):
    """Old devices leave the store on the day on which new ones enrol."""
    plan = plan_with(devices=300, look_alikes=("cohort_mix_refresh",))
    refresh = SyntheticSource(plan).truth().look_alikes.to_pandas().iloc[0]
    rows = rows_of(plan)
    store = rows[rows["StoreId"] == refresh["scope"].partition("=")[2]]
    before, after = store[store["Timestamp"] < refresh["start"]], store[store["Timestamp"] >= refresh["start"]]
    assert before.groupby("ModelId")["DeviceId"].nunique()["MC33"] >= 4
    assert after.groupby("ModelId")["DeviceId"].nunique().get("XCover6", 0) >= 4
    assert (after["DeviceId"][after["ModelId"] == "MC33"].nunique()) <= (
        before["DeviceId"][before["ModelId"] == "MC33"].nunique() - 4
    )


def test_clocks_change_and_shifts_with_them(plan_with, rows_of):
    """From the change on, a store is busy an hour earlier in UTC; before it nothing differs."""
    plan = plan_with(devices=300, look_alikes=("daylight_saving",))
    truth = SyntheticSource(plan).truth().look_alikes.to_pandas().set_index("scope")
    assert truth.loc["zone=America-New_York", "start"] == datetime(2025, 3, 9, 7, tzinfo=UTC)
    assert truth.loc["zone=Europe-Berlin", "start"] == datetime(2025, 3, 30, 1, tzinfo=UTC)
    both = rows_of(plan).merge(rows_of(plan_with(devices=300)), on=KEY, suffixes=("", "_plain"))
    moved = both[both["TotalBatteryLevelDrop"] != both["TotalBatteryLevelDrop_plain"]]
    assert moved["Timestamp"].min() >= truth["start"].min()
    assert moved["Timestamp"].max() > truth["start"].max()


def test_inventory_scans_are_on_sundays_at_two(plan_with):
    """Local time, whatever the zone."""
    plan = plan_with(devices=45, look_alikes=("inventory_scan",))
    scans = SyntheticSource(plan).truth().look_alikes.to_pandas()
    assert len(scans) >= 3
    assert set(scans["start"].dt.day_of_week) == {6}
    assert set(scans["start"].dt.hour) <= {1, 2, 7}


@pytest.mark.parametrize("seed", [1, 4, 11])
def test_the_demo_has_every_look_alike(seed: int):
    """All of the list, in 300 devices x 30 days."""
    truth = SyntheticSource(PLANS["demo"].model_copy(update={"seed": seed})).truth()
    assert set(truth.look_alikes.to_pandas()["type"]) == set(LOOK_ALIKES)


def test_a_device_row_names_its_device(demo: SyntheticSource):
    """Look-alikes of one device say which; those of a store, a model or the fleet say the scope."""
    rows = demo.truth().look_alikes.to_pandas()
    single = rows["type"].isin(["docked_kiosks", "new_device_first_days"])
    assert (rows["device"].notna() == single).all()
    assert rows["id"].is_unique
