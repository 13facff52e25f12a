"""A scorecard as one HTML file with its plots, which needs no network to be looked at."""

from pathlib import Path
from typing import Any

from server.scorecard.card import MEASURES, Card, Line
from server.scorecard.contestants import DEFAULT, Group
from server.scorecard.synthetic import SyntheticCard, Table

_HEADS = {
    "auc_pr_pooled": "AUC-PR pooled",
    "auc_pr_macro": "AUC-PR macro",
    "vus_pr_macro": "VUS-PR macro",
    "event_recall": "events found at 1 %",
    "precision": "precision at 1 %",
    "top1_cause": "metric right",
}
_TITLES = {
    Group.OURS: "The default",
    Group.INSTALLED: "Other installed detectors, on the same features and baselines",
    Group.OUTSIDE: "Libraries' methods on raw metrics, standardised by device",
    Group.ABLATION: "The default with a part taken out, put together otherwise, or with a further part",
}
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Scorecard: {{ title }}</title>
<style>body{font:15px/1.5 system-ui,sans-serif;max-width:75rem;margin:2rem auto;padding:0 1rem}table{border-collapse:collapse;
margin:1rem 0}td,th{padding:.2rem .7rem;border-bottom:1px solid #ddd;text-align:right}td:first-child,th:first-child
{text-align:left}caption{text-align:left;font-weight:600}</style><h1>{{ title }}</h1><p>{{ about }}</p>
{% for caption, heads, rows in tables %}<table><caption>{{ caption }}</caption><tr>{% for head in heads %}<th>{{ head }}</th>
{% endfor %}</tr>{% for row in rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>{% endfor %}</table>
{% endfor %}{% for plot in plots %}{{ plot | safe }}{% endfor %}</html>
"""


def write_page(path: Path, card: Card | SyntheticCard) -> None:
    """Write a scorecard, with plotly's script in the file."""
    from jinja2 import Environment  # noqa: PLC0415 - half a second that other commands need not pay
    from plotly.io import to_html  # noqa: PLC0415 - as above

    figures = [_found(card)] if isinstance(card, SyntheticCard) else [_bars(card), _losses(card), _curves(card)]
    plots = [to_html(each, full_html=False, include_plotlyjs=number == 0) for number, each in enumerate(figures)]
    page = Environment(autoescape=True).from_string(_PAGE)
    path.write_text(page.render(title=card.title, about=_about(card), tables=tables(card), plots=plots))


def tables(card: Card | SyntheticCard) -> list[Table]:
    """Caption, heads and rows of every table."""
    if isinstance(card, SyntheticCard):
        return list(card.tables())
    heads = ["method", *_HEADS.values(), "cost"]
    return [(title, heads, _rows(card, group)) for group, title in _TITLES.items() if _lines(card, group)]


def figure(value: float | None, spread: float | None = None) -> str:
    """A measure in words, with half its spread where seeds differ."""
    if value is None:
        return ""
    return f"{value:.3f}" + (f" ± {spread / 2:.3f}" if spread else "")


def _lines(card: Card, group: Group) -> list[Line]:
    return [line for line in card.lines if line.group is group]


def _about(card: Card | SyntheticCard) -> str:
    if isinstance(card, SyntheticCard):
        return "A synthetic fleet is a smoke test: figures on it claim nothing about real telemetry."
    return (
        f"{card.judged:,} judged rows of {card.devices} devices, {card.events} events, base rate {card.base_rate:.3f}. "
        f"Means over {len(card.seeds)} seeds, ± half the spread. No point adjustment. VUS window {card.vus_window} rows. "
        "Cost: CPU of fitting and scoring as a multiple of the isolation forest's."
    )


def _rows(card: Card, group: Group) -> list[list[str]]:
    return [
        [line.name, *(figure(line.mean[name], line.spread[name]) for name in MEASURES), _cost(card, line)]
        for line in _lines(card, group)
    ]


def _cost(card: Card, line: Line) -> str:
    cost = card.cost(line)
    return "" if cost is None else f"{cost:.2f}"


def _bars(card: Card) -> Any:
    from plotly import graph_objects as go  # noqa: PLC0415 - half a second that other commands need not pay

    shown = [line for line in card.lines if line.group is not Group.ABLATION]
    bars = [
        go.Bar(name=_HEADS[name], x=[line.name for line in shown], y=[line.mean[name] for line in shown])
        for name in ("auc_pr_pooled", "auc_pr_macro", "vus_pr_macro")
    ]
    return go.Figure(bars, {"title": "How well rows are told apart", "barmode": "group"})


def _losses(card: Card) -> Any:
    from plotly import graph_objects as go  # noqa: PLC0415 - as above

    of, shown = card.line(DEFAULT), _lines(card, Group.ABLATION)
    bars = [
        go.Bar(name=_HEADS[name], x=[line.name for line in shown], y=[card.lost(line, of)[name] for line in shown])
        for name in ("auc_pr_pooled", "auc_pr_macro", "vus_pr_macro")
        if of is not None
    ]
    return go.Figure(bars, {"title": "Difference from the default (gains under .03 are noise)", "barmode": "group"})


def _curves(card: Card) -> Any:
    from plotly import graph_objects as go  # noqa: PLC0415 - as above

    lines = [
        go.Scatter(x=[recall for recall, _ in points], y=[precision for _, precision in points], name=name)
        for name, points in card.curves.items()
    ]
    layout = {"title": "Precision over recall, first seed", "xaxis": {"title": "recall"}, "yaxis": {"title": "precision"}}
    return go.Figure(lines, layout)


def _found(card: SyntheticCard) -> Any:
    from plotly import graph_objects as go  # noqa: PLC0415 - as above

    bars = [
        go.Bar(name=str(one.tier), x=[kind.type for kind in one.report.types], y=[kind.recall for kind in one.report.types])
        for one in card.tiers
        if one.report.types
    ]
    return go.Figure(bars, {"title": "Device spells found, by type and tier", "barmode": "group"})
