"""The synthetic fleet's scorecard: each tier against its truth, and a fleet without trouble against the alert budget."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from server.services.evaluation import EvaluationReport, TypeReport

Table = tuple[str, list[str], list[list[str]]]


@dataclass(frozen=True, slots=True)
class TierReport:
    """One fleet against its truth; `budget` the alert budget a day that the threshold was put by, None for a contamination."""

    tier: str
    budget: float | None
    days: float
    report: EvaluationReport

    def per_day(self, count: int) -> float:
        """So many a day of the fleet."""
        return count / max(self.days, 1e-9)


@dataclass(frozen=True, slots=True)
class SyntheticCard:
    """All tiers."""

    devices: int
    days: int
    tiers: tuple[TierReport, ...]

    @property
    def title(self) -> str:
        """What it is about."""
        return f"Synthetic fleets of {self.devices} devices, {self.days} days"

    def tables(self) -> Iterator[Table]:
        """Captions, heads and rows: rates first, then by type and tier, then look-alikes."""
        heads = ["fleet", "threshold by", "anomalies a day", "alarms a day", "incidents a day"]
        heads += ["alarms in trouble", "spells found", "false alarms per 1,000 device-days"]
        yield "How much is flagged", heads, [_rates(one) for one in self.tiers]
        heads = ["fleet", "type", "incidents", "device spells", "found", "delay, h", "devices right", "metric right"]
        yield "By type", heads, [[_named(one), *_type(kind)] for one in self.tiers for kind in one.report.types]
        rows = [
            [_named(one), kind.type, f"{kind.rows:,}", f"{kind.flagged:,}", _percent(kind.rate)]
            for one in self.tiers
            for kind in one.report.look_alikes
        ]
        yield "Benign look-alikes", ["fleet", "type", "rows", "flagged", "rate"], rows

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        tiers = [
            {"tier": one.tier, "budget": one.budget, "days": one.days, "report": one.report.model_dump(mode="json")}
            for one in self.tiers
        ]
        path.write_text(json.dumps({"devices": self.devices, "days": self.days, "tiers": tiers}, indent=1) + "\n")


def _named(one: TierReport) -> str:
    return one.tier if one.budget is None else f"{one.tier}, budget {one.budget:g}"


def _rates(one: TierReport) -> list[str]:
    report = one.report
    counts: Sequence[int] = (report.anomalies, report.alarms, report.incidents)
    by = "contamination" if one.budget is None else f"{one.budget:g} a day"
    rates = [f"{one.per_day(count):.1f}" for count in counts]
    false = f"{report.false_alarms_per_1000_device_days:.1f}"
    return [one.tier, by, *rates, _percent(report.precision), _percent(report.recall), false]


def _type(kind: TypeReport) -> list[str]:
    delay = "" if kind.delay_hours is None else f"{kind.delay_hours:.0f}"
    counts = [f"{kind.incidents:,}", f"{kind.spells:,}", _percent(kind.recall), delay]
    return [kind.type, *counts, _percent(kind.jaccard), _percent(kind.cause_named)]


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"
