"""What people say of anomalies: verdicts, reports of what was missed, and rules for what is expected."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from server.domain.telemetry import Fleet, Frozen

NOTE_LENGTH = 2_000
MOST_VERDICTS = 20_000
"""Anomalies that one act may judge."""


class Verdict(StrEnum):
    """A person's judgement of one anomaly, or of a row that should have been one."""

    FALSE_ALARM = "false_alarm"
    TRUE = "true"
    EXPECTED = "expected"
    MISSED = "missed"


class Feedback(Frozen):
    """One verdict on one device's row. What is said in one act (an incident, a filter) shares its `act`.

    A revised verdict is kept: `superseded` says when a later one took its place.
    """

    id: str
    act: str
    fleet: Fleet
    run: str
    verdict: Verdict
    anomaly: str = Field(default="", description="empty for a missed row that no run flagged")
    device: str
    time: datetime
    cohort: tuple[str, ...] = ()
    site: str = ""
    incident: str = ""
    metrics: tuple[str, ...] = Field(default=(), description="the metrics at fault, strongest first")
    signature: dict[str, float] = Field(default={}, description="robust z-score by feature, of the strongest metrics")
    rule: str = Field(default="", description="the expected rule that this verdict made, if it did")
    note: str = Field(default="", max_length=NOTE_LENGTH)
    author: str
    channel: str
    created: datetime
    superseded: datetime | None = None


class ExpectedRule(Frozen):
    """What is real but known: mutes anomalies of its scope, metrics and time unless they are worse than what was judged.

    It changes no baseline and no score; whatever it mutes says so.
    """

    id: str
    fleet: Fleet
    scope: dict[str, str] = Field(description="cohort column, `site` or `device` to value; empty for the whole fleet")
    metrics: tuple[str, ...] = Field(description="metrics at fault that are expected; empty for any")
    start: datetime
    until: datetime
    ceiling: float = Field(ge=0, le=100, description="severity above which it is worse than expected, and not muted")
    note: str = Field(default="", max_length=NOTE_LENGTH)
    author: str
    created: datetime
    ended: datetime | None = Field(default=None, description="when a person ended it early")


class FeedbackFilter(Frozen):
    """Which feedback is meant; what is unset does not restrict."""

    fleet: str | None = None
    run: str | None = None
    verdict: Verdict | None = None
    device: str | None = None
    metric: str | None = None
    anomaly: str | None = None
    act: str | None = None
    author: str | None = None
    current: bool = Field(default=True, description="only verdicts that no later one superseded")
