"""Why one row is an anomaly: claims, each with all that is needed to check it."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from server.domain.anomaly import SeverityBand
from server.domain.answers.answer import Answer, Contrast, Span
from server.domain.baseline import Level
from server.domain.feedback import Verdict
from server.domain.memory import Recalled
from server.domain.telemetry import Change, Frozen


class ExplainedMetric(Frozen):
    """One metric's part in an anomaly: what it was, against what, and what it was a day before."""

    metric: str
    feature: str
    unit: str = Field(default="", description="of value and typical; empty where it is not known or the feature has none")
    value: float | None
    typical: float | None
    z: float = Field(description="robust z-score: distance from typical in scales; 0 on raw features")
    direction: Literal["above", "below", "at"]
    level: Level | None = Field(description="the baseline level that it rests on; None on raw features")
    group: str = Field(default="", description="the group of that level")
    n: int
    version: int | None = Field(description="baseline version")
    share: float = Field(description="part of the whole score")
    day_before: float | None = Field(default=None, description="the same feature 24 h before, if it was known then")
    change: float | None = Field(default=None, description="value minus day_before")


class ClaimBaseline(Frozen):
    """What a claim compares with."""

    typical: float | None
    level: Level | None
    group: str
    n: int
    version: int | None


class ClaimKind(StrEnum):
    """What a claim speaks of."""

    HAPPENED = "happened"
    CONFIDENCE = "confidence"
    PEERS = "peers"
    CHANGE = "change"
    DECISIONS = "decisions"
    NEXT = "next"


class Claim(Frozen):
    """One sentence and all that is needed to check it."""

    kind: ClaimKind
    text: str
    metric: str = ""
    value: float | None = None
    unit: str = ""
    baseline: ClaimBaseline | None = None
    window: Span = Span()
    numbers: tuple[float, ...] = Field(default=(), description="every number of the text as computed, before rounding")


class Explanation(Answer):
    """Why one row of one device is an anomaly. Names and notes in it are foreign text."""

    anomaly: str
    device: str
    time: datetime
    cohort: str = ""
    site: str = ""
    incident: str = ""
    score: float = Field(description="lower is more abnormal")
    threshold: float
    severity: float
    band: SeverityBand
    confidence: float
    fallback: str = Field(default="", description="why it was found on raw features; empty if on z-scores")
    metrics: tuple[ExplainedMetric, ...] = Field(description="up to 5, strongest first")
    peers: Contrast | None = Field(default=None, description="devices with an anomaly that day: the cohort against the rest")
    changes: tuple[Change, ...] = Field(default=(), description="change-log rows of its scope in the week before, newest first")
    decisions: tuple[Recalled, ...] = Field(default=(), description="decisions on like cases, most like first")
    verdict: Verdict | None = None
    muted_by: str = ""
    claims: tuple[Claim, ...]
    text: str = Field(description="the claims in at most 150 words")
    next_tool: str = Field(description="the tool that shows more")
