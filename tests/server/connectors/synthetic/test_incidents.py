"""Incidents: present, told by the truth, and visible in the numbers."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from server.connectors.synthetic import PLANS, FleetPlan, SyntheticSource, Tier
from server.connectors.synthetic.catalogue import METRIC_NAMES, PLACE_OF
from server.connectors.synthetic.episodes import Course
from server.connectors.synthetic.incidents import INCIDENTS

KEY = ["DeviceId", "Timestamp"]
Rows = Callable[[FleetPlan], pd.DataFrame]


def compared(plan: FleetPlan, rows_of: Rows) -> pd.DataFrame:
    """Rows of the affected devices while affected, with the same rows of the same fleet without incidents (suffix _healthy)."""
    truth = SyntheticSource(plan).truth()
    both = rows_of(plan).merge(rows_of(plan.model_copy(update={"incidents": ()})), on=KEY, suffixes=("", "_healthy"))
    affected = truth.affected.to_pandas().merge(
        truth.incidents.to_pandas()[["id", "type"]], left_on="incident_id", right_on="id"
    )
    both = both.merge(affected, left_on="DeviceId", right_on="device")
    return both[(both["Timestamp"] >= both["onset"]) & (both["Timestamp"] < both["end"])]


@pytest.fixture(scope="module")
def easy(plan_with, rows_of) -> pd.DataFrame:
    return compared(plan_with(devices=300, tiers=(Tier.EASY,), incidents=tuple(INCIDENTS)), rows_of)


@pytest.mark.parametrize("kind", list(INCIDENTS))
def test_an_incident_moves_its_first_metric(kind: str, easy: pd.DataFrame):
    """The first-named cause is what moved, the way that it harms, by more than the metric's usual spread."""
    struck = easy[easy["type"] == kind]
    metric = INCIDENTS[kind].metrics[0]
    course = Course(np.arange(24, dtype=np.float32), np.zeros(24, dtype=np.float32), 5.0)
    direction = np.sign(np.mean(INCIDENTS[kind].effect(course).shift[metric]))
    moved = struck[metric] - struck[f"{metric}_healthy"]
    assert len(struck)
    assert (direction * moved >= 0).all()
    spread = easy.groupby("DeviceId")[f"{metric}_healthy"].std().reindex(struck["DeviceId"]).to_numpy()
    night_only = struck["TotalBatteryLevelDrop_healthy"] < 1.2 if kind == "dock_fault" else slice(None)
    assert (np.abs(moved) / spread)[night_only].mean() > 0.3


@pytest.mark.parametrize("kind", list(INCIDENTS))
def test_the_metrics_it_names_are_those_it_moves(kind: str):
    """No metric is named that stays, none moves unnamed, and the first named moves at full strength."""
    course = Course(np.arange(48, dtype=np.float32), np.linspace(0, 1, 48, dtype=np.float32), 5.0)
    shift = INCIDENTS[kind].effect(course).shift
    assert set(shift) == set(INCIDENTS[kind].metrics)
    peaks = {name: float(np.max(np.abs(moved))) for name, moved in shift.items()}
    assert peaks[INCIDENTS[kind].metrics[0]] >= 5 * 0.95


def test_nothing_moves_outside_incidents(plan_with, rows_of):
    """Rows that no incident touches equal those of the fleet without incidents; only late floods and silences differ."""
    plan = plan_with(devices=120, days=14, tiers=tuple(Tier), incidents=tuple(INCIDENTS))
    both = rows_of(plan).merge(rows_of(plan.model_copy(update={"incidents": ()})), on=KEY, suffixes=("", "_healthy"))
    differs = np.zeros(len(both), dtype=bool)
    for metric in METRIC_NAMES:
        differs |= (both[metric] != both[f"{metric}_healthy"]).to_numpy()
    inside = np.zeros(len(both), dtype=bool)
    for one in SyntheticSource(plan).truth().affected.to_pandas().itertuples():
        inside |= (
            (both["DeviceId"] == one.device) & (both["Timestamp"] >= one.onset) & (both["Timestamp"] < one.end)
        ).to_numpy()
    assert inside.any()
    assert not (differs & ~inside).any()


def test_harder_tiers_move_less(plan_with, rows_of):
    """Five sigma, three and a half, two: the same incidents, drawn the same, weaker each time."""
    sizes = []
    for tier in Tier:
        struck = compared(plan_with(devices=300, tiers=(tier,), incidents=("offline_storm",)), rows_of)
        sizes.append((struck["OfflineTime"] - struck["OfflineTime_healthy"]).mean())
        assert (struck["severity"] / {"easy": 5, "medium": 3.5, "hard": 2}[tier.value]).between(0.9, 1.2).all()
    assert sizes[0] > 1.2 * sizes[1] > 1.2 * 1.2 * sizes[2] > 0


def test_hard_incidents_are_weak_slow_or_only_in_company():
    """All three manifests occur among hard incidents, and only there."""
    incidents = SyntheticSource(PLANS["hard"].model_copy(update={"devices": 1200})).truth().incidents.to_pandas()
    assert set(incidents["manifest"]) == {"step", "slow", "multivariate"}
    easy = SyntheticSource(PLANS["easy"].model_copy(update={"devices": 1200})).truth().incidents.to_pandas()
    assert set(easy["manifest"]) == {"step"}


