"""Incidents: what belongs together, whom it touches, and what people said of it."""

from datetime import datetime

from pydantic import Field

from server.domain.anomaly import IncidentKind, SeverityBand
from server.domain.answers.answer import Answer, Contrast, Page
from server.domain.feedback import ExpectedRule, Feedback, Verdict
from server.domain.telemetry import Frozen


class IncidentCard(Frozen):
    """An incident as lists show it."""

    id: str
    kind: IncidentKind
    title: str = Field(description="one line with counts and denominators; holds names that came from telemetry")
    metrics: tuple[str, ...]
    scope: dict[str, str] = Field(description="cohort columns, store, customer or device; empty for the whole fleet")
    start: datetime
    end: datetime
    severity: float
    band: SeverityBand
    devices: int
    devices_in_scope: int
    elsewhere_share: float = Field(description="share of devices outside the scope with the same trouble then")
    anomalies: int
    rolling: bool = Field(default=False, description="its devices share the scope but not the moment, as in an update wave")
    chance: float | None = Field(default=None, description="probability by chance, times the scopes tried")
    device_examples: tuple[str, ...] = Field(default=(), description="up to 5 of its devices")
    muted_by: str = Field(default="", description="expected rule that covers all its anomalies; empty if none does")


class IncidentPage(Page):
    """Incidents by severity times devices."""

    incidents: tuple[IncidentCard, ...]
    muted_left_out: int = Field(default=0, description="incidents that expected rules mute and that are not shown or counted")


class MetricCount(Frozen):
    """Anomalies of one metric: those where it is most at fault."""

    metric: str
    anomalies: int


class DevicePage(Frozen):
    """Some of an incident's devices, by name."""

    names: tuple[str, ...]
    total: int
    truncated: bool


class IncidentDetail(Answer):
    """One incident whole."""

    incident: IncidentCard
    devices: DevicePage
    metrics: tuple[MetricCount, ...] = Field(description="its anomalies by the metric most at fault, most first")
    verdicts: dict[Verdict, int] = Field(default={}, description="its rows by the current verdict on them")
    unjudged: int = Field(description="its anomalies without a verdict")
    notes: tuple[Feedback, ...] = Field(default=(), description="one verdict an act, newest first, up to 5")
    contrast: Contrast | None = Field(
        default=None, description="affected devices in its scope and elsewhere; None if its scope is the whole fleet"
    )
    muted_by: ExpectedRule | None = None
