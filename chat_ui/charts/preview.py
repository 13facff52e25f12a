"""What a suggestion would do: alarms by day and by verdict, before and after."""

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from chat_ui.charts.style import BAD, NOW, WAS, figure
from chat_ui.words import span, verdict_words

Payload = Mapping[str, Any]


def by_day(preview: Payload) -> go.Figure:
    """Anomalies of each day (UTC), before and after, of a preview."""
    days = [day for day, _, _ in preview["by_day"]]
    traces = [
        go.Bar(x=days, y=[before for _, before, _ in preview["by_day"]], name="now", marker_color=WAS),
        go.Bar(x=days, y=[after for _, _, after in preview["by_day"]], name="with the change", marker_color=NOW),
    ]
    note = (
        f"{_window(preview)}, by day, {preview['alarms_before']:,} now, {preview['alarms_after']:,} after, "
        f"n = {preview['rows']:,} rows"
    )
    return figure(traces, "Anomalous rows a day, before and after", note, y="anomalous rows", barmode="group")


def _window(preview: Payload) -> str:
    return span({"first": preview["start"], "last": preview["end"]})


def by_verdict(preview: Payload) -> go.Figure:
    """Anomalies that would go and that would come, by what people called them, of a preview."""
    names = sorted({*preview["removed"], *preview["added"]}) or ["unlabelled"]
    words = [verdict_words(name) for name in names]
    traces = [
        go.Bar(
            y=words,
            x=[preview["removed"].get(name, 0) for name in names],
            hovertemplate="%{x:,} removed<extra></extra>",
            name="removed",
            orientation="h",
            marker_color=NOW,
        ),
        go.Bar(
            y=words,
            x=[preview["added"].get(name, 0) for name in names],
            hovertemplate="%{x:,} added<extra></extra>",
            name="added",
            orientation="h",
            marker_color=BAD,
        ),
    ]
    gone, come = sum(preview["removed"].values()), sum(preview["added"].values())
    note = (
        f"{_window(preview)}, n = {preview['rows']:,} rows: {gone:,} removed, {come:,} added, on {preview['devices']:,} devices"
    )
    drawn = figure(traces, "What would go and come, by verdict", note, barmode="group", bargap=0.45, hovermode="closest")
    drawn.update_xaxes(title={"text": "anomalous rows", "standoff": 4}, tickformat=",d", rangemode="tozero")
    return drawn
