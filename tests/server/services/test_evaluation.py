"""Evaluation: planted scores and truth with figures worked out by hand."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.domain.anomaly import Incident, IncidentKind
from server.domain.telemetry import Fleet
from server.services.evaluation import evaluate

START = datetime(2025, 3, 3, tzinfo=UTC)
HOURS = 240
DEVICES = tuple(f"D-{i}" for i in range(10))


def _at(hour: int) -> datetime:
    return START + timedelta(hours=hour)


@dataclass(frozen=True)
class FakeTruth:
    incidents: pa.Table
    affected: pa.Table
    look_alikes: pa.Table


def _truth(spells=(), look_alikes=()) -> FakeTruth:
    """Spells are (incident, device, onset, end); look-alikes (type, device, scope, start, end). Types are incident names."""
    moment = pa.timestamp("us", tz="UTC")
    names = list(dict.fromkeys(spell[0] for spell in spells))
    incidents = [
        {"id": name, "type": name.split("/")[0], "tier": "easy", "metrics": ["drain", "upload"]}
        | {"start": _at(min(s[2] for s in spells if s[0] == name)), "end": _at(max(s[3] for s in spells if s[0] == name))}
        for name in names
    ]
    incident = [("id", pa.string()), ("type", pa.string()), ("tier", pa.string()), ("metrics", pa.list_(pa.string()))]
    times = [("start", moment), ("end", moment)]
    affected = [{"incident_id": s[0], "device": s[1], "onset": _at(s[2]), "end": _at(s[3])} for s in spells]
    benign = [{"type": a[0], "device": a[1], "scope": a[2], "start": _at(a[3]), "end": _at(a[4])} for a in look_alikes]
    return FakeTruth(
        pa.Table.from_pylist(incidents, schema=pa.schema(incident + times)),
        pa.Table.from_pylist(
            affected,
            schema=pa.schema([("incident_id", pa.string()), ("device", pa.string()), ("onset", moment), ("end", moment)]),
        ),
        pa.Table.from_pylist(
            benign, schema=pa.schema([("type", pa.string()), ("device", pa.string()), ("scope", pa.string()), *times])
        ),
    )


def _scores(flagged: dict[tuple[str, int], str]) -> pa.Table:
    """Every device every hour; flagged ones with their top metric."""
    rows = [(device, hour) for device in DEVICES for hour in range(HOURS)]
    return pa.table(
        {
            "device": [device for device, _ in rows],
            "time": pa.array([_at(hour) for _, hour in rows], pa.timestamp("us", tz="UTC")),
            "is_anomaly": [row in flagged for row in rows],
            "top_metric": pa.array([flagged.get(row) for row in rows], pa.string()),
            "StoreId": ["store-1" if device in DEVICES[:5] else "store-2" for device, _ in rows],
        }
    )


def _incident(devices: tuple[str, ...], start: int, end: int, kind: IncidentKind = IncidentKind.DEVICE) -> Incident:
    about = {"title": "t", "metrics": (), "scope": {}, "devices_in_scope": 10, "elsewhere_share": 0.0, "severity": 50.0}
    rest = {"start": _at(start), "end": _at(end), "devices": devices, "anomalies": 1, "id": "i", "run": "r", "fleet": Fleet()}
    return Incident(kind=kind, **about, **rest)


def test_precision_recall_delay_and_cause_are_those_counted_by_hand():
    """Of three spells one is found by its cause, one by a side effect, one is missed; one alarm is false."""
    truth = _truth([("drain/a", "D-0", 50, 80), ("drain/a", "D-1", 50, 80), ("drain/a", "D-2", 50, 80)])
    flagged = {("D-0", hour): "drain" for hour in range(54, 60)} | {("D-1", hour): "upload" for hour in range(56, 60)}
    flagged |= {("D-0", 70): "signal"} | {("D-7", 200): "drain"}
    report = evaluate(_scores(flagged), [_incident(("D-0", "D-1", "D-9"), 54, 60)], truth)
    assert (report.alarms, report.anomalies, report.rows) == (4, 12, 2400)
    assert report.precision == pytest.approx(3 / 4)
    assert report.recall == pytest.approx(2 / 3)
    assert report.device_days == 100
    assert report.anomalies_per_1000_device_days == pytest.approx(120)
    assert report.false_alarms_per_1000_device_days == pytest.approx(10)
    by_type = {row.type: row for row in report.types}
    assert set(by_type) == {"drain", "all"}
    assert by_type["drain"].delay_hours == pytest.approx(5.0)
    assert by_type["drain"].cause_named == 1.0
    assert by_type["drain"].cause_first == 0.5
    assert by_type["drain"].jaccard == pytest.approx(2 / 4)
    assert by_type["all"].recall == report.recall


def test_a_null_fleet_has_only_false_alarms():
    """No recall is claimed where there was nothing to find."""
    report = evaluate(_scores({("D-3", 10): "drain", ("D-4", 99): "drain"}), [], _truth())
    assert report.recall is None
    assert report.precision == 0.0
    assert report.false_alarms_per_1000_device_days == pytest.approx(20)
    assert report.types == ()


def test_silence_is_neither_precise_nor_false():
    """With no alarm there is no precision to speak of."""
    report = evaluate(_scores({}), [], _truth([("drain/a", "D-0", 50, 80)]))
    assert (report.precision, report.recall, report.false_alarms_per_1000_device_days) == (None, 0.0, 0.0)


def test_a_spell_can_be_found_within_the_grace_but_not_after():
    """A rolling window still holds the trouble for as long as it looks back."""
    truth = _truth([("drain/a", "D-0", 50, 60)])
    late = _scores({("D-0", 65): "drain"})
    assert evaluate(late, [], truth).recall == 1.0
    assert evaluate(late, [], truth, grace=timedelta(hours=2)).recall == 0.0


def test_a_device_that_was_never_scored_is_missed():
    """It does not vanish from the denominator."""
    report = evaluate(_scores({}), [], _truth([("drain/a", "D-99", 50, 60)]))
    assert report.recall == 0.0


def test_look_alikes_are_rated_where_they_lasted():
    """Device, store and fleet scopes; true trouble at the same time is not held against them."""
    truth = _truth(
        [("drain/a", "D-0", 50, 60)],
        [("kiosk", "D-0", "DeviceId=D-0", 40, 60), ("stock", None, "StoreId=store-2", 0, 10), ("zone", None, "zone=X", 0, 9)],
    )
    report = evaluate(
        _scores({("D-0", 45): "drain", ("D-0", 55): "drain", ("D-6", 3): "drain", ("D-1", 3): "drain"}), [], truth
    )
    rated = {one.type: one for one in report.look_alikes}
    assert (rated["kiosk"].rows, rated["kiosk"].flagged) == (10, 1)
    assert (rated["stock"].rows, rated["stock"].flagged) == (50, 1)
    assert rated["zone"].rate is None


def test_trouble_charged_to_the_telemetry_covers_no_device():
    """Only incidents of devices count for the affected set, and only at their time."""
    truth = _truth([("drain/a", "D-0", 50, 60)])
    telemetry = _incident(("D-0",), 50, 60, IncidentKind.TELEMETRY)
    assert evaluate(_scores({}), [telemetry, _incident(("D-0",), 150, 160)], truth).types[0].jaccard == 0.0
    assert evaluate(_scores({}), [_incident(("D-0",), 50, 60)], truth).types[0].jaccard == 1.0


@settings(max_examples=25, deadline=None)
@given(
    flagged=st.sets(st.tuples(st.sampled_from(DEVICES[:3]), st.integers(0, 60)), max_size=30),
    spells=st.lists(st.tuples(st.sampled_from(DEVICES[:3]), st.integers(0, 50), st.integers(1, 9)), max_size=5),
    seed=st.integers(0, 2**32 - 1),
)
def test_row_order_does_not_matter_and_shares_are_shares(flagged, spells, seed):
    """Shuffled scores give the same report, and a naive count the same recall."""
    truth = _truth([(f"drain/{i}", device, onset, onset + length) for i, (device, onset, length) in enumerate(spells)])
    scores = _scores(dict.fromkeys(flagged, "drain"))
    order = np.random.default_rng(seed).permutation(scores.num_rows)
    report = evaluate(scores, [], truth)
    assert evaluate(scores.take(pa.array(order)), [], truth) == report
    found = [
        any(who == device and onset <= hour < onset + length + 12 for who, hour in flagged) for device, onset, length in spells
    ]
    assert report.recall == (sum(found) / len(found) if found else None)
    hits = {(d, h) for d, h in flagged if any(d == device and onset <= h < onset + n + 12 for device, onset, n in spells)}
    assert (report.precision or 0) > 0 if hits else not report.precision
