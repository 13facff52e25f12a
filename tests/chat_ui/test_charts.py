"""Charts show the server's numbers, with gaps as gaps, and say their window, zone and n."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import plotly.graph_objects as go
import pytest

from chat_ui.charts.device import against_baseline, peers, timeline
from chat_ui.charts.groups import domains_by_group, incident_spread, ranking
from chat_ui.charts.history import anomalies_by_day, drift, severities
from chat_ui.charts.preview import by_day, by_verdict
from chat_ui.charts.style import plain

Answer = Callable[[str], dict[str, Any]]


def said(figure: go.Figure) -> str:
    """The chart's title and note, tags and ends of lines left out."""
    return re.sub(r"(<[^>]*>|\s)+", " ", str(figure.layout.title.text))


def test_the_days_add_up_to_the_overviews_anomalies(drawn: Answer) -> None:
    """Bars are the server's counts of each day, and the note names zone and n."""
    overview = drawn("overview")
    figure = anomalies_by_day(overview)
    assert sum(figure.data[0].y) == overview["detector"]["flagged"]["count"]
    assert "UTC" in said(figure)
    assert f"{overview['detector']['flagged']['of']:,} rows" in said(figure)


def test_the_histogram_keeps_every_row_and_marks_the_threshold(drawn: Answer) -> None:
    """Both colours together are all rows; a line stands at the threshold."""
    scores = drawn("scores")
    figure = severities(scores)
    rows = sum(count or 0 for trace in figure.data for count in trace.y)
    assert rows == scores["flagged"]["of"]
    assert [shape.x0 for shape in figure.layout.shapes] == [scores["threshold_severity"]]


def test_a_gap_in_telemetry_is_a_gap_in_the_line(drawn: Answer) -> None:
    """A step without a value stays empty, and no line is drawn across it."""
    shown = drawn("timeline")
    points = [dict(each) for each in shown["points"]]
    points[5]["value"] = None
    figure = timeline({**shown, "points": points})
    line = next(trace for trace in figure.data if trace.name == "heat")
    assert line.y[5] is None
    assert line.connectgaps is False


def test_the_timeline_marks_the_anomalies_and_draws_both_bands(drawn: Answer) -> None:
    """Every step with an anomaly has a mark; the typical band and the peers' band are there."""
    shown = drawn("timeline")
    figure = timeline(shown)
    marks = next(trace for trace in figure.data if str(trace.name).startswith("anomalous"))
    assert len(marks.x) == sum(bool(each["anomalies"]) for each in shown["points"]) > 0
    names = {str(trace.name) for trace in figure.data}
    assert "typical ± 3 scales" in names
    assert any("peers" in name for name in names)


def test_before_and_after_are_the_previews_counts(drawn: Answer) -> None:
    """The bars of both states add up to the preview's totals."""
    preview = drawn("preview")
    now, after = by_day(preview).data
    assert (sum(now.y), sum(after.y)) == (preview["alarms_before"], preview["alarms_after"])


def test_what_goes_stands_beside_what_comes(drawn: Answer) -> None:
    """Removed and added rows by verdict, as counts: none is below zero."""
    figure = by_verdict({**drawn("preview"), "removed": {"false_alarm": 7}, "added": {"true": 2}})
    gone, come = figure.data
    assert dict(zip(gone.y, gone.x, strict=True)) == {"false alarm": 7, "true": 0}
    assert dict(zip(come.y, come.x, strict=True)) == {"false alarm": 0, "true": 2}


def test_the_ranking_is_the_servers_and_shows_the_whole_fleet(drawn: Answer) -> None:
    """Bars keep the server's order; a line stands at the fleet's rate."""
    shown = drawn("groups")
    figure = ranking(shown)
    assert list(figure.data[0].x) == [each["group"] for each in shown["groups"]]
    assert figure.layout.shapes[0].y0 == pytest.approx(100 * shown["whole"]["count"] / shown["whole"]["of"])


