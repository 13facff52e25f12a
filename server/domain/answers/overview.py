"""Whether a fleet's answers can be trusted, and what a dashboard draws."""

from datetime import datetime

from pydantic import Field

from server.domain.answers.answer import Answer
from server.domain.answers.incidents import IncidentPage
from server.domain.answers.normal import DetectorReport
from server.domain.baseline import BaselineVersion
from server.domain.feedback import ExpectedRule
from server.domain.run import Stage
from server.domain.suggestion import StandingSuggestion
from server.domain.telemetry import FleetHealth, Frozen


class StageState(Frozen):
    """A stage that is not done and fresh."""

    stage: Stage
    why: str


class HealthReport(Answer):
    """Whether answers can be trusted, and why not."""

    health: FleetHealth
    hours_since: float | None = Field(description="hours from the last event time to now")
    run_created: datetime | None = None
    run_finished: datetime | None = Field(default=None, description="when its anomalies were persisted")
    pending: tuple[StageState, ...] = Field(default=(), description="stages of the newest run still to be done")
    rows_since_run: int = Field(default=0, description="rows stored since the run froze its window")
    stale: bool = Field(description="whether there is telemetry that no persisted run has seen, or a stage is to be done anew")
    trusted: bool = Field(description="whether nothing but its age speaks against what is stored")
    warnings: tuple[str, ...] = ()
    next_tool: str | None = None


class DayCount(Frozen):
    """One day (UTC)."""

    day: str
    rows: int
    anomalies: int
    devices: int = Field(description="devices with an anomaly")


class Overview(Answer):
    """What a dashboard draws."""

    health: HealthReport
    incidents: IncidentPage
    by_day: tuple[DayCount, ...]
    detector: DetectorReport | None = Field(description="None before a run was persisted")
    baseline: BaselineVersion | None
    suggestions: tuple[StandingSuggestion, ...] = Field(default=(), description="pending, newest first, up to 5")
    suggestions_pending: int = 0
    rules: tuple[ExpectedRule, ...] = Field(default=(), description="expected rules in force, newest first, up to 20")
    rules_in_force: int = 0
