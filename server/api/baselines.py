"""What is normal, for whom, and the detector that decides what is not."""

from typing import Annotated

from fastapi import APIRouter, Query

from server.api.door import Parts, Reader
from server.api.fields import Limit, Named, OfFleet, Offset, OfRun, Since
from server.domain.answers.normal import BaselinePage, DetectorReport, DriftReport, ScoreDistribution
from server.domain.baseline import Level
from server.domain.telemetry import Frozen, Metric
from server.services.fleets import fleet_named

router = APIRouter(tags=["baselines"])


class MetricList(Frozen):
    """The metrics of a fleet and what is known of each."""

    fleet: str
    metrics: tuple[Metric, ...]
    total: int
    offset: int
    truncated: bool


@router.get("/metrics")
def list_metrics(app: Parts, who: Reader, fleet: OfFleet = None, limit: Limit = 200, offset: Offset = 0) -> MetricList:
    """The metrics that the fleet's newest run saw: unit, domain, harmful direction, bounds."""
    chosen = fleet_named(app.records, who.tenant, fleet)
    known = app.records.metrics(chosen)
    shown = tuple(known[offset : offset + limit])
    more = offset + len(shown) < len(known)
    return MetricList(fleet=chosen.name, metrics=shown, total=len(known), offset=offset, truncated=more)


@router.get("/baselines")
def list_baselines(  # noqa: PLR0913 - each is a parameter of the query
    app: Parts,
    who: Reader,
    *,
    fleet: OfFleet = None,
    version: Annotated[int | None, Query(ge=1, le=1_000_000, description="Unset: the version in force.")] = None,
    level: Annotated[Level | None, Query(description="Only of that level.")] = None,
    group: Annotated[Named | None, Query(description="Only of that group.")] = None,
    feature: Annotated[Named | None, Query(description="Only of that feature.")] = None,
    limit: Limit = 50,
    offset: Offset = 0,
) -> BaselinePage:
    """What is normal, for whom, and the approved adjustments of that version."""
    return app.questions.list_baselines(
        who, fleet=fleet, version=version, level=level, group=group, feature=feature, limit=limit, offset=offset
    )


@router.get("/detector")
def get_detector(app: Parts, who: Reader, fleet: OfFleet = None) -> DetectorReport:
    """The detector that made the newest anomalies, its settings and its threshold."""
    return app.questions.get_detector(who, fleet=fleet)


@router.get("/scores")
def get_score_distribution(
    app: Parts,
    who: Reader,
    *,
    fleet: OfFleet = None,
    run: OfRun = None,
    bins: Annotated[int, Query(ge=2, le=200, description="How many bins of severity.")] = 40,
) -> ScoreDistribution:
    """How severities spread."""
    return app.questions.get_score_distribution(who, fleet=fleet, run=run, bins=bins)


@router.get("/drift")
def check_drift(app: Parts, who: Reader, fleet: OfFleet = None, since: Since = None, limit: Limit = 20) -> DriftReport:
    """How far features and scores have moved since a time; unset: the last quarter of the run's window."""
    return app.questions.check_drift(who, fleet=fleet, since=since, limit=limit)
