"""What changed: exposure told from the change log and the rows, compared exactly, and no word of cause on few devices."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import hypergeom

from server.domain.telemetry import Change, Members, Snapshot
from server.errors import InvalidInput, NotFound
from server.services.reading.changes import Trouble, what_changed
from server.services.reading.exposed import NEVER, exposed_since, rollouts
from server.services.reading.shelf import Shown
from server.storage.moments import microseconds

START = datetime(2025, 3, 1, tzinfo=UTC)
HOURS = 48


def fleet_of(desk, moved: int, devices: int = 40) -> Shown:
    """Devices in two stores with hourly rows, of which the first few move from OS 1 to OS 2 at hour 10."""
    device = np.repeat(np.arange(devices, dtype=np.int32), HOURS)
    hour = np.tile(np.arange(HOURS), devices)
    cohort = ((device < moved) & (hour >= 10)).astype(np.int32)
    names = tuple(f"d{n:02}" for n in range(devices))
    return Shown(
        run=desk.run,
        snapshot=Snapshot(
            fleet=desk.run.fleet, sequence=1, digest="", rows=len(device), devices=devices, metrics=(),
            cohort_columns=("ModelId", "OsVersionId"), interval=timedelta(hours=1),
        ),
        members=Members(names, (("TC57", "1"), ("TC57", "2")), ("s0", "s1"), (), (HOURS,) * devices),
        device=device, cohort=cohort, store=device % 2, customer=np.full(len(device), -1, np.int32),
        time=np.array([microseconds(START + timedelta(hours=int(h))) for h in hour]),
        score=np.zeros(len(device)), severity=np.zeros(len(device)), flagged=np.zeros(len(device), bool),
        top_metric=pa.array([], pa.string()),
    )  # fmt: skip


def trouble_of(desk, shown: Shown, affected: dict[int, int]) -> Trouble:
    """Those devices are affected from those hours on."""
    since = np.full(len(shown.members.devices), NEVER)
    for device, hour in affected.items():
        since[device] = microseconds(START + timedelta(hours=hour))
    onset = START + timedelta(hours=min(affected.values(), default=0))
    return Trouble(desk.run, shown, since, onset, START, START + timedelta(hours=HOURS))


def with_log(desk, log: list[Change]):
    """The desk's sources with a change log of the test's own."""

    class Telemetry:
        def changes(self, _, *, start, end):
            return [change for change in log if start <= change.time <= end]

        def extent(self, _):
            return START, START + timedelta(hours=HOURS)

    return type(desk.sources)(
        **{name: getattr(desk.sources, name) for name in desk.sources.__slots__} | {"telemetry": Telemetry()}
    )


UPDATE = Change(time=START + timedelta(hours=9), kind="os", description="OS 2", scope={"OsVersionId": "2"})
PATCH = Change(time=START + timedelta(hours=5), kind="patch", description="patch", scope={"StoreId": "s1"})
EVERYWHERE = Change(time=START + timedelta(hours=2), kind="app", description="everywhere")


def test_the_change_that_the_affected_have_comes_first_with_its_four_numbers(desk) -> None:
    """15 of 20 updated devices are affected after the update and 1 of 20 others; the chance is the hypergeometric tail."""
    shown = fleet_of(desk, moved=20)
    affected = dict.fromkeys(range(15), 15) | {30: 20}
    found = what_changed(with_log(desk, [EVERYWHERE, PATCH, UPDATE]), trouble_of(desk, shown, affected), limit=10)
    first = found.changes[0]
    assert first.change == UPDATE
    assert (first.exposed.count, first.exposed.of) == (15, 20)
    assert (first.unexposed.count, first.unexposed.of) == (1, 20)
    assert first.difference == pytest.approx(15 / 20 - 1 / 20)
    assert first.chance == pytest.approx(hypergeom.sf(14, 40, 16, 20))
    assert first.hours_before_onset == 6
    assert first.enough
    assert "15 of 20" in first.words
    assert "does not prove" in first.words
    assert "OS 2" in found.summary
    last = found.changes[-1]
    assert (last.change, last.chance, last.difference) == (EVERYWHERE, None, None)
    assert found.affected == 16


def test_a_device_affected_before_it_was_updated_counts_as_not_updated(desk) -> None:
    """The update at hour 10 cannot explain what was there at hour 3."""
    shown = fleet_of(desk, moved=20)
    found = what_changed(with_log(desk, [UPDATE]), trouble_of(desk, shown, dict.fromkeys(range(15), 3)), limit=10)
    (only,) = found.changes
    assert (only.exposed.count, only.exposed.of) == (0, 5)
    assert (only.unexposed.count, only.unexposed.of) == (15, 35)
    assert only.hours_before_onset < 0


def test_fewer_than_ten_devices_conclude_nothing(desk) -> None:
    """9 of 9 against 0 of 31 is left without a conclusion, however unlikely it is by chance."""
    shown = fleet_of(desk, moved=9)
    found = what_changed(with_log(desk, [UPDATE]), trouble_of(desk, shown, dict.fromkeys(range(9), 15)), limit=10)
    (only,) = found.changes
    assert (only.exposed.count, only.exposed.of, only.enough) == (9, 9, False)
    assert "nothing is concluded" in only.words
    assert "none of them sets the affected devices apart" in found.summary


def test_rows_of_the_log_for_single_devices_are_one_rollout(desk) -> None:
    """Each device is exposed from its own row's time on, whatever the cohort columns say."""
    log = [
        Change(time=START + timedelta(hours=n), kind="os_update", description=f"d{n:02}", scope={"DeviceId": f"d{n:02}"})
        for n in range(12)
    ]
    (rollout,) = rollouts(log)
    since = exposed_since(fleet_of(desk, moved=0), rollout)
    assert since is not None
    assert since[:12].tolist() == [microseconds(change.time) for change in log]
    assert set(since[12:].tolist()) == {NEVER}


