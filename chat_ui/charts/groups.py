"""Groups beside each other: the worst ones, an incident's spread, and which metric domain troubles whom."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import plotly.graph_objects as go

from chat_ui.charts.style import BAD, NORMAL, WAS, figure
from chat_ui.words import span

Payload = Mapping[str, Any]


def ranking(shown: Payload) -> go.Figure:
    """Anomaly rates of groups, worst first, beside the whole fleet's; of a group ranking."""
    groups = shown["groups"][:20]
    whole = shown["whole"]
    rate = 100 * whole["count"] / whole["of"] if whole["of"] else 0.0
    bars = go.Bar(
        x=[each["group"] for each in groups],
        y=[100 * each["rate"] for each in groups],
        marker_color=[BAD if 100 * each["rate"] > 2 * rate else NORMAL for each in groups],
        text=[
            f"{each['anomalies']:,} of {each['rows']:,} rows, {each['affected']} of {each['devices']} devices"
            for each in groups
        ],
        textposition="none",
        hovertemplate="%{y:.2f} %: %{text}<extra>%{x}</extra>",
    )
    about = f" of {shown['metric']}" if shown.get("metric") else ""
    note = f"{span(shown['window'])}, n = {whole['of']:,} rows; dashed: the whole fleet"
    drawn = figure(
        [bars],
        f"Anomaly rate{about} by {shown['by']}",
        note,
        y="anomalous rows in percent",
        hovermode="closest",
        showlegend=False,
    )
    drawn.add_hline(y=rate, line={"color": WAS, "dash": "dash", "width": 1.5})
    drawn.update_xaxes(type="category")
    return drawn


def incident_spread(anomalies: Payload, title: str) -> go.Figure:
    """Anomalous rows of an incident by hour and device, the most severe ones that were read; of a page of anomalies."""
    rows = anomalies["anomalies"]
    often = [device for device, _ in Counter(each["device"] for each in rows).most_common(25)]
    kept = [each for each in rows if each["device"] in set(often)]
    dots = go.Scatter(
        x=[each["time"] for each in kept],
        y=[each["device"] for each in kept],
        mode="markers",
        marker={
            "size": 9,
            "symbol": "square",
            "color": [each["severity"] for each in kept],
            "colorscale": "YlOrRd",
            "cmin": 50,
            "cmax": 100,
            "colorbar": {"title": {"text": "severity"}, "thickness": 10, "outlinewidth": 0},
        },
        text=[each["metric"] for each in kept],
        hovertemplate="%{y}, %{x}: %{text}, severity %{marker.color:.0f}<extra></extra>",
    )
    note = f"{_extent(rows)}, n = {len(kept):,} of {anomalies['total']:,} anomalies on {len(often)} devices"
    drawn = figure([dots], title, note, height=max(260, 130 + 18 * len(often)), hovermode="closest", showlegend=False)
    drawn.update_yaxes(type="category", categoryorder="array", categoryarray=often[::-1])
    return drawn


def _extent(rows: Iterable[Payload]) -> str:
    times = sorted(each["time"] for each in rows)
    return span({"first": times[0], "last": times[-1]}) if times else "no window"


def domains_by_group(answers: Iterable[tuple[str, Payload]], domains: Mapping[str, str]) -> go.Figure:
    """Share of anomalous rows by metric domain and group, as a heat map.

    `answers` are group rankings, each with the metric that it was asked for; `domains` says which domain a metric is of.
    """
    told = list(answers)
    names = sorted({domains.get(metric, "other") for metric, _ in told})
    groups = sorted({each["group"] for _, shown in told for each in shown["groups"]})
    share = {(name, group): 0.0 for name in names for group in groups}
    for metric, shown in told:
        for each in shown["groups"]:
            share[domains.get(metric, "other"), each["group"]] += 100 * each["rate"]
    cells = go.Heatmap(
        z=[[share[name, group] for group in groups] for name in names],
        x=groups,
        y=names,
        colorscale="YlOrRd",
        zmin=0,
        xgap=2,
        ygap=2,
        colorbar={"title": {"text": "%"}, "thickness": 10, "outlinewidth": 0},
        hovertemplate="%{y}, %{x}: %{z:.2f} % of rows<extra></extra>",
    )
    first: Payload = told[0][1] if told else {"window": None, "by": "group", "whole": {"of": 0}}
    note = f"{span(first['window'])}, n = {first['whole']['of']:,} rows, by the metric most at fault"
    drawn = figure([cells], f"Which domain troubles which {first['by']}", note, hovermode="closest")
    drawn.update_xaxes(type="category")
    drawn.update_yaxes(type="category")
    return drawn
