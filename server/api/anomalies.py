"""Anomalies, their explanations, and which groups have most of them."""

from typing import Annotated

from fastapi import APIRouter, Query

from server.api.door import Parts, Reader
from server.api.fields import (
    AnomalyName,
    Identified,
    Limit,
    Moment,
    Named,
    OfDevice,
    OfFleet,
    Offset,
    OfIncident,
    OfMetric,
    OfRun,
    Since,
    Until,
)
from server.domain.answers.anomalies import AnomalyDetail, AnomalyPage
from server.domain.answers.causes import GroupRanking
from server.domain.answers.explanation import Explanation

router = APIRouter(tags=["anomalies"])
MinSeverity = Annotated[float, Query(ge=0, le=100, allow_inf_nan=False, description="Only as severe, 0 to 100.")]


@router.get("/anomalies")
def list_anomalies(  # noqa: PLR0913 - each is a parameter of the query
    app: Parts,
    who: Reader,
    *,
    fleet: OfFleet = None,
    run: OfRun = None,
    device: OfDevice = None,
    incident: OfIncident = None,
    metric: OfMetric = None,
    min_severity: MinSeverity = 0.0,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    offset: Offset = 0,
) -> AnomalyPage:
    """Anomalies, worst first, each with its strongest metric. Muted ones are among them and say so."""
    return app.questions.list_anomalies(
        who,
        fleet=fleet,
        run=run,
        device=device,
        incident=incident,
        metric=metric,
        min_severity=min_severity,
        since=since,
        until=until,
        limit=limit,
        offset=offset,
    )


@router.get("/anomalies/{anomaly}")
def get_anomaly(anomaly: AnomalyName, app: Parts, who: Reader) -> AnomalyDetail:
    """One anomaly whole, with its verdict."""
    return app.questions.get_anomaly(who, anomaly)


@router.get("/explanations")
def explain_anomaly(
    app: Parts,
    who: Reader,
    *,
    anomaly: Annotated[Identified | None, Query(description="The anomaly.")] = None,
    device: Annotated[
        Named | None, Query(description="Or a device: its worst anomaly, or the one nearest to `around`.")
    ] = None,
    around: Annotated[Moment | None, Query(description="A time, for a device.")] = None,
    fleet: OfFleet = None,
) -> Explanation:
    """Why a row is an anomaly: claims whose every number can be checked, and at most 150 words of them."""
    return app.questions.explain_anomaly(who, anomaly=anomaly, device=device, around=around, fleet=fleet)


@router.get("/groups")
def rank_groups(  # noqa: PLR0913 - each is a parameter of the query
    app: Parts,
    who: Reader,
    *,
    by: Annotated[Named, Query(description="store, customer, cohort, device or a cohort column.")] = "store",
    metric: OfMetric = None,
    fleet: OfFleet = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 10,
) -> GroupRanking:
    """Groups by anomaly rate, worst first."""
    return app.questions.rank_groups(who, by=by, metric=metric, fleet=fleet, since=since, until=until, limit=limit)
