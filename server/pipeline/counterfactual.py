"""What a change of baselines or detector would do to a frozen window: the rows it touches, scored again beside what is stored.

Rows that no changed adjustment reaches cannot change, and are not scored again; so a preview costs what it touches, and what it
promises is exactly what applying the change then does.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from server.detectors.stored import Trained
from server.domain.baseline import Adjustment, Level, Statistic
from server.domain.telemetry import HarmfulDirection, Metric
from server.pipeline.baselines import BaselineSet, RawFallback
from server.pipeline.displacement import microseconds
from server.pipeline.normalize import Normalizer, normalize
from server.pipeline.parts import read_columns
from server.pipeline.score import severity
from server.pipeline.table import FeatureTable

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_FAULT_SIZES = (8.0, 12.0)
"""Own robust scales that injected faults move a metric's mean by: clear, and unmistakable."""
_FAULT_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Stored:
    """Columns of a scores artifact, in the order of its features: what is shown now."""

    device: npt.NDArray[np.int32]
    time: Rows
    flagged: Flags
    severity: Floats

    @classmethod
    def read(cls, scores: Path) -> "Stored":
        """The artifact's columns."""
        table = read_columns(scores, ["device", "time", "is_anomaly", "severity"])
        device, time, flagged, severe = (table.column(name).to_numpy() for name in table.column_names)
        return cls(device, time, flagged.astype(bool), severe)


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """The stored scores and what they would be: `rows` are the places of the rows that were scored again."""

    before: Stored
    rows: Rows
    flagged: Flags
    severity: Floats

    def flagged_after(self) -> Flags:
        """Which rows of the whole window would be flagged."""
        after = self.before.flagged.copy()
        after[self.rows] = self.flagged
        return after

    def severity_after(self) -> Floats:
        """Severity of every row of the whole window as it would be."""
        after = self.before.severity.copy()
        after[self.rows] = self.severity
        return after


@dataclass(frozen=True, slots=True)
class Reach:
    """Which rows a set of changed adjustments can move: places in the table, in its order."""

    rows: Rows
    devices: npt.NDArray[np.int64]


def reach_of(table: FeatureTable, baselines: BaselineSet, changed: Sequence[Adjustment]) -> Reach:
    """Rows of the adjustments' groups at or after they begin, or a window before: one may become part of an earlier step."""
    cohort, device, time = table.key("cohort"), table.key("device"), table.time
    site = baselines.grouping.site_codes(cohort, table.key(baselines.grouping.site_key)) if baselines.grouping.sites else None
    codes = {Level.GLOBAL: np.zeros_like(device), Level.COHORT: cohort, Level.SITE: site, Level.DEVICE: device}
    groups = {level.level: level.groups for level in baselines.levels}
    moved = np.zeros(table.rows, bool)
    for each in changed:
        code = codes[each.level]
        if code is not None and each.group in groups[each.level]:
            mine = code == groups[each.level].index(each.group)
            moved |= mine if each.since is None else mine & (time >= microseconds(each.since - baselines.plan.window))
    rows = np.flatnonzero(moved)
    return Reach(rows, np.unique(device[rows]).astype(np.int64))


def changed_adjustments(before: Sequence[Adjustment], after: Sequence[Adjustment]) -> tuple[Adjustment, ...]:
    """Those that one of the two overlays has more often than the other."""
    had, has = Counter(before), Counter(after)
    return (*(had - has), *(has - had))


def score_again(
    table: FeatureTable, stored: Stored, reach: Reach, baselines: BaselineSet | RawFallback, trained: Trained, *, threads: int
) -> Counterfactual:
    """The reached rows under other baselines or another detector."""
    scored = [
        trained.scorer.score(matrix)
        for matrix in normalize(table.blocks_at(reach.rows), baselines, threads=threads)
        if len(matrix.z)
    ]
    scores = np.concatenate(scored) if scored else np.empty(0)
    return Counterfactual(stored, reach.rows, scores < trained.threshold, severity(scores, trained))


def injected_recall(
    table: FeatureTable, stored: Stored, reach: Reach, metrics: Sequence[Metric], baselines: BaselineSet, trained: Trained
) -> float | None:
    """Share of faults planted in reached rows that would be flagged; None where there is no unflagged row to plant them in.

    A fault moves a metric's window mean by 8 or 12 of the row's own robust scales towards harm, in up to 1,000 evenly spaced
    rows that are not flagged now. The same rows are taken whatever the baselines, so that two recalls can be compared.
    """
    free = reach.rows[~stored.flagged[reach.rows]]
    chosen = free[np.linspace(0, max(len(free) - 1, 0), min(len(free), _FAULT_ROWS)).round().astype(np.int64)]
    if len(chosen) == 0 or not metrics:
        return None
    blocks = list(table.blocks_at(chosen))
    found: list[Flags] = []
    estimate = Normalizer(baselines.estimate)
    for metric in metrics:
        for size in _FAULT_SIZES:
            for sign in _harmful_signs(metric):
                faulty = (_with_fault(block, metric, sign * size, baselines, estimate) for block in blocks)
                found += [trained.scorer.score(matrix) < trained.threshold for matrix in normalize(faulty, baselines)]
    return float(np.mean(np.concatenate(found)))


def total_drift(baselines: BaselineSet, reach: Reach, table: FeatureTable) -> float:
    """The farthest that all adjustments together move any reached row's feature, in robust scales of the groups moved."""
    first = reach.rows[np.unique(table.key("device")[reach.rows], return_index=True)[1]]
    farthest: dict[tuple[int, str], float] = {}
    for each in baselines.adjustments:
        own = set(reach_of(table, baselines, [each]).devices.tolist())
        for device in table.key("device")[first].tolist():
            if device in own:
                farthest[device, each.feature] = farthest.get((device, each.feature), 0.0) + each.in_scales
    return max((abs(drift) for drift in farthest.values()), default=0.0)


def _harmful_signs(metric: Metric) -> tuple[float, ...]:
    return {HarmfulDirection.HIGHER: (1.0,), HarmfulDirection.LOWER: (-1.0,)}.get(metric.harmful, (1.0, -1.0))


def _with_fault(
    block: pa.RecordBatch, metric: Metric, size: float, baselines: BaselineSet, estimate: Normalizer
) -> pa.RecordBatch:
    """The block with the metric's mean at so many own scales from what telemetry alone says is typical."""
    name = f"{metric.name}_{Statistic.MEAN.value}"
    index = [feature.name for feature in baselines.features].index(name)
    gap, z = estimate.gaps(block, np.array([index]))
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.where(z[:, 0] != 0, gap[:, 0] / z[:, 0], 1.0)
    values = block.column(name).to_numpy() + size * scale
    return block.set_column(block.schema.get_field_index(name), block.schema.field(name), pa.array(values))
