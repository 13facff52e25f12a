"""What a scorecard says, and the arithmetic of several seeds."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from server.scorecard.contestants import FOREST, Group
from server.scorecard.measures import Quality

MEASURES = ("auc_pr_pooled", "auc_pr_macro", "vus_pr_macro", "event_recall", "precision", "top1_cause")
Points = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Line:
    """One method: mean and spread (largest less smallest) of each measure over seeds; None where it was not measured."""

    name: str
    group: Group
    seeds: int
    mean: dict[str, float | None]
    spread: dict[str, float | None]
    fit_cpu: float
    """CPU seconds of one fit, the least over seeds."""
    score_cpu: float
    """CPU seconds of scoring every judged row once, the least over seeds."""

    @property
    def cpu(self) -> float:
        """CPU seconds of a fit and of scoring every judged row."""
        return self.fit_cpu + self.score_cpu


@dataclass(frozen=True, slots=True)
class Card:
    """A labelled file's scorecard."""

    source: str
    rows: int
    judged: int
    devices: int
    events: int
    base_rate: float
    vus_window: int
    seeds: tuple[int, ...]
    lines: tuple[Line, ...]
    curves: dict[str, Points]
    """Precision over recall of the first seed, (recall, precision), thinned."""

    @property
    def title(self) -> str:
        """What it is about."""
        return self.source

    def line(self, name: str) -> Line | None:
        """The line of a method."""
        return next((line for line in self.lines if line.name == name), None)

    def cost(self, line: Line) -> float | None:
        """CPU of fitting and scoring as a multiple of the installed forest's alone."""
        forest = self.line(FOREST)
        return line.cpu / forest.cpu if forest is not None and forest.cpu > 0 else None

    def lost(self, line: Line, of: Line) -> dict[str, float | None]:
        """How much less an ablation reaches than the line that it is one of, by measure."""
        return {name: _difference(line.mean[name], of.mean[name]) for name in MEASURES}

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        lines = [asdict(line) | {"cost": self.cost(line)} for line in self.lines]
        path.write_text(json.dumps(asdict(self) | {"lines": lines}, indent=1) + "\n")


def line_of(name: str, group: Group, found: Sequence[Quality], fit_cpu: Sequence[float], score_cpu: Sequence[float]) -> Line:
    """A line from what each seed gave."""
    figures = {measure: [getattr(one, measure) for one in found] for measure in MEASURES}
    known = {measure: [value for value in values if value is not None] for measure, values in figures.items()}
    mean = {measure: float(np.mean(values)) if values else None for measure, values in known.items()}
    spread = {measure: max(values) - min(values) if values else None for measure, values in known.items()}
    return Line(name, group, len(found), mean, spread, min(fit_cpu), min(score_cpu))


def _difference(mine: float | None, other: float | None) -> float | None:
    return None if mine is None or other is None else mine - other
