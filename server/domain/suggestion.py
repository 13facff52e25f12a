"""Suggested changes to what counts as normal, what they would do, and how a person decided."""

import hashlib
from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from server.domain.baseline import Adjustment
from server.domain.feedback import Verdict
from server.domain.settings import DetectorSettings
from server.domain.telemetry import Fleet, Frozen

UNLABELLED = "unlabelled"


class SuggestionKind(StrEnum):
    """What a suggestion would change."""

    BASELINE_ADJUSTMENT = "baseline_adjustment"
    DETECTOR_SETTINGS = "detector_settings"
    ROLLBACK = "rollback"


class SuggestionStatus(StrEnum):
    """Where a suggestion stands. `STALE`: the baselines it was made for are no longer in force."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    APPLIED = "applied"
    EXPIRED = "expired"
    STALE = "stale"


class Evidence(Frozen):
    """What a suggestion rests on."""

    verdicts: int = 0
    devices: int = 0
    authors: tuple[str, ...] = ()
    contradicting: int = Field(default=0, description="verdicts `true` on the same group and feature")
    affected_share: float | None = Field(default=None, description="share of the group's devices that are displaced as far")
    psi: float | None = Field(default=None, description="drift of the group's feature since the onset")
    feedback: tuple[str, ...] = Field(default=(), description="ids of the verdicts")
    remembered: tuple[str, ...] = Field(default=(), description="earlier decisions on like cases, in words")


class Suggestion(Frozen):
    """A change that a person may approve. Immutable; `digest` covers everything that a decision is about."""

    id: str
    fleet: Fleet
    run: str
    kind: SuggestionKind
    base_version: int = Field(description="the baseline version in force that it changes")
    adjustments: tuple[Adjustment, ...] = Field(default=(), description="moves at full size, each with its effective amount")
    settings: DetectorSettings | None = Field(default=None, description="the detector's settings as they would be")
    rollback_to: int | None = Field(default=None, description="the version whose adjustments would be in force again")
    learning_rate: float = Field(default=0.35, gt=0, le=1)
    evidence: Evidence = Evidence()
    reason: str
    proposer: str
    created: datetime
    expires: datetime

    @property
    def digest(self) -> str:
        """Hash of the whole suggestion: what an approval is bound to."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:32]


class Decision(Frozen):
    """What a person said to one suggestion, bound to its digest. `override` names gate findings that they accept."""

    suggestion: str
    digest: str
    approved: bool
    by: str
    channel: str
    time: datetime
    expires: datetime = Field(description="an approval that is not applied by then is none")
    reason: str = ""
    override: tuple[str, ...] = ()


class StandingSuggestion(Frozen):
    """A suggestion, where it stands now, and what was decided."""

    suggestion: Suggestion
    status: SuggestionStatus
    decision: Decision | None = None
    applied_version: int | None = None
    preview: "Preview | None" = Field(default=None, description="the newest preview, if one was made")


class PreviewRow(Frozen):
    """A row whose alarm a change would remove or add."""

    anomaly: str
    device: str
    time: datetime
    metric: str
    severity_before: float
    severity_after: float
    verdict: Verdict | Literal["unlabelled"] = UNLABELLED
    note: str = ""


class IncidentEffect(Frozen):
    """What a change would do to a known incident."""

    id: str
    title: str
    anomalies_before: int
    anomalies_after: int
    devices_before: int
    devices_after: int
    delay_hours: float | None = Field(description="how much later its first anomaly would come; None if none is left")


class GateFinding(Frozen):
    """One rule of the gate. One that is not `passed` closes it, unless a second person overrides it where that is allowed."""

    rule: str
    passed: bool
    overridable: bool
    detail: str


class Preview(Frozen):
    """What a change would do to a run's frozen window, re-scored: exactly what applying it then does."""

    suggestion: str
    digest: str = Field(description="of the suggestion, the window and the verdicts that it was counted with")
    run: str
    base_version: int
    start: datetime
    end: datetime
    rows: int = Field(description="rows in the window")
    rows_rescored: int
    devices: int = Field(description="devices that the change touches")
    alarms_before: int = Field(description="flagged rows in the whole window")
    alarms_after: int
    removed: dict[str, int] = Field(description="flagged rows that would no longer be, by verdict or `unlabelled`")
    added: dict[str, int] = Field(description="rows that would newly be flagged, likewise")
    by_day: tuple[tuple[str, int, int], ...] = Field(default=(), description="day (UTC), alarms before, alarms after")
    removed_examples: tuple[PreviewRow, ...] = ()
    added_examples: tuple[PreviewRow, ...] = ()
    hidden_true: tuple[PreviewRow, ...] = Field(default=(), description="removed rows that a person marked true")
    incidents: tuple[IncidentEffect, ...] = ()
    injected_recall_before: float | None = Field(default=None, description="share of injected faults flagged now")
    injected_recall_after: float | None = None
    false_alarms_left: tuple[int, ...] = Field(
        default=(), description="rows judged false_alarm that stay flagged after 1, 2, 3... approvals of this size"
    )
    gate: tuple[GateFinding, ...] = ()
    seconds: float = Field(default=0.0, description="time that it took to compute")

    @property
    def open(self) -> bool:
        """Whether nothing speaks against the change."""
        return all(finding.passed for finding in self.gate)


class Effect(Frozen):
    """An entry of the effect ledger: what was changed on whose word, what was promised, and what happened."""

    suggestion: str
    fleet: Fleet
    run: str
    kind: SuggestionKind
    version_before: int
    version_after: int
    feedback: tuple[str, ...]
    approver: str
    applied: datetime
    promised: Preview
    alarms_before: int
    alarms_after: int | None = Field(default=None, description="None until the window is scored again")
    removed: dict[str, int] = Field(default={}, description="what happened, as in the promise")
    added: dict[str, int] = Field(default={})
    scores_before: str = Field(default="", description="the run's scores artifact before the change")
    undone_by: str = Field(default="", description="the rollback's suggestion, if one undid it")


class Applied(Frozen):
    """What applying a suggestion led to."""

    suggestion: str
    version_before: int
    version_after: int
    effect: Effect
    run: str
    next_tool: str | None = Field(default=None, description="the stage still to be done, if re-scoring did not end")


StandingSuggestion.model_rebuild()
