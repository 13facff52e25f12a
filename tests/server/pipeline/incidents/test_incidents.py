"""Incidents: what is planted comes back as one line with the right counts, and nothing else does."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.domain.anomaly import IncidentKind


def _shared(grouped):
    return [one for one in grouped.incidents if len(one.devices) > 1]


def test_an_update_that_hits_212_of_240_is_one_incident(plants):
    """The scope that separates best is chosen, with numerator, denominator and the share elsewhere."""
    planted = plants.mixed_fleet()
    for device in range(212):
        planted.trouble(device, 100 + device % 5, 30)
    for device in range(300, 311):
        planted.trouble(device, 100 + device % 7, 30)
    grouped = planted.grouped()
    (incident,) = _shared(grouped)
    assert incident.title == "TC57 on 13.4: 212 of 240 devices, 3 % elsewhere: TotalBatteryLevelDrop"
    assert incident.scope == {"ModelId": "TC57", "OsVersionId": "13.4"}
    assert (len(incident.devices), incident.devices_in_scope, incident.anomalies) == (212, 240, 212 * 30)
    assert incident.elsewhere_share == pytest.approx(11 / 360)
    assert not incident.rolling
    assert incident.chance < 1e-50
    assert sum(len(one.devices) == 1 for one in grouped.incidents) == 11


def test_an_update_wave_over_days_is_one_rolling_incident(plants):
    """Onsets eight days apart do not hide that the cohort is what the devices share."""
    planted = plants.mixed_fleet()
    for device in range(150):
        planted.trouble(device, 10 + device, 40)
    (incident,) = planted.grouped().incidents
    assert incident.rolling
    assert (len(incident.devices), incident.devices_in_scope) == (150, 240)


def test_a_store_storm_is_one_incident_of_that_store(plants):
    """All 16 devices of a store of mixed models start within hours, by different metrics of one signature."""
    planted = plants.mixed_fleet()
    struck = [device for device, store in enumerate(planted.stores) if store == "store-017"]
    for device in struck:
        metrics = (plants.OFFLINE, plants.DOWNLOAD) if device % 2 else (plants.DOWNLOAD, plants.OFFLINE)
        planted.trouble(device, 50 + device % 4, 8, metrics)
    (incident,) = planted.grouped().incidents
    assert incident.scope == {"store": "store-017"}
    assert len(incident.devices) == incident.devices_in_scope == len(struck) == 16
    assert set(incident.metrics) == {plants.OFFLINE, plants.DOWNLOAD}


def test_a_storm_that_calms_at_night_stays_one_incident(plants):
    """A second burst of the same devices a day later joins the first."""
    planted = plants.mixed_fleet()
    for device, store in enumerate(planted.stores):
        if store == "store-017":
            planted.trouble(device, 50, 8)
            planted.trouble(device, 78, 8)
    (incident,) = planted.grouped().incidents
    assert incident.anomalies == 16 * 16


def test_a_lone_device_is_an_incident_of_its_own(plants):
    """Its nightly returns are one incident, and its scope names the device."""
    planted = plants.mixed_fleet()
    for night in range(3):
        planted.trouble(7, 20 + 24 * night, 5)
    (incident,) = planted.grouped().incidents
    assert (incident.scope, incident.devices, incident.anomalies) == ({"device": "D-00007"}, ("D-00007",), 15)
    assert incident.title == "D-00007: 15 of 240 rows: TotalBatteryLevelDrop"


@pytest.mark.parametrize(("hours", "severity", "count"), [(1, 55.0, 0), (2, 55.0, 0), (3, 55.0, 1), (1, 71.0, 1)])
def test_a_mild_blip_is_no_incident(plants, hours, severity, count):
    """Three rows, or one of high severity, make an event."""
    planted = plants.mixed_fleet()
    planted.trouble(7, 20, hours, severity=severity)
    grouped = planted.grouped()
    assert len(grouped.incidents) == count
    assert (
        grouped.incident_of_row.to_pylist() == [one.id for one in grouped.incidents] * hours
        or grouped.incident_of_row.to_pylist() == [""] * hours
    )


def test_nothing_flagged_is_no_incident(plants):
    """An empty table gives nothing, not an error."""
    grouped = plants.mixed_fleet().grouped()
    assert grouped.incidents == ()
    assert len(grouped.incident_of_row) == 0


def test_chance_troubles_all_over_the_fleet_are_no_shared_incident(plants):
    """A third of the devices at random times, on no common ground."""
    planted = plants.mixed_fleet()
    rng = np.random.default_rng(3)
    for device in rng.permutation(600)[:200].tolist():
        planted.trouble(device, int(rng.integers(0, 230)), 5)
    assert _shared(planted.grouped()) == []


def test_trouble_of_most_devices_at_once_is_the_fleets(plants):
    """A patch night is one incident of the whole fleet, with an empty scope."""
    planted = plants.mixed_fleet()
    for device in range(0, 600, 1):
        if device % 5:
            planted.trouble(device, 60 + device % 3, 6, (plants.DOWNLOAD,))
    (incident,) = planted.grouped().incidents
    assert incident.scope == {}
    assert incident.title == "whole fleet: 480 of 600 devices: Download"


def test_a_change_of_unit_is_charged_to_the_telemetry(plants):
    """Values 1,024 times what is typical, on a model's firmware, are no fault of the devices."""
    planted = plants.mixed_fleet()
    for device in range(300, 400):
        planted.trouble(device, 80, 20, (plants.DOWNLOAD,), ratio=1024.0 * (0.9 + 0.002 * (device % 100)))
    (incident,) = planted.grouped().incidents
    assert incident.kind is IncidentKind.TELEMETRY
    assert "x 1,024, a change of unit" in incident.title


