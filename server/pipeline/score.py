"""Scoring: every row's score and severity, and for flagged rows which metrics are at fault, against what."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from server.detectors.base import DesignColumn, DesignMatrix
from server.detectors.stored import Trained
from server.domain.baseline import Statistic
from server.domain.telemetry import Transform
from server.pipeline.baselines import BaselineSet, RawFallback
from server.pipeline.features import without_nulls
from server.pipeline.normalize import Expectation, Normalizer, raw_matrix
from server.pipeline.parallel import in_order

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

TOP_METRICS = 5
_THIN_ROWS = 25.0


@dataclass(frozen=True, slots=True)
class Scoring:
    """A trained detector together with the baselines that its rows are normalised by."""

    trained: Trained
    baselines: BaselineSet | RawFallback
    name_every_row: bool = False
    """Whether `top_metric` is found for every row, and not only for those flagged."""


def score_telemetry(blocks: Iterable[pa.RecordBatch], scoring: Scoring, *, threads: int = 1) -> Iterator[pa.RecordBatch]:
    """Scores of each block of features, in order.

    Columns: device, cohort, store, customer (codes), time, score (lower is more abnormal), severity (0-100), is_anomaly,
    confidence (0-1), top_metric (null unless known) and contributions (JSON text, null unless flagged).
    """
    return in_order(_scorer(scoring), blocks, threads)


def score_some(
    blocks: Iterable[tuple[int, pa.RecordBatch | None]], scoring: Scoring, *, threads: int = 1
) -> Iterator[tuple[int, pa.RecordBatch | None]]:
    """Scores of blocks that carry a number along, in order; a block that is None stays None."""
    scored = _scorer(scoring)

    def score(numbered: tuple[int, pa.RecordBatch | None]) -> tuple[int, pa.RecordBatch | None]:
        number, block = numbered
        return number, None if block is None else scored(block)

    return in_order(score, blocks, threads)


def severity(scores: Floats, trained: Trained) -> Floats:
    """Severity 0-100: 0 at the median of the reference rows and above, 50 at the threshold, rising without ever being full.

    With e the score's distance from that median in units of the threshold's, it is 100 e / (1 + e), so order is never lost.
    """
    middle = trained.reference_scores[len(trained.reference_scores) // 2]
    reach = max(middle - trained.threshold, np.finfo(float).tiny)
    excess = np.maximum(middle - scores, 0.0) / reach
    return 100.0 * excess / (1.0 + excess)


def _scorer(scoring: Scoring) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
    trained, baselines, every = scoring.trained, scoring.baselines, scoring.name_every_row
    if isinstance(baselines, RawFallback):

        def score_raw(block: pa.RecordBatch) -> pa.RecordBatch:
            return score_block(block, raw_matrix(block, baselines), trained, None, name_every_row=every)

        return score_raw
    normalizer = Normalizer(baselines)

    def score_normal(block: pa.RecordBatch) -> pa.RecordBatch:
        return score_block(block, normalizer.matrix(block), trained, normalizer, name_every_row=every)

    return score_normal


def score_block(
    block: pa.RecordBatch,
    matrix: DesignMatrix,
    trained: Trained,
    normalizer: Normalizer | None,
    *,
    name_every_row: bool = False,
) -> pa.RecordBatch:
    """Scores of one block of features whose design matrix is made, as `score_telemetry` gives them.

    Without a `normalizer`, contributions name no level, typical value or n, and confidence knows nothing of thin baselines.
    """
    scores = trained.scorer.score(matrix)
    flagged = scores < trained.threshold
    rows = np.flatnonzero(flagged)
    named = np.arange(len(scores)) if name_every_row else rows
    credit = by_metric(trained.scorer.explain(matrix, named), matrix.columns)
    expected = normalizer.expectation(block, rows) if normalizer else None
    known = np.isfinite(matrix.z).mean(axis=1)
    confidence = known.copy()
    if expected is not None:
        confidence[rows] *= firmness(expected)
    flagged_credit = credit.take(flagged[named])
    described = _describe(block, matrix, rows, flagged_credit, expected)
    keys = {key: block.column(key) for key in ("device", "cohort", "store", "customer", "time")}
    return without_nulls(
        keys
        | {
            "score": scores,
            "severity": severity(scores, trained),
            "is_anomaly": flagged,
            "confidence": confidence,
            "top_metric": _spread(credit.first_names(), named, len(scores)),
            "contributions": _spread(described, rows, len(scores)),
        },
        but_in=("top_metric", "contributions"),
    )


@dataclass(frozen=True, slots=True)
class MetricCredit:
    """Contributions summed by metric, and each metric's strongest column; both of shape (rows, metrics)."""

    metrics: tuple[str, ...]
    total: Floats
    column: npt.NDArray[np.int64]

    def take(self, rows: npt.NDArray[np.bool_]) -> "MetricCredit":
        """The credit of some of the rows."""
        return MetricCredit(self.metrics, self.total[rows], self.column[rows])

    def first_names(self) -> list[str]:
        """The metric that contributed most to each row."""
        return [self.metrics[i] for i in self.total.argmax(axis=1)] if len(self.total) else []


