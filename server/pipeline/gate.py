"""The gate: what has to hold of a previewed change before a person's approval is enough."""

from collections.abc import Sequence
from dataclasses import dataclass

from server.domain.feedback import Verdict
from server.domain.suggestion import GateFinding

HIDES_TRUE = "hides_true"
RECALL = "injected_recall"
MOVE = "size_of_move"
DRIFT = "total_drift"
NEW_ALARMS = "new_alarms"
_RECALL_LOSS = 0.05
_THRESHOLD_LOSS = 0.5
"""Share of the planted faults found now: a higher threshold is asked for to find less, but not next to nothing."""
_NEW_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Measured:
    """What the gate looks at; moves and drift in robust scales."""

    removed: dict[str, int]
    added: dict[str, int]
    alarms_before: int
    recall_before: float | None
    recall_after: float | None
    largest_move: float
    total_drift: float


def gate(
    measured: Measured, *, max_move: float, max_drift: float, adds_are_wanted: bool = False, sets_threshold: bool = False
) -> Sequence[GateFinding]:
    """A finding for each rule, in a fixed order. `adds_are_wanted` for changes that are made to find more.

    `sets_threshold` for those of the detector's settings, which may find up to half fewer of the planted faults.
    """
    hidden, new = measured.removed.get(Verdict.TRUE.value, 0), sum(measured.added.values())
    before, after = measured.recall_before, measured.recall_after
    lost = before - after if before is not None and after is not None else 0.0
    may_lose = _THRESHOLD_LOSS * (before or 0.0) if sets_threshold else _RECALL_LOSS
    share, gone = new / max(measured.alarms_before, 1), sum(measured.removed.values())
    return (
        GateFinding(
            rule=HIDES_TRUE,
            passed=hidden == 0,
            overridable=True,
            detail=f"{hidden:,} anomalies that people marked true would no longer be flagged",
        ),
        GateFinding(
            rule=RECALL,
            passed=lost <= may_lose,
            overridable=True,
            detail="no fault could be planted to try it"
            if before is None or after is None
            else f"of planted faults {100 * before:.1f} % are found now, {100 * after:.1f} % would be",
        ),
        GateFinding(
            rule=MOVE,
            passed=measured.largest_move <= max_move * (1 + 1e-9),
            overridable=False,
            detail=f"the largest move is {measured.largest_move:.2f} robust scales, the bound {max_move:g}",
        ),
        GateFinding(
            rule=DRIFT,
            passed=measured.total_drift <= max_drift * (1 + 1e-9),
            overridable=False,
            detail=f"all approvals together move a centre by {measured.total_drift:.2f} scales, the bound is {max_drift:g}",
        ),
        GateFinding(
            rule=NEW_ALARMS,
            passed=adds_are_wanted or share <= _NEW_SHARE,
            overridable=True,
            detail=f"{new:,} rows would newly be flagged, {100 * share:.1f} % of the {measured.alarms_before:,} flagged now; "
            f"{gone:,} would go",
        ),
    )
