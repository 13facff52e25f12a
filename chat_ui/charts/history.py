"""The fleet through time and by severity: what the dashboard draws."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go

from chat_ui.charts.style import BAD, NORMAL, figure
from chat_ui.words import span

Payload = Mapping[str, Any]


def anomalies_by_day(overview: Payload, newest: int | None = None) -> go.Figure:
    """Anomalous rows and affected devices of each day (UTC), of an overview; only of the `newest` days, if told."""
    days = overview["by_day"][-newest:] if newest else overview["by_day"]
    names = [each["day"] for each in days]
    anomalies, rows = sum(each["anomalies"] for each in days), sum(each["rows"] for each in days)
    bars = go.Bar(x=names, y=[each["anomalies"] for each in days], name="anomalous rows", marker_color=BAD, opacity=0.85)
    line = go.Scatter(
        x=names,
        y=[each["devices"] for each in days],
        name="devices with one",
        mode="lines+markers",
        line={"color": NORMAL, "width": 2},
    )
    window = f"{names[0]} to {names[-1]}" if names else "no day"
    note = f"by day (UTC), {window}, n = {anomalies:,} of {rows:,} rows"
    return figure([bars, line], "Anomalies over time", note, y="rows · devices")


def severities(scores: Payload) -> go.Figure:
    """Rows by severity, normal and anomalous, with the threshold, of a score distribution. The count's axis is logarithmic."""
    middles = [(low + high) / 2 for low, high in pairwise(scores["edges"])]
    width = scores["edges"][1] - scores["edges"][0]
    flagged = scores["flagged"]
    traces = [
        go.Bar(x=middles, y=[each or None for each in scores[name]], name=name, marker_color=colour, width=width * 0.92)
        for name, colour in (("normal", NORMAL), ("anomalous", BAD))
    ]
    note = f"{span(scores['window'])}, n = {flagged['of']:,} rows, {flagged['count']:,} at or above the threshold"
    drawn = figure(traces, "Severity of all rows", note, y="rows (log)", barmode="overlay")
    drawn.update_yaxes(type="log", dtick=1, tickformat="~s")
    drawn.update_xaxes(title={"text": "severity", "standoff": 4}, range=[0, 100])
    drawn.add_vline(
        x=scores["threshold_severity"], line={"color": BAD, "dash": "dash", "width": 1.5}, annotation_text="threshold"
    )
    return drawn


def drift(report: Payload) -> go.Figure:
    """The features and groups that moved most, by population stability index, of a drift report."""
    moved = list(reversed(report["features"][:12]))
    names = [f"{each['feature']} ({each['level']}{' ' + each['group'] if each['group'] else ''})"[:60] for each in moved]
    colours = [BAD if each["psi"] >= 0.25 else NORMAL for each in moved]
    bars = go.Bar(x=[each["psi"] for each in moved], y=names, orientation="h", marker_color=colours, name="PSI")
    note = (
        f"rows since {report['since'][:16]} UTC against earlier ones, n = {report['scores']['n']:,} rows; 0.25 counts as drift"
    )
    return figure([bars], "Drift", note, height=max(260, 110 + 24 * len(moved)), hovermode="closest", showlegend=False)