def by_metric(credit: Floats, columns: tuple[DesignColumn, ...]) -> MetricCredit:
    """Contributions of columns, shape (rows, columns), gathered by metric."""
    metrics = tuple(dict.fromkeys(column.metric.name for column in columns))
    total = np.zeros((len(credit), len(metrics)))
    strongest = np.zeros(total.shape, np.int64)
    for index, metric in enumerate(metrics):
        own = np.array([i for i, column in enumerate(columns) if column.metric.name == metric])
        total[:, index] = credit[:, own].sum(axis=1)
        strongest[:, index] = own[credit[:, own].argmax(axis=1)] if len(credit) else 0
    return MetricCredit(metrics, total, strongest)


def _describe(
    block: pa.RecordBatch, matrix: DesignMatrix, rows: Rows, credit: MetricCredit, expected: Expectation | None
) -> list[str]:
    """Each flagged row's `Contribution`s as JSON text, strongest first."""
    share = credit.total / np.maximum(credit.total.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    order = np.argsort(-credit.total, axis=1, kind="stable")[:, :TOP_METRICS]
    chosen = np.take_along_axis(credit.column, order, axis=1)
    values = _feature_values(block, matrix.columns, rows, chosen)
    level, typical, n = np.zeros(chosen.shape, np.int64), np.full(chosen.shape, np.nan), np.zeros(chosen.shape)
    levels = ("null",)
    if expected is not None:
        levels = tuple(json.dumps(name) for name in expected.level_names)
        level = np.take_along_axis(expected.level, chosen, axis=1)
        typical = np.take_along_axis(expected.centre, chosen, axis=1)
        n = np.take_along_axis(expected.n, chosen, axis=1)
    numbers = (
        _shown(values, chosen, matrix.columns),
        _shown(typical, chosen, matrix.columns),
        np.nan_to_num(np.take_along_axis(matrix.z[rows], chosen, axis=1)),
        n,
        np.take_along_axis(share, order, axis=1),
    )
    known = (np.isfinite(number).astype(np.int64) for number in numbers[:2])
    templates = _templates(matrix.columns, levels)[chosen, level, *known].ravel().tolist()
    rowwise = zip(*(number.ravel().tolist() for number in numbers), strict=True)
    spelled = [template % row for template, row in zip(templates, rowwise, strict=True)]
    ranks = chosen.shape[1]
    return ["[" + ",".join(spelled[i : i + ranks]) + "]" for i in range(0, len(spelled), ranks)]


@lru_cache(maxsize=8)
def _templates(columns: tuple[DesignColumn, ...], levels: tuple[str, ...]) -> npt.NDArray[np.object_]:
    """A contribution's JSON but for five numbers, by column, level and whether its value and what is typical are known.

    Filled in by one `%`, which is several times faster than a call a number; `%.0s` takes a number and writes nothing.
    """
    templates = np.empty((len(columns), len(levels), 2, 2), object)
    number = ("null%.0s", "%.9g")
    for at in np.ndindex(templates.shape):
        column, level, value, typical = columns[at[0]], levels[at[1]], number[at[2]], number[at[3]]
        names = f'"metric":{json.dumps(column.metric.name)},"feature":{json.dumps(column.name)}'.replace("%", "%%")
        numbers = f'"value":{value},"typical":{typical},"z":%.7g,"level":{level},"n":%.0f,"share":%.7g'
        templates[at] = f"{{{names},{numbers}}}"
    return templates


def _shown(values: Floats, chosen: Rows, columns: tuple[DesignColumn, ...]) -> Floats:
    """Features in the metric's own unit where there is one: the mean of a log-transformed metric is turned back."""
    logged = np.array([column.metric.transform is Transform.LOG1P and column.statistic is Statistic.MEAN for column in columns])
    with np.errstate(over="ignore"):
        return np.where(logged[chosen], np.expm1(values), values)


def _feature_values(block: pa.RecordBatch, columns: tuple[DesignColumn, ...], rows: Rows, chosen: Rows) -> Floats:
    """The feature behind each chosen column of each row; shape (rows, ranks)."""
    values = np.full(chosen.shape, np.nan)
    for column in np.unique(chosen):
        about = columns[column]
        feature = block.column(f"{about.metric.name}_{about.statistic.value}").to_numpy()
        picked, rank = np.nonzero(chosen == column)
        values[picked, rank] = feature[rows[picked]]
    return values


def firmness(expected: Expectation) -> Floats:
    """How much the baselines behind each row can be relied on: n / (n + 25), averaged over columns."""
    firmness: Floats = (expected.n / (expected.n + _THIN_ROWS)).mean(axis=1)
    return firmness


def _spread(values: list[str], rows: Rows, length: int) -> pa.Array:
    """Text at some rows, each once and in ascending order; null at the others."""
    texts = pa.array(values, pa.string())
    _, offsets, data = texts.buffers()
    sizes = np.zeros(length + 1, np.int32)
    known = np.zeros(length, bool)
    if len(rows):
        sizes[rows + 1] = np.diff(np.frombuffer(offsets, np.int32, len(rows) + 1))
        known[rows] = True
    places = np.cumsum(sizes, dtype=np.int32)
    valid = pa.py_buffer(np.packbits(known, bitorder="little"))
    return pa.StringArray.from_buffers(length, pa.py_buffer(places), data, valid, length - len(rows))
