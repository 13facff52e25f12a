"""What the server answers when asked what is wrong, why, since when, and whether its numbers can be trusted.

Every answer has a `summary` with its numbers; counts are those of the stores, rates carry their denominators, times are UTC.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from pydantic import Field

from server.domain.anomaly import Anomaly, FeatureDrift, IncidentKind, ScoreDrift, SeverityBand
from server.domain.baseline import Adjustment, Baseline, BaselineVersion, DetectorVersion, Level
from server.domain.feedback import ExpectedRule, Feedback, Verdict
from server.domain.memory import Recalled
from server.domain.run import Stage
from server.domain.settings import DetectorSettings
from server.domain.suggestion import StandingSuggestion
from server.domain.telemetry import Change, FleetHealth, Frozen

Scalar = str | float | int | bool | None


class Span(Frozen):
    """First and last moment, both inclusive; None where there is nothing."""

    first: datetime | None = None
    last: datetime | None = None
    zone: Literal["UTC"] = "UTC"


class Answer(Frozen):
    """What every answer says of itself."""

    summary: str = Field(description="one plain sentence with the numbers")
    fleet: str
    run: str = Field(default="", description="the run whose anomalies it speaks of; empty if of none")
    window: Span = Field(default=Span(), description="the event times that it speaks of")
    telemetry_until: datetime | None = Field(default=None, description="last event time that the fleet has: how fresh it is")


class Page(Answer):
    """Some of many; ask again with `offset` for the others."""

    total: int
    offset: int = 0
    truncated: bool = Field(description="whether there are more after these")


class Rate(Frozen):
    """A share with both of its numbers."""

    count: int
    of: int
    what: str = Field(description="what is counted, such as 'devices' or 'rows'")

    @property
    def share(self) -> float:
        """0 where there is nothing to take a share of."""
        return self.count / self.of if self.of else 0.0


class Contrast(Frozen):
    """The same rate inside a group and outside it."""

    group: str
    inside: Rate
    outside: Rate


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


class BaselinePage(Answer):
    """What is normal, for whom. Values of log-transformed metrics are in logarithms."""

    version: BaselineVersion
    in_force: int = Field(description="the version in force")
    adjustments: tuple[Adjustment, ...] = Field(description="approved adjustments of that version, up to 100")
    baselines: tuple[Baseline, ...]
    offset: int = 0
    total: int | None = Field(description="None: there are more than these, not counted")
    truncated: bool


class DetectorReport(Answer):
    """The detector that made the newest anomalies."""

    version: DetectorVersion
    settings: DetectorSettings
    feature_window: timedelta
    feature_lag: timedelta
    baseline_version: int | None = Field(description="None: raw features")
    fallback: str = Field(default="", description="why raw features are used")
    trained_rows: int
    flagged: Rate = Field(description="flagged rows of the run")
    expected_share: float = Field(description="share below the threshold when it was calibrated")
    reference_quantiles: dict[str, float] = Field(description="scores of reference rows at 0, 0.01, 0.05, 0.25, 0.5, 0.75, 1")


class ScoreDistribution(Answer):
    """How severities spread. Right-skewed is as it should be."""

    edges: tuple[float, ...] = Field(description="of severity, one more than counts")
    normal: tuple[int, ...]
    anomalous: tuple[int, ...]
    threshold_severity: float = 50.0
    threshold: float = Field(description="as a score")
    severity_quantiles: dict[str, float]
    flagged: Rate


class DriftReport(Page):
    """How far features and scores have moved: rows from `since` on against earlier ones."""

    since: datetime
    features: tuple[FeatureDrift, ...] = Field(description="largest index first")
    drifted: int = Field(description="features and groups with an index of 0.25 or more")
    scores: ScoreDrift


class RankedChange(Frozen):
    """A recorded change and how well having it explains who is affected. Association, not proof."""

    id: str
    change: Change
    hours_before_onset: float = Field(description="negative: it came after")
    exposed: Rate = Field(description="affected devices among those that have the change")
    unexposed: Rate = Field(description="affected devices among those that do not have it (yet)")
    difference: float | None = Field(description="exposed share minus unexposed share; None without both groups")
    chance: float | None = Field(description="Fisher's exact test, one-sided: so great a difference by chance")
    enough: bool = Field(description="whether both groups have 10 devices: below that nothing is concluded")
    words: str


class ChangeReport(Page):
    """What was changed around an onset, what explains most first."""

    incident: str = ""
    onset: datetime | None
    affected: int = Field(description="devices that are affected")
    changes: tuple[RankedChange, ...]


class AtRiskDevice(Frozen):
    """A device that is exposed and not yet affected."""

    device: str
    cohort: str
    site: str = ""
    exposed_since: datetime
    last_seen: datetime


class AtRiskPage(Page):
    """Exposed, not yet affected devices, longest exposed first."""

    scope: dict[str, str]
    exposed: Rate = Field(description="affected devices among those exposed")
    devices: tuple[AtRiskDevice, ...]


class RankedGroup(Frozen):
    """One group and how much of it is anomalous."""

    group: str
    anomalies: int
    rows: int
    rate: float = Field(description="anomalies over rows")
    affected: int = Field(description="devices with an anomaly")
    devices: int
    worst_metric: str = ""


class GroupRanking(Page):
    """Groups by anomaly rate, worst first."""

    by: str
    metric: str | None = Field(default=None, description="only anomalies where this metric is most at fault; None: all")
    groups: tuple[RankedGroup, ...]
    whole: Rate = Field(description="anomalous rows of the whole fleet, rows without a group among them")


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


class QueryAnswer(Answer):
    """Rows of one SELECT."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple[Scalar, ...], ...] = Field(description="times and other types as text")
    truncated: bool
    limit: int
    seconds: float
    source: str = Field(default="telemetry", description="the only view that there is")
    source_columns: tuple[str, ...] = ()


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