def test_the_heat_map_adds_the_metrics_of_a_domain(drawn: Answer) -> None:
    """Two metrics of one domain share a row, with their rates added."""
    shown = drawn("groups")
    figure = domains_by_group([("a", shown), ("b", shown), ("c", shown)], {"a": "battery", "b": "battery", "c": "network"})
    rates = {each["group"]: 100 * each["rate"] for each in shown["groups"]}
    assert list(figure.data[0].y) == ["battery", "network"]
    assert list(figure.data[0].z[0]) == pytest.approx([2 * rates[name] for name in figure.data[0].x])


def test_the_spread_says_how_many_of_all_it_shows(drawn: Answer) -> None:
    """An incident's marks are its anomalies, and the note has both counts."""
    page = drawn("anomalies")
    figure = incident_spread({**page, "total": 9_999}, "spread")
    assert len(figure.data[0].x) == len(page["anomalies"])
    assert "of 9,999" in said(figure)


def test_the_day_up_to_an_anomaly_stands_beside_its_baseline(drawn: Answer) -> None:
    """Values of the last day and of before are counted apart, gaps in neither; lines stand at the stored band."""
    shown, told = drawn("timeline"), drawn("explanation")
    time = datetime.fromisoformat(told["time"])
    before, now = against_baseline(shown, told["time"]).data
    known = [(datetime.fromisoformat(each["time"]), each["value"]) for each in shown["points"] if each["value"] is not None]
    assert list(now.x) == [value for at, value in known if time - timedelta(days=1) < at <= time]
    assert list(before.x) == [value for at, value in known if at <= time - timedelta(days=1)]
    step = [each for each in shown["points"] if datetime.fromisoformat(each["time"]) <= time and each["centre"] is not None][-1]
    band, line = against_baseline(shown, told["time"]).layout.shapes
    assert (band.x0, line.x0, band.x1) == (step["low"], step["centre"], step["high"])


def test_the_newest_days_alone_can_be_drawn(drawn: Answer) -> None:
    """The window that a person chose cuts the chart, and its n."""
    overview = drawn("overview")
    figure = anomalies_by_day(overview, 7)
    days = overview["by_day"][-7:]
    assert list(figure.data[0].x) == [each["day"] for each in days]
    assert f"of {sum(each['rows'] for each in days):,} rows" in said(figure)


CHARTS: list[tuple[Callable[[Any], go.Figure], str]] = [
    (anomalies_by_day, "overview"),
    (severities, "scores"),
    (drift, "drift"),
    (ranking, "groups"),
    (lambda shown: domains_by_group([("drain", shown)], {"drain": "battery"}), "groups"),
    (timeline, "timeline"),
    (lambda shown: against_baseline(shown, shown["window"]["last"]), "timeline"),
    (peers, "peers"),
    (lambda page: incident_spread(page, "spread"), "anomalies"),
    (by_day, "preview"),
    (by_verdict, "preview"),
]


@pytest.mark.parametrize(("draw", "subject"), CHARTS)
def test_every_chart_says_window_zone_and_n(draw: Callable[[Any], go.Figure], subject: str, drawn: Answer) -> None:
    """On the chart, and in the summary that a screen reader is given in its place."""
    figure = draw(drawn(subject))
    for words in (said(figure), figure.layout.meta["summary"]):
        assert "UTC" in words
        assert re.search(r"n = [\d,]+", words)
        assert re.search(r"2025", words)


def test_a_charts_summary_tells_ranges_and_gaps(drawn: Answer) -> None:
    """What a look at it would tell: each trace's extent, and how much of it is empty."""
    shown = drawn("timeline")
    points = [{**each, "value": None if place < 3 else each["value"]} for place, each in enumerate(shown["points"])]
    known = [each["value"] for each in points if each["value"] is not None]
    gaps = len(points) - len(known)
    told = f"heat: {len(known)} values from {min(known):.4g} to {max(known):.4g}, {gaps} empty."
    assert told in timeline({**shown, "points": points}).layout.meta["summary"]


def test_a_name_in_a_chart_is_no_markup() -> None:
    """Plotly draws a few tags, `<a>` among them: names lose theirs and are capped."""
    assert plain("<a href='https://evil.example'>x</a>") == "&lt;a href='https://evil.example'&gt;x&lt;/a&gt;"
    assert len(plain("x" * 500)) == 111
