"""Measures of severities against labels. No point adjustment: every labelled row counts by itself."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from server.scorecard.volume import spans, vus_pr

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]

BUDGET = 0.01
"""Share of rows that an alarm budget allows."""
_LONGEST_WINDOW = 100


@dataclass(frozen=True, slots=True)
class Answers:
    """Labels of the rows that are judged, sorted by device and time; `bounds` the first row of each device and the end."""

    label: Flags
    bounds: Rows

    @property
    def devices(self) -> list[slice]:
        """The rows of each device."""
        return [slice(int(start), int(end)) for start, end in zip(self.bounds[:-1], self.bounds[1:], strict=True)]

    def events(self) -> Iterator[slice]:
        """Each event's rows: a device's labelled rows without a gap."""
        for rows in self.devices:
            for start, end in spans(self.label[rows]):
                yield slice(rows.start + int(start), rows.start + int(end))

    def window(self) -> int:
        """Rows that VUS widens events by where nobody says: the median event's length, 2 to 100."""
        lengths = [event.stop - event.start for event in self.events()]
        return int(min(_LONGEST_WINDOW, max(2, np.median(lengths)))) if lengths else 2


@dataclass(frozen=True, slots=True)
class Quality:
    """How well severities tell labelled rows from others; None where there is nothing to tell apart."""

    auc_pr_pooled: float | None
    auc_pr_macro: float | None
    vus_pr_macro: float | None
    event_recall: float | None
    precision: float | None
    top1_cause: float | None = None


def quality(answers: Answers, severity: Floats, window: int, top1_cause: float | None = None) -> Quality:
    """All measures: AUC-PR pooled over devices and its mean over them, mean VUS-PR, and events and rows within the budget."""
    from sklearn.metrics import average_precision_score  # noqa: PLC0415 - brings scikit-learn

    label = answers.label
    telling = [rows for rows in answers.devices if 0 < label[rows].sum() < rows.stop - rows.start]
    flagged = within_budget(severity)
    events = [flagged[event].any() for event in answers.events()]
    return Quality(
        float(average_precision_score(label, severity)) if label.any() else None,
        _mean([float(average_precision_score(label[rows], severity[rows])) for rows in telling]),
        _mean([vus_pr(label[rows], severity[rows], window) for rows in telling]),
        _mean([float(found) for found in events]),
        float(label[flagged].mean()),
        top1_cause,
    )


def within_budget(severity: Floats, share: float = BUDGET) -> Flags:
    """The worst share of all rows, at least one; of equal ones the earlier."""
    flagged = np.zeros(len(severity), bool)
    flagged[np.argsort(-severity, kind="stable")[: max(1, round(share * len(severity)))]] = True
    return flagged


def _mean(figures: list[float]) -> float | None:
    return float(np.mean(figures)) if figures else None
