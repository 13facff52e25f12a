"""VUS-PR: the volume under the surface of precision, recall and tolerated displacement (Paparrizos et al. 2022)."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]

_THRESHOLDS = 250


def spans(label: Flags) -> Rows:
    """First row and end of each run of labelled rows; shape (runs, 2)."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], label, [False]))))
    return edges.reshape(-1, 2)


def vus_pr(label: Flags, severity: Floats, window: int) -> float:
    """Mean area under the range-based precision-recall curve over all buffer widths from 0 to `window` rows.

    For each width, labels fade out as sqrt(1 - d / width) over half a width on both sides of an event, a positive counts
    as the mean of the labels alone and of those and the flagged fade, and recall is scaled by the share of events found.
    Thresholds are 250 evenly spaced ranks. NaN where no row or every row is labelled.
    """
    if label.all() or not label.any():
        return float("nan")
    descending = -np.sort(-severity)
    thresholds = descending[np.linspace(0, len(severity) - 1, _THRESHOLDS).astype(np.int64)]
    # the first threshold that each row reaches: all that is asked of a row can then be counted by it
    level = np.searchsorted(-thresholds, -severity, "left")
    flagged = _cumulated(level)
    flagged_labels = _cumulated(level[label])
    events = spans(label)
    areas = [_area(label, level, events, width, (flagged, flagged_labels)) for width in range(window + 1)]
    return float(np.mean(areas))


def _area(label: Flags, level: Rows, events: Rows, width: int, counts: tuple[Floats, Floats]) -> float:
    flagged, flagged_labels = counts
    positives = float(label.sum())
    rows, fade = _fade(label, events, width)
    flagged_fade = _cumulated(level[rows], fade)
    hits = flagged_labels + flagged_fade
    existing = positives + flagged_fade
    recall = np.minimum(hits / ((positives + existing) / 2), 1.0) * _found(level, events, width)
    return float((np.diff(recall, prepend=0.0) * hits / flagged).sum())


def _fade(label: Flags, events: Rows, width: int) -> tuple[Rows, Floats]:
    """Unlabelled rows within half a width of an event, and how much of a label each has: what several events give, up to 1."""
    faded = np.zeros(len(label))
    steps = np.arange(1, width // 2 + 1)
    height = np.sqrt(1 - steps / max(width, 1))
    for start, end in events:
        for rows in (start - steps, end - 1 + steps):
            inside = (rows >= 0) & (rows < len(label))
            faded[rows[inside]] += height[inside]
    near = np.flatnonzero((faded > 0) & ~label)
    return near, np.minimum(faded[near], 1.0)


def _found(level: Rows, events: Rows, width: int) -> Floats:
    """Share of events, widened by half a width and united where they then touch, that each threshold finds."""
    half = width // 2
    apart = events[:-1, 1] - 1 + half < events[1:, 0] - half
    starts = np.maximum(np.concatenate((events[:1, 0], events[1:, 0][apart])) - half, 0)
    ends = np.minimum(np.concatenate((events[:-1, 1][apart], events[-1:, 1])) + half, len(level))
    first = np.array([level[start:end].min() for start, end in zip(starts, ends, strict=True)])
    return _cumulated(first) / len(first)


def _cumulated(level: Rows, weight: Floats | None = None) -> Floats:
    """How many rows, or how much weight, lies at or above each threshold."""
    found: Floats = np.cumsum(np.bincount(level, weight, minlength=_THRESHOLDS), dtype=np.float64)[:_THRESHOLDS]
    return found