def test_a_broken_correlation_shows_in_no_single_metric(plan_with, rows_of):
    """Hard, multivariate only: the metric's mean stays within .35 of its spread while its company turns against it."""
    plan = plan_with(devices=1200, days=21, tiers=(Tier.HARD,), incidents=("data_spike", "wifi_roam_storm"))
    struck = compared(plan, rows_of)
    incidents = SyntheticSource(plan).truth().incidents.to_pandas()
    turned = incidents[(incidents["manifest"] == "multivariate") & (incidents["type"] == "wifi_roam_storm")]["id"]
    struck = struck[struck["incident_id"].isin(turned)]
    assert len(struck) > 300
    metric, company = "DisconnectCount", "OfflineTime"
    moved = (struck[metric] - struck[f"{metric}_healthy"]).mean()
    assert abs(moved) < 0.35 * struck[f"{metric}_healthy"].std()
    hours = struck["Timestamp"].dt.hour
    parts = [struck["incident_id"], hours]

    def together(suffix: str) -> float:
        rest = [struck[name + suffix] - struck.groupby(parts)[name + suffix].transform("mean") for name in (metric, company)]
        return float(rest[0].corr(rest[1], method="spearman"))

    assert together("_healthy") > 0.2
    assert together("") < 0.0


def test_battery_drain_begins_at_each_devices_own_update(demo: SyntheticSource):
    """Onsets are the devices' update times, spread over the waves."""
    affected = demo.truth().affected.to_pandas()
    drained = affected[affected["incident_id"].str.startswith("battery_drain")].set_index("device")["onset"]
    updates = {change.scope["DeviceId"]: change.time for change in demo.changes() if change.kind == "os_update"}
    assert drained.nunique() > 5
    assert all(updates[device] == onset for device, onset in drained.items())


def test_an_offline_storm_is_followed_by_a_flood_of_late_rows(plan_with, rows_of):
    """Rows of the storm all arrive after its end, within minutes of each other."""
    plan = plan_with(devices=150, tiers=(Tier.EASY,), incidents=("offline_storm",))
    storm = compared(plan, rows_of)
    assert storm["StoreId"].nunique() == 1
    assert (storm["ArrivalTime"] >= storm["end"]).all()
    assert (storm["ArrivalTime"] - storm["end"]).max() < pd.Timedelta(minutes=15)


def test_a_lost_device_falls_silent(plan_with, rows_of):
    """No row after the incident's end."""
    plan = plan_with(devices=120, tiers=(Tier.EASY,), incidents=("lost_device",))
    lost = SyntheticSource(plan).truth().affected.to_pandas()
    last = rows_of(plan).groupby("DeviceId")["Timestamp"].max()
    assert len(lost)
    assert all(last[one.device] == one.end - plan.interval for one in lost.itertuples())


@pytest.mark.parametrize("seed", [1, 4, 11])
def test_the_demo_has_every_incident_on_a_few_device_days(seed: int):
    """Every type of the catalogue is in 300 devices x 30 days, on 1 to 5 in a hundred device-days, in all tiers."""
    plan = PLANS["demo"].model_copy(update={"seed": seed})
    truth = SyntheticSource(plan).truth()
    incidents, affected = truth.incidents.to_pandas(), truth.affected.to_pandas()
    assert set(incidents["type"]) == set(INCIDENTS)
    assert set(incidents["tier"]) == {"easy", "medium", "hard"}
    touched = (affected["end"] - affected["onset"]).sum() / pd.Timedelta(days=1)
    assert 0.01 < touched / (plan.devices * plan.days) < 0.05


def test_incidents_and_affected_agree(demo: SyntheticSource):
    """Each incident spans its devices' times and counts them; ids are unique."""
    truth = demo.truth()
    incidents, affected = truth.incidents.to_pandas().set_index("id"), truth.affected.to_pandas()
    spans = affected.groupby("incident_id").agg(start=("onset", "min"), end=("end", "max"), devices=("device", "nunique"))
    assert incidents.index.is_unique
    pd.testing.assert_frame_equal(
        incidents[["start", "end", "devices"]].sort_index(), spans.sort_index(), check_names=False, check_dtype=False
    )


def test_the_null_fleet_has_no_incident():
    """Nor anything else in its truth."""
    truth = SyntheticSource(PLANS["null"]).truth()
    assert [table.num_rows for table in truth.tables().values()] == [0, 0, 0, 0]


def test_every_metric_is_struck_by_some_incident():
    """No metric of the catalogue is without a case."""
    assert {name for kind in INCIDENTS.values() for name in kind.metrics} == set(PLACE_OF)


def test_nothing_happens_to_a_device_that_is_lost():
    """No incident strikes it and no update reaches it once it is silent: truth tells of nothing that has no rows."""
    source = SyntheticSource(PLANS["demo"].model_copy(update={"devices": 2400, "faults": {}}))
    affected = source.truth().affected.to_pandas()
    lost = affected[affected["incident_id"].str.startswith("lost_device")].set_index("device")["end"]
    of_lost = affected[affected["device"].isin(lost.index)]
    assert len(of_lost) > len(lost) > 10
    assert (of_lost["end"] <= of_lost["device"].map(lost)).all()
    updates = [change for change in source.changes() if change.kind == "os_update" and change.scope["DeviceId"] in lost.index]
    assert updates
    assert all(change.time < lost[change.scope["DeviceId"]] for change in updates)


def test_a_small_fleet_has_incidents_too():
    """Three stores hold every kind that strikes single devices."""
    types = SyntheticSource(PLANS["demo"].model_copy(update={"devices": 45})).truth().incidents.to_pandas()["type"]
    assert {name for name, kind in INCIDENTS.items() if kind.scope.value == "device"} <= set(types)
