"""Anomalies: flagged rows, in lists and whole."""

from datetime import datetime

from pydantic import Field

from server.domain.anomaly import Anomaly, SeverityBand
from server.domain.answers.answer import Answer, Page
from server.domain.baseline import Level
from server.domain.feedback import ExpectedRule, Feedback, Verdict
from server.domain.telemetry import Frozen


class AnomalyCard(Frozen):
    """An anomaly as lists show it, with its strongest metric."""

    id: str
    device: str
    time: datetime
    severity: float
    band: SeverityBand
    confidence: float
    metric: str = Field(description="the metric most at fault; empty if nothing is known")
    feature: str = ""
    value: float | None = Field(default=None, description="of the feature")
    typical: float | None = None
    unit: str = ""
    z: float | None = None
    level: Level | None = None
    n: int = Field(default=0, description="rows that what is typical rests on")
    incident: str = ""
    verdict: Verdict | None = None
    muted_by: str = ""


class AnomalyPage(Page):
    """Anomalies, worst first. Muted ones are among them and say so."""

    anomalies: tuple[AnomalyCard, ...]


class AnomalyDetail(Answer):
    """One anomaly whole."""

    anomaly: Anomaly
    band: SeverityBand
    units: dict[str, str] = Field(default={}, description="unit by metric, where it is known")
    verdict: Feedback | None = Field(default=None, description="the current verdict on it")
    muted_by: ExpectedRule | None = None
