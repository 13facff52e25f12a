"""What may be behind an incident: changes, who else has them, and how groups compare."""

from datetime import datetime

from pydantic import Field

from server.domain.answers.answer import Page, Rate
from server.domain.telemetry import Change, Frozen


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
