"""How every chart looks: readable on light and on dark, with colours that the colour-blind tell apart."""

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

import plotly.graph_objects as go

NORMAL, BAD, WAS, NOW, BAND, PEERS = (
    "#4c8fbd",
    "#d1495b",
    "#9aa5b1",
    "#1b8a83",
    "rgba(76,143,189,0.20)",
    "rgba(154,165,177,0.28)",
)
_INK = "#7b8794"
_GRID = "rgba(128,138,150,0.18)"
_LINE, _TITLE_LINE = 46, 36
_FONT = "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif"


def figure(traces: Sequence[Any], title: str, note: str, *, y: str = "", height: int = 290, **layout: Any) -> go.Figure:
    """The traces under a title, with a second, smaller line that says window, zone and n."""
    drawn = go.Figure(list(traces))
    drawn.update_layout(
        # what a screen reader is told; `page.js` puts it on the drawing
        meta={"summary": f"Chart: {title}. {note}. {_told(traces)}"},
        title={
            "text": f"<b>{_large(title)}</b>{_small(note)}",
            "font": {"size": 14, "color": _INK},
            "x": 0.015,
            "xref": "container",
            "yref": "container",
            "y": 1,
            "yanchor": "top",
            "pad": {"t": 14},
        },
        font={"family": _FONT, "size": 11, "color": _INK},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 52, "r": 14, "t": 46 + 18 * _large(title).count("<br>") + 14 * _small(note).count("<br>"), "b": 56},
        height=height,
        hovermode="x unified",
        hoverlabel={"font": {"color": "#1f2933"}, "bgcolor": "#f5f7fa"},
        legend={"orientation": "h", "y": -0.2, "x": 0, "yanchor": "top", "bgcolor": "rgba(0,0,0,0)"},
        bargap=0.15,
        dragmode="zoom",
    )
    drawn.update_layout(**layout)
    drawn.update_xaxes(gridcolor=_GRID, linecolor=_GRID, zeroline=False, automargin=True)
    drawn.update_yaxes(gridcolor=_GRID, linecolor=_GRID, zeroline=False, automargin=True, title={"text": plain(y)})
    return drawn


def _large(title: str) -> str:
    """The title in lines that a phone's width holds."""
    return "<br>".join(plain(line) for line in wrap(title, _TITLE_LINE))


def _small(note: str) -> str:
    """The note in smaller lines below the title, short enough for a phone."""
    lines = wrap(note.replace("n = ", "n\u00a0=\u00a0"), _LINE)
    return "".join(f"<br><span style='font-size:11px;color:{_INK}'>{plain(line)}</span>" for line in lines)


def _told(traces: Sequence[Any]) -> str:
    """Each named trace's range in words: what a look at the chart would tell first."""
    return " ".join(filter(None, (_range(trace) for trace in traces)))


def _range(trace: Any) -> str:
    if not trace.name or trace.type not in {"bar", "scatter"}:
        return ""
    values = trace.x if getattr(trace, "orientation", None) == "h" else trace.y
    known = [float(value) for value in values if isinstance(value, int | float)]
    if not known:
        return f"{trace.name}: no values."
    gaps = len(values) - len(known)
    return f"{trace.name}: {len(known)} values from {min(known):.4g} to {max(known):.4g}" + (
        f", {gaps} empty." if gaps else "."
    )


def plain(text: object, most: int = 110) -> str:
    """Foreign text for a chart, which would take tags in it for markup and `<a>` for a link."""
    told = str(text)
    shown = told[:most] + ("…" if len(told) > most else "")
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