def test_a_store_has_a_change_from_its_time_on(desk) -> None:
    """Not from the store's first row on."""
    (rollout,) = rollouts([PATCH])
    since = exposed_since(fleet_of(desk, moved=0), rollout)
    assert since is not None
    assert set(since[1::2].tolist()) == {microseconds(PATCH.time)}
    assert set(since[::2].tolist()) == {NEVER}


def test_no_recorded_change_is_said_in_so_many_words(desk) -> None:
    """An empty log is an answer too."""
    found = what_changed(with_log(desk, []), trouble_of(desk, fleet_of(desk, 5), {0: 4}), limit=10)
    assert found.changes == ()
    assert found.summary.startswith("No recorded change between")


def test_a_scope_that_telemetry_does_not_name_is_not_compared(desk) -> None:
    """It is listed, without numbers, and says why."""
    unknown = Change(time=START, kind="k", description="x", scope={"Firmware": "7"})
    (only,) = what_changed(with_log(desk, [unknown]), trouble_of(desk, fleet_of(desk, 5), {0: 4}), limit=10).changes
    assert (only.exposed.of, only.unexposed.of, only.chance) == (0, 0, None)
    assert "not known" in only.words


def test_changes_of_the_walked_fleet_are_those_of_its_log(desk, who) -> None:
    """Every row of the log in the span is in exactly one rollout, and devices add up to those present."""
    found = desk.questions.what_changed(who, limit=500)
    log = desk.app.telemetry.changes(desk.run.fleet, start=found.window.first, end=found.window.last)
    assert found.total == len(found.changes) == len(rollouts(log))
    assert sum(len(each.changes) for each in rollouts(log)) == len(log)
    present = desk.scores["device"].nunique()
    assert {each.exposed.of + each.unexposed.of for each in found.changes} == {present}


def test_devices_at_risk_are_exposed_and_not_affected(desk, who) -> None:
    """Of a change's devices, those without an anomaly since they have it; together with the affected ones, all of them."""
    changes = desk.questions.what_changed(who, limit=500).changes
    change = max((each for each in changes if "DeviceId" in each.change.scope), key=lambda each: each.exposed.of)
    found = desk.questions.list_at_risk_devices(who, change=change.id)
    assert found.total == found.exposed.of - found.exposed.count
    flagged = desk.scores[desk.scores["is_anomaly"]]
    for device in found.devices:
        later = flagged[(flagged["device"] == device.device) & (flagged["time"] >= device.exposed_since)]
        assert later.empty
    incident = desk.app.records.incidents("default", run_id=desk.run.id, limit=1)[0][0]
    in_scope = desk.questions.list_at_risk_devices(who, incident=incident.id)
    assert not {each.device for each in in_scope.devices} & set(incident.devices)
    with pytest.raises(InvalidInput, match="name an incident or a change"):
        desk.questions.list_at_risk_devices(who)
    with pytest.raises(NotFound, match="what_changed"):
        desk.questions.list_at_risk_devices(who, change="c-none")
