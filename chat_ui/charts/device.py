"""One device: a metric through time against what is typical and against its peers."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import plotly.graph_objects as go

from chat_ui.charts.style import BAD, BAND, NORMAL, PEERS, WAS, figure, plain
from chat_ui.words import count, span

Payload = Mapping[str, Any]


def timeline(shown: Payload) -> go.Figure:
    """A device's metric with gaps as gaps, its typical band, its peers' middle half, and anomalies marked; of a timeline."""
    points = shown["points"]
    times = [each["time"] for each in points]
    unit = f" ({shown['unit']})" if shown["unit"] else ""
    marked = [each for each in points if each["anomalies"]]
    traces = [
        *_band(points, times, ("peers_low", "peers_high"), f"middle half of {count(shown['peers'], 'peer')}", PEERS),
        *_band(points, times, ("low", "high"), "typical ± 3 scales", BAND),
        go.Scatter(
            x=times,
            y=[each["centre"] for each in points],
            mode="lines",
            name="typical",
            line={"color": WAS, "dash": "dot", "width": 1.5},
        ),
        go.Scatter(
            x=times,
            y=[each["value"] for each in points],
            mode="lines+markers",
            name=str(shown["metric"]),
            line={"color": NORMAL, "width": 2},
            marker={"size": 3.5},
            connectgaps=False,
        ),
        go.Scatter(
            x=[each["time"] for each in marked],
            y=[each["value"] if each["value"] is not None else each["mean"] for each in marked],
            mode="markers",
            name=f"anomalous ({shown['anomalies']})",
            marker={"color": BAD, "size": 9, "symbol": "diamond", "line": {"width": 1, "color": "white"}},
            text=[f"severity {each['severity']:.0f}" for each in marked],
            hovertemplate="%{y:.4g}, %{text}<extra>anomalous</extra>",
        ),
    ]
    note = f"{span(shown['window'])}, n = {shown['values']:,} values of {shown['rows']:,} rows"
    if shown.get("level"):
        note += f"; typical at level {shown['level']}, n = {shown['n']:,}, version {shown['version']}"
    title = f"{shown['metric']} of {shown['device']}"
    return figure(traces, title, note, y=f"{shown['metric']}{unit}", height=360)


def against_baseline(shown: Payload, moment: str) -> go.Figure:
    """How a metric is spread in the day up to a moment and before it, with its baseline's middle and edges; of a timeline."""
    time = datetime.fromisoformat(moment)
    begin = time - timedelta(days=1)
    told = [(datetime.fromisoformat(each["time"]), each["value"]) for each in shown["points"] if each["value"] is not None]
    before = [value for at, value in told if at <= begin]
    now = [value for at, value in told if begin < at <= time]
    traces = [
        go.Histogram(
            x=values, name=f"{name} (n = {len(values):,})", marker_color=colour, opacity=0.75, histnorm="percent", bingroup=1
        )
        for name, values, colour in (("before", before, NORMAL), ("the day up to it", now, BAD))
    ]
    note = f"{span(shown['window'])}, n = {len(now):,} steps in the day up to {time:%d %b %H:%M} UTC, {len(before):,} before"
    unit = f" ({shown['unit']})" if shown["unit"] else ""
    title = f"{shown['metric']} against its baseline"
    drawn = figure(traces, title, note, y="steps in percent", height=360, barmode="overlay", hovermode="closest")
    drawn.update_xaxes(title={"text": plain(f"{shown['metric']}{unit}"), "standoff": 4})
    typical = _baseline_at(shown["points"], time)
    if typical:
        # one word for line and band: with a word at each edge they lie over each other where the band is narrow
        drawn.add_vrect(x0=typical["low"], x1=typical["high"], fillcolor=BAND, line_width=0, layer="below")
        words = "typical ± 3 scales"
        drawn.add_vline(x=typical["centre"], line={"color": WAS, "dash": "dot", "width": 1.5}, annotation_text=words)
    return drawn


def _baseline_at(points: Any, time: datetime) -> Payload | None:
    """The last step up to a time at which a typical value is known; None if there is none."""
    known = [each for each in points if each["centre"] is not None and datetime.fromisoformat(each["time"]) <= time]
    return known[-1] if known else None


def peers(shown: Payload) -> go.Figure:
    """Where the device's medians stand among its cohort, in cohort quartile ranges from the middle; of a comparison."""
    metrics = [each for each in shown["metrics"] if each["percentile"] is not None][:12][::-1]
    bars = go.Bar(
        x=[each["percentile"] - 50 for each in metrics],
        base=50,
        y=[each["metric"] for each in metrics],
        orientation="h",
        marker_color=[BAD if each["percentile"] > 95 or each["percentile"] < 5 else NORMAL for each in metrics],
        text=[f"rank {each['rank']} of {each['devices']}" for each in metrics],
        hovertemplate="%{text}<extra>%{y}</extra>",
    )
    devices = max((each["devices"] for each in metrics), default=0)
    title = f"{shown['device']} among {shown['cohort']}"
    drawn = figure(
        [bars],
        title,
        f"{span(shown['window'])}, n = {count(devices, 'device')}",
        height=max(260, 120 + 26 * len(metrics)),
        hovermode="closest",
        showlegend=False,
    )
    drawn.update_xaxes(range=[0, 100], title={"text": "share of the other devices below it, in percent", "standoff": 4})
    return drawn


def _band(points: Any, times: list[str], ends: tuple[str, str], name: str, colour: str) -> list[go.Scatter]:
    """A band between two values: where either is not known it ends, because a line across would claim to know."""
    low, high = ([each[end] for each in points] for end in ends)
    if not any(value is not None for value in low):
        return []
    edge: dict[str, Any] = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "connectgaps": False}
    return [
        go.Scatter(x=times, y=low, showlegend=False, **edge),
        go.Scatter(x=times, y=high, name=name, fill="tonexty", fillcolor=colour, **edge),
    ]
