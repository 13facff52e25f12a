"""P13, P14: what becomes of each odd row and value."""

from datetime import timedelta

import pytest

from server.domain.telemetry import Metric, Rejection
from server.errors import InvalidInput, NotFound


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"device": None}, Rejection.NO_DEVICE),
        ({"device": "  "}, Rejection.NO_DEVICE),
        ({"hour": None}, Rejection.NO_TIME),
        ({"hour": ""}, Rejection.NO_TIME),
        ({"hour": "yesterday"}, Rejection.MALFORMED_TIME),
        ({"hour": "2025-02-30 00:00"}, Rejection.MALFORMED_TIME),
        ({"hour": "infinity"}, Rejection.MALFORMED_TIME),
        ({"hour": "1" * 400}, Rejection.MALFORMED_TIME),
        ({"hour": "1999-12-31T23:59:59"}, Rejection.BEFORE_2000),
        ({"hour": "1970-01-01"}, Rejection.BEFORE_2000),
        ({"hour": "2026-01-02T00:00:01"}, Rejection.FUTURE),
        ({"x": "1,5"}, Rejection.MALFORMED_VALUE),
        ({"x": "1_000"}, Rejection.MALFORMED_VALUE),
        ({"x": "0x10"}, Rejection.MALFORMED_VALUE),
        ({"x": "=cmd()"}, Rejection.MALFORMED_VALUE),
    ],
)
def test_a_row_that_is_none_is_kept_aside_with_its_reason(telemetry, make_source, make_row, change, reason):
    """Rejected rows are stored as they came, and the others are stored all the same."""
    fleet = telemetry.fleet()
    odd = make_row(**{"device": "a", "hour": 1, "x": "2", **change})
    report = telemetry.ingest(fleet, make_source([make_row("a", 0, "1"), odd, make_row("a", 2, "3")]))
    assert (report.rows_kept, report.rejected) == (2, {reason: 1})
    (aside,) = telemetry.store.rejected(fleet, limit=5)
    assert (aside.reason, aside.source) == (reason, "rows")
    assert all(str(value) in aside.row for value in change.values() if value)
    assert telemetry.table(fleet)["x"] == [1.0, 3.0]


@pytest.mark.parametrize(
    ("text", "value", "dropped"),
    [
        *(("inf", None, 1), ("-Infinity", None, 1), ("1e400", None, 1), ("-1", None, 1), ("255", None, 1), ("101", None, 1)),
        *(("nan", None, 0), ("", None, 0), ("N/A", None, 0), (" 7 ", 7.0, 0), ("+1e1", 10.0, 0), ("100", 100.0, 0)),
    ],
)
def test_a_value_that_is_none_becomes_missing_and_is_counted(telemetry, make_source, make_row, text, value, dropped):
    """Infinite, out of bounds and sentinel values are counted a metric; values that were never there are not."""
    fleet = telemetry.fleet()
    metric = Metric(name="x", lower=-5, upper=300, sentinels=(-1.0, 255.0, 101.0))
    report = telemetry.ingest(fleet, make_source([make_row("a", 0, text), make_row("a", 1, "1")]), metric)
    assert (report.rows_kept, report.values_dropped) == (2, {"x": 1} if dropped else {})
    assert telemetry.table(fleet)["x"] == [value, 1.0]


def test_bounds_of_the_catalogue_apply_and_those_that_the_source_states_win(telemetry, make_source, make_row):
    """A source knows its own metrics best."""
    rows = [make_row("a", 0, 5.0), make_row("a", 1, 50.0)]
    listed, own = Metric(name="x", upper=10, unit="s"), Metric(name="x", upper=100)
    for metrics, expected in (((), [5.0, None]), ((own,), [5.0, 50.0])):
        fleet = telemetry.fleet()
        telemetry.ingest(fleet, make_source(rows, metrics=metrics), listed)
        assert telemetry.table(fleet)["x"] == expected
        assert telemetry.store.snapshot(fleet).metrics[0].unit == "s"


def test_times_of_all_zones_are_one_time(telemetry, make_source, make_row):
    """Naive times are UTC, others are converted, plain numbers count seconds to nanoseconds since 1970."""
    same = ["2025-06-01T12:00:00", "2025-06-01 14:00:00+02:00", "2025-06-01T12:00:00Z", "2025-06-01T17:30:00+05:30"]
    same += ["1748779200", "1748779200000", "1748779200000000", "1748779200000000000"]
    fleet = telemetry.fleet()
    report = telemetry.ingest(fleet, make_source([make_row("a", text) for text in same]))
    assert report.rejected == {Rejection.DUPLICATE: len(same) - 1}
    assert telemetry.table(fleet)["time"] == [1_748_779_200_000_000]


def test_late_and_disordered_rows_are_counted_and_kept(telemetry, make_source, make_row):
    """Late by design is no fault."""
    fleet = telemetry.fleet()
    rows = [make_row("a", 5, arrival="2025-01-01T05:30"), make_row("b", 0), make_row("a", 1, arrival="2025-01-01T05:30")]
    report = telemetry.ingest(fleet, make_source(rows))
    assert (report.rows_kept, report.late, report.out_of_order) == (3, 1, 1)
    assert telemetry.store.health(fleet).late_share == pytest.approx(1 / 3)
    assert telemetry.ingest(fleet, make_source([make_row("a", 2)])).out_of_order == 1


