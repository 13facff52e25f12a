"""The change log: what was rolled out where and when."""

from collections import Counter

from server.connectors.synthetic import PLANS, SyntheticSource


def test_each_update_in_the_log_is_a_cohort_change_in_the_rows(rows_of):
    """Time, device, before and after agree with the rows, and no device changes its OS unrecorded."""
    plan = PLANS["demo"].model_copy(update={"devices": 200, "faults": {}})
    rows = rows_of(plan)
    versions = rows["OsVersionId"]
    previous = rows.groupby("DeviceId")["OsVersionId"].shift()
    changed = rows[previous.notna() & (versions != previous)]
    seen = {
        (device, time, before, after)
        for device, time, before, after in zip(
            changed["DeviceId"], changed["Timestamp"], previous[changed.index], changed["OsVersionId"], strict=True
        )
    }
    log = [change for change in SyntheticSource(plan).changes() if change.kind == "os_update"]
    assert seen == {(change.scope["DeviceId"], change.time, change.before, change.after) for change in log}
    assert len(seen) > 80


def test_updates_come_in_waves(demo: SyntheticSource):
    """A model's stores are offered its version at three times, and devices follow within two days."""
    changes = list(demo.changes())
    offered = {change.time for change in changes if change.kind == "os_rollout" and change.scope["ModelId"] == "TC57"}
    assert len(offered) == 3
    for update in (change for change in changes if change.kind == "os_update" and change.scope["ModelId"] == "TC57"):
        assert any(0 <= (update.time - time).total_seconds() <= 48 * 3600 for time in offered)


def test_the_log_is_in_order_and_tells_of_each_thing_once(demo: SyntheticSource):
    """Oldest first; every kind of change that was announced is there."""
    changes = list(demo.changes())
    assert changes == list(demo.changes())
    assert [change.time for change in changes] == sorted(change.time for change in changes)
    kinds = Counter(change.kind for change in changes)
    assert set(kinds) == {"os_update", "os_rollout", "app_release", "operation", "device_refresh", "security_patch"}
    assert kinds["security_patch"] == 1


def test_a_new_app_on_one_model_is_told_with_its_versions(demo: SyntheticSource):
    """What raises the drain for good has a row to be found by."""
    start = {row["type"]: row["start"] for row in demo.truth().look_alikes.to_pylist()}["new_app_drain"]
    release = next(change for change in demo.changes() if change.kind == "app_release" and "ModelId" in change.scope)
    assert release.scope == {"ModelId": "S21"}
    assert (release.time, release.before, release.after) == (start, "scan 2.9", "scan 3.0")
