"""What is remembered of decisions, so that people, the agent and suggestions can ask whether a case is new."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from server.domain.telemetry import Fleet, Frozen


class DecisionKind(StrEnum):
    """What was decided."""

    VERDICT = "verdict"
    MISSED = "missed"
    SUGGESTION = "suggestion"
    ROLLBACK = "rollback"


class RememberedDecision(Frozen):
    """One decision: one act of feedback (however many rows it judged), one decided suggestion, or one rollback.

    SQL is the truth; this can be made anew from it at any time. It labels nothing by itself.
    """

    id: str
    kind: DecisionKind
    fleet: Fleet
    outcome: str = Field(description="a verdict, or approved, rejected, applied, undone")
    words: str = Field(description="title and note, in the words of people; foreign text, quoted wherever it is shown")
    signature: dict[str, float] = Field(default={}, description="median robust z-score by feature of the rows concerned")
    domains: dict[str, str] = Field(default={}, description="metric domain by metric")
    cohort: tuple[str, ...] = Field(default=(), description="cohorts concerned, as shown, such as 'Zebra / TC57 / 13.4'")
    devices: tuple[str, ...] = Field(default=(), description="up to 20 of the devices concerned")
    metrics: tuple[str, ...] = ()
    rows: int = 0
    by: str
    time: datetime
    subject: str = Field(default="", description="incident or suggestion that it was about")
    undone: bool = Field(default=False, description="a rollback undid what came of it")


class RecallQuery(Frozen):
    """What a case looks like. Numbers and words are searched apart and fused by rank; filters restrict both."""

    tenant: str
    fleet: str | None = None
    signature: dict[str, float] = Field(default={})
    domains: dict[str, str] = Field(default={}, description="metric domain by metric; the built-in catalogue's where unset")
    words: str = ""
    kind: DecisionKind | None = None
    outcome: str | None = None
    metric: str | None = None
    cohort: str | None = None
    since: datetime | None = None


class Recalled(Frozen):
    """A remembered decision and how well it fits: `score` orders one recall's answers and means nothing across recalls."""

    decision: RememberedDecision
    score: float
    likeness: float | None = Field(default=None, description="cosine of the signatures, where both have one")