def test_a_site_that_falls_silent_is_charged_to_the_telemetry(plants):
    """No row is flagged, and yet it is seen."""
    planted = plants.mixed_fleet()
    silent = [device for device, store in enumerate(planted.stores) if store == "store-003"]
    planted.last = dict.fromkeys(silent, 150)
    (incident,) = planted.grouped().incidents
    assert incident.kind is IncidentKind.TELEMETRY
    assert incident.scope == {"store": "store-003"}
    assert incident.title.startswith("store-003: 16 of 16 devices silent since 2025-")
    assert incident.anomalies == 0


def test_ids_outlast_the_run_and_tell_troubles_apart(plants):
    """The same trouble has the same id; another onset has another."""
    ids = []
    for onset in (50, 50, 51):
        planted = plants.mixed_fleet()
        planted.trouble(7, onset)
        ids.append(planted.grouped().incidents[0].id)
    assert ids[0] == ids[1] != ids[2]


troubles = st.lists(
    st.tuples(st.integers(0, 59), st.integers(0, 200), st.integers(1, 9), st.sampled_from([55.0, 80.0]), st.integers(0, 2)),
    max_size=60,
    unique_by=lambda trouble: trouble[0],
)


def _small(plants, planned, storm):
    planted = plants.Planted()
    planted.add(20, ("Zebra", "TC57", "13.4"), ["store-1", "store-2", "store-3"])
    planted.add(20, ("Zebra", "TC57", "13.3"), ["store-1", "store-2", "store-3"])
    planted.add(20, ("Samsung", "S21", "14.0"), ["store-1", "store-2", "store-3"])
    names = (plants.BATTERY, plants.DOWNLOAD, plants.OFFLINE)
    for device, onset, hours, severity, metric in planned:
        planted.trouble(device, onset, hours, (names[metric],), severity=severity)
    if storm:
        struck = {trouble[0] for trouble in planned}
        for device in range(18):
            if device not in struck:
                planted.trouble(device, 100 + device % 3, 9)
    return planted


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(planned=troubles, storm=st.booleans())
def test_counts_are_those_of_the_rows(plants, planned, storm):
    """Each row is in at most one incident, and each incident's anomalies, devices and times are those of its rows."""
    planted = _small(plants, planned, storm)
    grouped = planted.grouped()
    members = planted.members()
    flagged = planted.flagged(members).append_column("incident", grouped.incident_of_row)
    known = {incident.id: incident for incident in grouped.incidents}
    assert len(known) == len(grouped.incidents)
    assert set(flagged.column("incident").to_pylist()) - {""} <= set(known)
    for incident in grouped.incidents:
        rows = flagged.filter(pa.array([name == incident.id for name in flagged.column("incident").to_pylist()]))
        assert rows.num_rows == incident.anomalies
        assert sorted({members.devices[code] for code in rows.column("device").to_pylist()}) == sorted(incident.devices)
        assert len(incident.devices) <= incident.devices_in_scope


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(planned=troubles, storm=st.booleans(), order=st.permutations([0, 1, 2]))
def test_the_order_of_cohort_codes_does_not_matter(plants, planned, storm, order):
    """Codes are names for cohorts, nothing else."""
    planted = _small(plants, planned, storm)
    first, second = planted.grouped(), planted.grouped(list(order))
    assert first.incidents == second.incidents
    assert first.incident_of_row.equals(second.incident_of_row)
