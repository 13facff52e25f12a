"""Rows of a benchmark, and when their promise is kept."""

import json
from pathlib import Path

import pytest

from server.bench.report import BenchReport, BenchRow, Growth, Unit, compared, middle
from server.bench.runner import summary


@pytest.mark.parametrize(
    ("figures", "expected"), [([], None), ([3.0], 3.0), ([5.0, 1.0, 2.0], 2.0), ([4.0, 1.0, 2.0, 3.0], 2.5)]
)
def test_a_figure_is_the_median_of_its_rounds(figures: list[float], expected: float | None) -> None:
    """One wild round does not decide."""
    assert middle(figures) == expected


def test_a_ratio_says_how_many_times_better_ours_is() -> None:
    """Less time is better, and more events a second."""
    assert compared("x", Unit.CPU_SECONDS, [2.0], [8.0]).ratio == 4
    assert compared("x", Unit.PER_SECOND, [8.0], [2.0]).ratio == 4


@pytest.mark.parametrize(
    ("row", "met"),
    [
        (compared("x", Unit.CPU_SECONDS, [1.0], [4.0], promise=(4.0, None)), True),
        (compared("x", Unit.CPU_SECONDS, [1.0], [3.9], promise=(4.0, None)), False),
        (compared("x", Unit.CPU_SECONDS, [1.0], [], promise=(4.0, None)), False),
        (compared("x", Unit.MICROSECONDS, [21.0], [9e9], promise=(2.0, 20.0)), False),
        (compared("x", Unit.MICROSECONDS, [19.0], [9e9], promise=(2.0, 20.0)), True),
        (compared("x", Unit.PER_SECOND, [49_000.0], [], promise=(None, 50_000.0)), False),
        (compared("x", Unit.PER_SECOND, [51_000.0], [], promise=(None, 50_000.0)), True),
        (compared("x", Unit.CPU_SECONDS, [1.0], [2.0]), None),
        (BenchRow("x", Unit.SECONDS, None, owed=3.0, note="skipped"), None),
    ],
)
def test_a_promise_is_kept_by_ratio_and_limit_together(row: BenchRow, met: bool | None) -> None:
    """What was not measured or not promised is neither kept nor lost."""
    assert row.met is met


def test_a_report_is_written_as_json_and_as_a_plot(tmp_path: Path) -> None:
    """With what was lost, readable by people."""
    rows = (
        compared("walk", Unit.CPU_SECONDS, [1.0], [3.0], promise=(4.0, None)),
        BenchRow("gone", Unit.SECONDS, None, note="why"),
    )
    growth = tuple(Growth("rows", count, 10, 8, count / 1000, 100.0) for count in (1000, 2000, 4000))
    report = BenchReport("small", 3, {"cores": "2"}, rows, growth)
    written = report.write(tmp_path)
    assert [path.name for path in written] == ["bench-small.json", "bench-small.png"]
    assert written[1].read_bytes().startswith(b"\x89PNG")
    read = json.loads(written[0].read_text())
    assert [row["met"] for row in read["rows"]] == [False, None]
    assert report.lost == rows[:1]
    assert summary(report)[0] == ("walk", "1 CPU s", "3 CPU s", "3.00 x", "4 x", "lost", "")
