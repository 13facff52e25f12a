"""P10, P13: no order, repetition or slicing of rows changes what is read, and every row is accounted for."""

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from server.errors import NotFound

HOURS = (0, 1, 2, 2.5, 30)
_rows = st.fixed_dictionaries(
    {
        "device": st.sampled_from(["b", "a", "\N{ROBOT FACE}", "A", None, ""]),
        "hour": st.sampled_from([*HOURS, "1970-01-01", "2031-01-01", "yesterday", "", None, "2025-01-01T03:00:00+02:00"]),
        "x": st.sampled_from([0.0, -0.0, 1.5, float("nan"), float("inf"), None]),
        "y": st.sampled_from([7.0, 8.0, None]),
        "arrival": st.sampled_from([None, "2025-02-01", "2025-02-02"]),
        "model": st.sampled_from([None, "m1", "m2"]),
        "store": st.sampled_from([None, "s1"]),
        "split": st.sampled_from(["train", "test"]),
    }
)


def _slices(rows: list[dict[str, Any]], order: list[int], size: int) -> list[list[dict[str, Any]]]:
    mixed = [rows[place % len(rows)] for place in order]
    return [mixed[start : start + size] for start in range(0, len(mixed), size)]


def _state(telemetry: Any, fleet: Any) -> Any:
    try:
        return telemetry.state(fleet)
    except NotFound:
        return None


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(rows=st.lists(_rows, min_size=1, max_size=12), shuffle=st.randoms(use_true_random=False), size=st.integers(1, 20))
def test_rows_in_another_order_repeated_and_in_other_slices_read_the_same(
    telemetry, make_source, make_row, rows, shuffle, size
):
    """Neither the digest nor the members nor the blocks know in which order, how often or in which ingest a row came."""
    listed = [make_row(one.pop("device"), one.pop("hour"), **one) for one in map(dict, rows)]
    names = ("x", "y")
    once, mixed = telemetry.fleet(), telemetry.fleet()
    report = telemetry.ingest(once, make_source(listed, names), fit_split="train")
    order = [*range(len(listed)), *(shuffle.randrange(len(listed)) for _ in range(len(listed) // 2))]
    shuffle.shuffle(order)
    reports = [
        telemetry.ingest(mixed, make_source(part, names, batch=2), fit_split="train") for part in _slices(listed, order, size)
    ]
    assert _state(telemetry, once) == _state(telemetry, mixed)
    assert report.rows_in == len(listed)
    health = telemetry.store.health(mixed)
    assert health.rows_in == sum(one.rows_in for one in reports) == health.rows + sum(health.rejected.values())
    assert health.rows == telemetry.store.health(once).rows
    asides = [{aside.row for aside in telemetry.store.rejected(fleet, limit=1000)} for fleet in (once, mixed)]
    assert asides[0] == asides[1]


@pytest.mark.parametrize("first", [0, 1])
def test_a_later_metric_and_cohort_column_read_the_same_from_either_side(telemetry, make_source, make_row, first):
    """Which ingest brings a new column makes no difference either."""
    narrow = make_source([make_row("a", 0), make_row("a", 1, 2.0)])
    wide = make_source(
        [make_row("a", 1, 2.0, y=5.0, os="1"), make_row("b", 1, y=5.0, os="2")], ("y", "x"), cohort=("os", "model")
    )
    fleet, other = telemetry.fleet(), telemetry.fleet()
    for source in (narrow, wide)[:: 1 if first == 0 else -1]:
        telemetry.ingest(fleet, source)
    for source in (narrow, wide):
        telemetry.ingest(other, source)
    assert telemetry.state(fleet) == telemetry.state(other)


def test_of_conflicting_rows_the_latest_arrival_wins_even_when_it_came_first(telemetry, make_source, make_row):
    """The loser is kept aside as a conflict."""
    early = make_row("a", 0, 1.0, arrival="2025-01-02")
    late = make_row("a", 0, 2.0, arrival="2025-01-03")
    for order in ([early, late], [late, early]):
        fleet = telemetry.fleet()
        for one in order:
            telemetry.ingest(fleet, make_source([one]))
        assert telemetry.table(fleet)["x"] == [2.0]
        (aside,) = telemetry.store.rejected(fleet, limit=9)
        assert (aside.reason, '"x":1.0' in aside.row) == ("conflict", True)


def test_a_repeated_row_with_a_later_arrival_settles_a_conflict(telemetry, make_source, make_row):
    """What a duplicate says about arrival counts, or the winner would depend on order."""
    rows = [make_row("a", 0, value, arrival=f"2025-01-0{day}") for value, day in ((1.0, 2), (2.0, 3), (1.0, 4))]
    for order in ((0, 1, 2), (2, 1, 0), (0, 2, 1), (1, 0, 2)):
        fleet = telemetry.fleet()
        for place in order:
            telemetry.ingest(fleet, make_source([rows[place]]))
        assert telemetry.table(fleet)["x"] == [1.0], order


def test_a_snapshot_reads_the_same_after_a_later_conflict_new_rows_and_a_new_metric(telemetry, make_source, make_row):
    """A run's window is frozen."""
    fleet = telemetry.fleet()
    telemetry.ingest(fleet, make_source([make_row("b", 0, 1.0), make_row("b", 1, 3.0)]))
    snapshot = telemetry.store.snapshot(fleet)
    before = [block.to_pydict() for block in telemetry.store.blocks(snapshot, rows=10)]
    members = telemetry.store.members(snapshot)
    later = [make_row("b", 0, 9.0, y=1.0, model="m", arrival="2025-05-05"), make_row("a", 0, y=2.0)]
    telemetry.ingest(fleet, make_source(later, ("x", "y")), fit_split="test")
    assert [block.to_pydict() for block in telemetry.store.blocks(snapshot, rows=10)] == before
    assert telemetry.store.members(snapshot) == members
    assert telemetry.store.snapshot(fleet).digest != snapshot.digest
