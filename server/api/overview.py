"""How the fleet is, at a glance, and whether that can be trusted."""

from fastapi import APIRouter

from server.api.door import Parts, Reader
from server.api.fields import OfFleet
from server.domain.answers.overview import HealthReport, Overview

router = APIRouter(tags=["overview"])


@router.get("/overview")
def get_overview(app: Parts, who: Reader, fleet: OfFleet = None) -> Overview:
    """What a dashboard draws: health, top incidents, anomalies by day, detector, versions, what waits for a person."""
    return app.questions.overview(who, fleet=fleet)


@router.get("/health")
def check_data_health(app: Parts, who: Reader, fleet: OfFleet = None) -> HealthReport:
    """Whether answers can be trusted, and why not: rows in and kept aside, freshness, stages still to be done."""
    return app.questions.check_data_health(who, fleet=fleet)
