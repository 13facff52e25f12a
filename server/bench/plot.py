"""A benchmark as a picture: how many times better each row is than the other side, and how cost grows."""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from server.bench.report import BenchReport

_OURS, _OWED, _GREY = "#2a6f97", "#c1121f", "#6c757d"


def draw(report: BenchReport, path: Path) -> Path:
    """Draw the report as PNG; returns its path."""
    shown = [row for row in report.rows if row.ratio is not None]
    figure, axes = plt.subplots(1, 2, figsize=(15, 1.5 + 0.42 * max(len(shown), 6)), layout="constrained")
    _ratios(axes[0], report)
    _growth(axes[1], report)
    figure.suptitle(f"Anomalyst bench, {report.size}: medians of {report.rounds}, both sides in turns")
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path


def _ratios(axes: Axes, report: BenchReport) -> None:
    shown = [row for row in reversed(report.rows) if row.ratio is not None]
    axes.barh([f"{row.name}\nagainst {row.against}" for row in shown], [row.ratio or 0 for row in shown], color=_OURS)
    for at, row in enumerate(shown):
        axes.text(row.ratio or 0, at, f" {row.ratio:.3g} x", va="center")
        if row.owed:
            axes.plot([row.owed, row.owed], [at - 0.4, at + 0.4], color=_OWED, linewidth=2)
    axes.set_xscale("log")
    axes.axvline(1, color=_GREY, linewidth=0.8)
    axes.set_xlabel("times better (red: owed)")
    axes.tick_params(axis="y", labelsize=8)


def _growth(axes: Axes, report: BenchReport) -> None:
    for varied in dict.fromkeys(each.varied for each in report.growth):
        points = sorted((getattr(each, varied), each.cpu) for each in report.growth if each.varied == varied)
        smallest = points[0][0]
        axes.plot(
            [at / smallest for at, _ in points], [cpu for _, cpu in points], marker="o", label=f"{varied}, from {smallest:,}"
        )
    if report.growth:
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=2)
        axes.legend()
    axes.set_xlabel("times the smallest")
    axes.set_ylabel("CPU seconds of the whole process")
    axes.set_title("How our walk's cost grows")
