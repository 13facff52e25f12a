"""One device: beside its peers, and through time."""

from datetime import datetime, timedelta

from pydantic import Field

from server.domain.answers.answer import Answer, Contrast, Rate
from server.domain.baseline import Level
from server.domain.telemetry import Frozen


class PeerMetric(Frozen):
    """One metric of a device beside its cohort; each device counts once, with its median over the window."""

    metric: str
    unit: str = ""
    device_median: float | None = Field(description="None if it has no value in the window")
    device_rows: int = Field(description="rows with a value")
    cohort_median: float | None
    cohort_q1: float | None
    cohort_q3: float | None
    devices: int = Field(description="devices of the cohort with a value, itself among them")
    rank: int | None = Field(default=None, description="1 is the highest median of the cohort")
    percentile: float | None = Field(default=None, ge=0, le=100, description="share of the other devices below it, in percent")


class PeerComparison(Answer):
    """A device beside the devices of its cohort."""

    device: str
    cohort: str
    metrics: tuple[PeerMetric, ...] = Field(description="farthest from the cohort's middle first")
    device_rate: Rate = Field(description="the device's anomalous rows")
    contrast: Contrast = Field(description="anomalous rows: the cohort (without the device) against the rest of the fleet")


class TimelinePoint(Frozen):
    """One step of a timeline. Bands are of the metric in its own unit, None where they are not known."""

    time: datetime = Field(description="beginning of the step")
    value: float | None = Field(description="mean of the measured values; None is a gap")
    mean: float | None = Field(default=None, description="mean of the rolling window: what is judged by the band")
    low: float | None = Field(default=None, description="typical minus 3 scales")
    centre: float | None = None
    high: float | None = Field(default=None, description="typical plus 3 scales")
    peers_low: float | None = Field(default=None, description="first quartile of the cohort's other devices in the step")
    peers_centre: float | None = None
    peers_high: float | None = None
    anomalies: tuple[str, ...] = Field(default=(), description="ids of the anomalies in the step")
    severity: float | None = Field(default=None, description="of the worst of them")


class Timeline(Answer):
    """One metric of one device through time."""

    device: str
    metric: str
    unit: str = ""
    level: Level | None = Field(default=None, description="baseline level of the last step")
    n: int = Field(default=0, description="rows that it rests on")
    version: int | None = None
    step: timedelta = Field(description="between points")
    interval: timedelta = Field(description="the fleet's sampling rhythm")
    rows: int = Field(description="rows of the device in the window")
    values: int = Field(description="of these, with a value of the metric")
    peers: int = Field(description="other devices of the cohort in the bands")
    anomalies: int
    points: tuple[TimelinePoint, ...]
    truncated: bool = Field(description="whether points stand for several rows each")
