"""Blocks, members, cohorts, reference rows and changes."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from server.domain.telemetry import Change, Fleet
from server.errors import NotFound


def test_blocks_hold_whole_devices_in_order_whatever_the_block_size(telemetry, make_source, make_row):
    """Devices are never cut; their codes are ranks of their sorted ids."""
    fleet = telemetry.fleet()
    rows = [make_row(f"d{device}", hour, float(hour)) for device in range(7) for hour in range(device + 1)]
    for part in (rows[10:], rows[:10]):
        telemetry.ingest(fleet, make_source(random.Random(1).sample(part, len(part))))
    snapshot = telemetry.store.snapshot(fleet)
    assert telemetry.store.members(snapshot).rows == (1, 2, 3, 4, 5, 6, 7)
    for size in (1, 5, 100):
        blocks = [block.to_pydict() for block in telemetry.store.blocks(snapshot, rows=size)]
        pairs = [pair for block in blocks for pair in zip(block["device"], block["x"], strict=True)]
        assert pairs == [(device, float(hour)) for device in range(7) for hour in range(device + 1)]
        owners = [set(block["device"]) for block in blocks]
        assert sum(map(len, owners)) == 7
    some = [b.to_pydict()["device"] for b in telemetry.store.blocks(snapshot, rows=100, devices=[5, 2])]
    assert some == [[2, 2, 2, 5, 5, 5, 5, 5, 5]]


def test_a_window_reads_its_rows_only(telemetry, make_source, make_row):
    """Both ends belong to it."""
    fleet = telemetry.fleet()
    telemetry.ingest(fleet, make_source([make_row("a", hour, float(hour)) for hour in range(6)] + [make_row("b", 9)]))
    first, last = (datetime(2025, 1, 1, hour, tzinfo=UTC) for hour in (2, 4))
    snapshot = telemetry.store.snapshot(fleet, start=first, end=last)
    assert (snapshot.rows, telemetry.store.members(snapshot).devices) == (3, ("a",))
    assert [b.to_pydict()["x"] for b in telemetry.store.blocks(snapshot, rows=9)] == [[2.0, 3.0, 4.0]]
    with pytest.raises(NotFound, match="span of time"):
        telemetry.store.snapshot(fleet, start=last + timedelta(days=400))


def test_a_missing_cohort_is_the_last_known_one_else_the_next_else_unknown(telemetry, make_source, make_row):
    """Value by value, in event time, not in order of arrival."""
    columns = ("model", "os")
    rows = [
        make_row("a", 0, model=None, os=None),
        make_row("a", 1, model="m", os="1"),
        make_row("a", 2, model=None, os="2"),
        make_row("a", 3, model=None, os=None),
        make_row("b", 0, model=None, os="9"),
    ]
    for order in (rows, rows[::-1]):
        fleet = telemetry.fleet()
        for one in order:
            telemetry.ingest(fleet, make_source([one], cohort=columns))
        members = telemetry.store.members(telemetry.store.snapshot(fleet))
        assert members.cohorts == (("m", "1"), ("m", "2"), ("unknown", "9"))
        assert telemetry.table(fleet)["cohort"] == [0, 0, 1, 1, 2]


def test_absent_roles_have_code_minus_one(telemetry, make_source, make_row):
    """No cohort column, no store: none, not unknown."""
    fleet = telemetry.fleet()
    telemetry.ingest(fleet, make_source([make_row(), make_row("b", store="s")], cohort=()))
    table = telemetry.table(fleet)
    assert (table["cohort"], table["store"], table["customer"]) == ([-1, -1], [-1, 0], [-1, -1])
    assert telemetry.store.members(telemetry.store.snapshot(fleet)).cohorts == ()


@pytest.mark.parametrize(("fit", "expected"), [("train", [True, False, False]), (None, [True] * 3), ("other", [True] * 3)])
def test_reference_rows_are_those_of_the_split_or_all(telemetry, make_source, make_row, fit, expected):
    """A fleet without that split is fitted on whole."""
    fleet = telemetry.fleet()
    rows = [make_row("a", 0, split="train"), make_row("a", 1, split="test"), make_row("a", 2)]
    telemetry.ingest(fleet, make_source(rows), fit_split=fit)
    assert telemetry.table(fleet)["reference"] == expected


def test_the_rhythm_is_the_median_over_devices_and_robust_to_jitter_and_gaps(telemetry, make_source, make_row):
    """One chatty device and a silent week do not change it."""
    fleet, shake = telemetry.fleet(), random.Random(2)
    steady = [make_row(f"d{d}", h + shake.uniform(-0.02, 0.02) + (168 if h > 20 else 0)) for d in range(5) for h in range(40)]
    chatty = [make_row("chatty", minute / 60) for minute in range(400)]
    telemetry.ingest(fleet, make_source(steady + chatty, batch=100))
    assert telemetry.store.snapshot(fleet).interval.total_seconds() == pytest.approx(3600, rel=0.02)


def test_changes_are_stored_once_and_read_by_time(telemetry, make_source, make_row):
    """However often the source is ingested."""
    moment = datetime(2025, 3, 1, 12, tzinfo=UTC)
    told = tuple(
        Change(time=moment + timedelta(days=day), kind="os_update", description=f"day {day}", scope={"OsVersionId": "13"})
        for day in (2, 0, 1)
    )
    fleet = telemetry.fleet()
    for _ in range(2):
        telemetry.ingest(fleet, make_source([make_row()], told=told))
    read = telemetry.store.changes(fleet, start=moment, end=moment + timedelta(days=1))
    assert list(read) == [told[1], told[2]]


def test_fleets_share_nothing_and_unknown_ones_are_not_found(telemetry, make_source, make_row):
    """Names that would collide if glued together do not."""
    one, two = Fleet(tenant="a_b", name="c"), Fleet(tenant="a", name="b_c")
    telemetry.ingest(one, make_source([make_row()]))
    for call in (telemetry.store.snapshot, telemetry.store.health, lambda fleet: telemetry.store.rejected(fleet, limit=1)):
        with pytest.raises(NotFound, match="b_c"):
            call(two)