def test_the_same_source_again_changes_nothing(telemetry, make_source, make_row):
    """Not even what is kept aside; it is all reported as duplicates."""
    fleet = telemetry.fleet()
    source = make_source([make_row("a", 0), make_row("a", 1), make_row("a", "never"), make_row("a", 1, 5.0)])
    first = telemetry.ingest(fleet, source)
    before, aside = telemetry.state(fleet), telemetry.store.rejected(fleet, limit=9)
    again = telemetry.ingest(fleet, source)
    assert (first.new_devices, first.new_metrics, again.new_devices, again.new_metrics) == (1, ("x",), 0, ())
    assert again.rejected == {Rejection.DUPLICATE: 2, Rejection.MALFORMED_TIME: 1, Rejection.CONFLICT: 1}
    assert (telemetry.state(fleet), telemetry.store.rejected(fleet, limit=9)) == (before, aside)


@pytest.mark.parametrize("name", ["select", 'a"b', "it's", "\N{ROBOT FACE}", "X", "device", "m0", "a.b; DROP TABLE rows; --"])
def test_a_metric_may_have_any_name(telemetry, make_source, make_row, name):
    """Names of metrics never become SQL, and differ by case."""
    fleet = telemetry.fleet()
    rows = [{**make_row("a", 0), f"{name} ": 2.0, "x": 1.0}, {**make_row("a", 0), f"{name} ": 3.0, "x": 1.0}]
    telemetry.ingest(fleet, make_source(rows, ("x", f"{name} ")))
    assert telemetry.table(fleet)[f"{name} "] == [3.0]
    assert telemetry.store.health(fleet).missing_share == {"x": 0.0, f"{name} ": 0.0}
    assert len(telemetry.store.rejected(fleet, limit=9)) == 1


def test_two_thousand_metrics_fit(telemetry, make_source, make_row):
    """Wide fleets work, conflicts included."""
    fleet = telemetry.fleet()
    names = tuple(f"metric {number}" for number in range(2000))
    rows = [{**make_row("a", 0), **dict.fromkeys(names, float(value))} for value in (1, 2)]
    telemetry.ingest(fleet, make_source(rows, names))
    assert telemetry.table(fleet)["metric 1999"] == [2.0]


@pytest.mark.parametrize("values", [[None, None], [3.0, 3.0]])
def test_an_empty_and_a_constant_metric_are_stored_as_they_are(telemetry, make_source, make_row, values):
    """It is not for the store to judge them."""
    fleet = telemetry.fleet()
    telemetry.ingest(fleet, make_source([make_row("a", hour, value) for hour, value in enumerate(values)]))
    assert telemetry.table(fleet)["x"] == values


def test_one_row_of_one_device_reads_back_with_an_hourly_rhythm(telemetry, make_source, make_row):
    """With nothing to tell the rhythm from, it is an hour."""
    fleet = telemetry.fleet()
    telemetry.ingest(fleet, make_source([make_row()]))
    snapshot = telemetry.store.snapshot(fleet)
    assert (snapshot.rows, snapshot.devices, snapshot.interval) == (1, 1, timedelta(hours=1))


def test_sources_without_rows_metrics_or_kinship_are_refused(telemetry, make_source, make_row):
    """Nothing of them is stored, and the message says what to do."""
    fleet = telemetry.fleet()
    with pytest.raises(InvalidInput, match="no rows"):
        telemetry.ingest(fleet, make_source([]))
    with pytest.raises(InvalidInput, match="metrics="):
        telemetry.ingest(fleet, make_source([make_row()], ()))
    with pytest.raises(NotFound):
        telemetry.store.snapshot(fleet)
    telemetry.ingest(fleet, make_source([make_row()]))
    with pytest.raises(InvalidInput, match="fleet of its own"):
        telemetry.ingest(fleet, make_source([make_row(y=1.0)], ("y",)))
    assert telemetry.store.snapshot(fleet).sequence == 1


def test_a_source_with_rejected_rows_only_leaves_them_to_be_seen(telemetry, make_source, make_row):
    """They are kept aside; there is no telemetry to freeze."""
    fleet = telemetry.fleet()
    report = telemetry.ingest(fleet, make_source([make_row(None)]))
    assert (report.rows_kept, len(telemetry.store.rejected(fleet, limit=2))) == (0, 1)
    with pytest.raises(NotFound, match=fleet.name):
        telemetry.store.snapshot(fleet)


def test_what_a_source_raises_half_way_comes_through_and_nothing_is_stored(telemetry, make_source, make_row):
    """A damaged file is the file's fault, not the store's."""

    class Broken(make_source):
        def batches(self):
            yield from super().batches()
            raise InvalidInput("the file ends in the middle")

    fleet = telemetry.fleet()
    with pytest.raises(InvalidInput, match="in the middle"):
        telemetry.ingest(fleet, Broken([make_row()]))
    with pytest.raises(NotFound):
        telemetry.store.health(fleet)
