"""A device through time and beside its peers: every number recomputed from the source's own rows."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from server.errors import InvalidInput, NotEnoughData, NotFound


@pytest.fixture(scope="module")
def readings(desk) -> pd.DataFrame:
    """All rows of the fleet as the telemetry store gives them, with names."""
    snapshot = desk.sources.stages.snapshot(desk.run)
    members = desk.sources.stages.members(desk.run)
    frame = pd.concat([block.to_pandas() for block in desk.app.telemetry.blocks(snapshot, rows=10**9)])
    frame["device"] = [members.devices[code] for code in frame["device"]]
    frame["cohort"] = [" / ".join(members.cohorts[code]) for code in frame["cohort"]]
    frame["time"] = pd.to_datetime(frame["time"], unit="us", utc=True)
    return frame


@pytest.fixture(scope="module")
def device(desk) -> str:
    """The device of most anomalies that has peers."""
    rows = desk.scores.assign(cohort=desk.scores["cohort"].map(str))
    crowded = rows.groupby("cohort")["device"].nunique()
    flagged = rows[rows["is_anomaly"] & rows["cohort"].isin(crowded[crowded > 4].index)]
    return str(flagged["device"].value_counts().index[0])


def test_peers_medians_rank_and_rates_are_those_of_the_rows(desk, who, readings, device) -> None:
    """Each device counts once with its median in the cohort; rates are rows over rows."""
    since = datetime(2025, 3, 12, tzinfo=UTC)
    found = desk.questions.compare_device_with_peers(who, device, metric="Download", since=since)
    rows = readings[(readings["time"] >= since) & (readings["cohort"] == found.cohort)]
    medians = rows.groupby("device")["Download"].median().dropna()
    (metric,) = found.metrics
    assert metric.devices == len(medians) > 4
    assert metric.device_median == medians[device]
    assert metric.cohort_median == pytest.approx(medians.median())
    assert (metric.cohort_q1, metric.cohort_q3) == pytest.approx(tuple(medians.quantile([0.25, 0.75])))
    assert metric.rank == 1 + int((medians > medians[device]).sum())
    scored = desk.scores[desk.scores["time"] >= since]
    cohort = scored["cohort"].map(" / ".join) == found.cohort
    peers = scored[cohort & (scored["device"] != device)]
    assert (found.contrast.inside.count, found.contrast.inside.of) == (peers["is_anomaly"].sum(), len(peers))
    rest = scored[~cohort]
    assert (found.contrast.outside.count, found.contrast.outside.of) == (rest["is_anomaly"].sum(), len(rest))
    own = scored[scored["device"] == device]
    assert (found.device_rate.count, found.device_rate.of) == (own["is_anomaly"].sum(), len(own))


def test_all_metrics_are_compared_unless_one_is_named(desk, who, device) -> None:
    """As many as the fleet has, each once."""
    found = desk.questions.compare_device_with_peers(who, device)
    assert sorted(each.metric for each in found.metrics) == [each.name for each in desk.app.records.metrics(desk.run.fleet)]


def test_a_timeline_has_every_value_once(desk, who, readings, device) -> None:
    """One point an interval where they fit: values, peers' quartiles and anomalies at their times, gaps where none are."""
    since, until = datetime(2025, 3, 10, tzinfo=UTC), datetime(2025, 3, 13, tzinfo=UTC)
    found = desk.questions.get_device_timeline(who, device, "OfflineTime", since=since, until=until)
    own = readings[(readings["device"] == device) & readings["time"].between(since, until)].set_index("time")["OfflineTime"]
    assert found.rows == len(own)
    assert found.values == own.notna().sum()
    assert found.step == timedelta(hours=1)
    assert not found.truncated
    by_hour = own.groupby(own.index.floor("h")).mean()
    for point in found.points:
        expected = by_hour.get(pd.Timestamp(point.time), np.nan)
        assert point.value == (None if np.isnan(expected) else pytest.approx(expected))
    flagged = desk.scores[desk.scores["is_anomaly"] & (desk.scores["device"] == device)]
    flagged = flagged[flagged["time"].between(since, until)]
    assert found.anomalies == len(flagged) == sum(len(point.anomalies) for point in found.points)
    assert {pd.Timestamp(point.time) for point in found.points if point.anomalies} == set(flagged["time"].dt.floor("h"))


def test_a_timelines_peers_are_the_cohorts_other_devices(desk, who, readings, device) -> None:
    """Quartiles of one step from the rows themselves, without the device."""
    until = datetime(2025, 3, 13, tzinfo=UTC)
    found = desk.questions.get_device_timeline(who, device, "OfflineTime", since=until - timedelta(hours=20), until=until)
    point = found.points[10]
    cohort = desk.questions.compare_device_with_peers(who, device, until=until).cohort
    rows = readings[(readings["cohort"] == cohort) & (readings["device"] != device)]
    rows = rows[rows["time"].dt.floor("h") == point.time]
    expected = rows.groupby("device")["OfflineTime"].mean().quantile([0.25, 0.5, 0.75])
    assert (point.peers_low, point.peers_centre, point.peers_high) == pytest.approx(tuple(expected))


def test_the_band_is_what_anomalies_were_held_against(desk, who) -> None:
    """Where the metric's mean is most at fault at the device's level, the band's centre is the typical value given there."""
    page = desk.questions.list_anomalies(who, limit=500)
    held = [card for card in page.anomalies if card.feature.endswith("_mean") and card.level == "device"]
    assert held
    for card in held[:3]:
        hour = timedelta(hours=1)
        found = desk.questions.get_device_timeline(
            who, card.device, card.metric, since=card.time - hour, until=card.time + hour, points=50
        )
        (point,) = [each for each in found.points if card.id in each.anomalies]
        assert point.centre == pytest.approx(card.typical, rel=1e-6)
        assert point.mean == pytest.approx(card.value, rel=1e-6)
        assert point.low <= point.centre <= point.high
        # in logarithms where the metric is, three scales on each side of the centre
        logged = card.metric in ("Download", "Upload")
        low, centre, mean = (np.log1p(x) if logged else x for x in (point.low, point.centre, point.mean))
        high = np.log1p(point.high) if logged else point.high
        side = (high - centre) if mean > centre else (centre - low)
        assert 3 * (mean - centre) / side == pytest.approx(card.z, rel=0.02) or point.low == 0


def test_fewer_points_stand_for_several_rows_and_say_so(desk, who, device) -> None:
    """Never more points than were asked for."""
    for points in (2, 7, 50):
        found = desk.questions.get_device_timeline(who, device, "Download", points=points)
        assert len(found.points) <= points
        assert found.truncated


def test_devices_metrics_and_times_that_are_not_there_are_refused(desk, who, device) -> None:
    """Each refusal says what is known instead."""
    with pytest.raises(NotFound, match="D-1024"):
        desk.questions.get_device_timeline(who, "D1024", "Download")
    with pytest.raises(NotFound, match="Download"):
        desk.questions.compare_device_with_peers(who, device, metric="Downlod")
    with pytest.raises(NotEnoughData, match="rows reach to"):
        desk.questions.get_device_timeline(who, device, "Download", since=datetime(2030, 1, 1, tzinfo=UTC))
    with pytest.raises(InvalidInput, match="points"):
        desk.questions.get_device_timeline(who, device, "Download", points=1)
    with pytest.raises(InvalidInput, match="is after until"):
        desk.questions.compare_device_with_peers(
            who, device, since=datetime(2025, 3, 9, tzinfo=UTC), until=datetime(2025, 3, 8, tzinfo=UTC)
        )
