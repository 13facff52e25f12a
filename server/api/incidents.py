"""Incidents, what was changed before them, and who may be next."""

from typing import Annotated

from fastapi import APIRouter, Query

from server.api.door import Parts, Reader
from server.api.fields import Identified, IncidentName, Limit, OfDevice, OfFleet, Offset, OfIncident, OfRun, Since, Until
from server.domain.anomaly import IncidentKind
from server.domain.answers.causes import AtRiskPage, ChangeReport
from server.domain.answers.incidents import IncidentDetail, IncidentPage

router = APIRouter(tags=["incidents"])


@router.get("/incidents")
def list_incidents(  # noqa: PLR0913 - each is a parameter of the query
    app: Parts,
    who: Reader,
    *,
    fleet: OfFleet = None,
    run: OfRun = None,
    kind: Annotated[IncidentKind | None, Query(description="Whether devices or their telemetry are at fault.")] = None,
    device: OfDevice = None,
    since: Since = None,
    until: Until = None,
    include_muted: Annotated[bool, Query(description="Also those that an expected rule mutes.")] = False,
    limit: Limit = 20,
    offset: Offset = 0,
) -> IncidentPage:
    """Incidents, heaviest first; muted ones are left out and counted unless asked for."""
    return app.questions.list_incidents(
        who,
        fleet=fleet,
        run=run,
        kind=kind,
        device=device,
        since=since,
        until=until,
        include_muted=include_muted,
        limit=limit,
        offset=offset,
    )


@router.get("/incidents/{incident}")
def get_incident(incident: IncidentName, app: Parts, who: Reader) -> IncidentDetail:
    """One incident whole: devices, metrics, verdicts, and the rate inside its scope against the rest."""
    return app.questions.get_incident(who, incident)


@router.get("/changes")
def what_changed(
    app: Parts,
    who: Reader,
    *,
    incident: OfIncident = None,
    since: Since = None,
    until: Until = None,
    fleet: OfFleet = None,
    limit: Limit = 20,
) -> ChangeReport:
    """Recorded changes around an incident's onset, or in a time, ranked by how well they explain who is affected."""
    return app.questions.what_changed(who, incident=incident, since=since, until=until, fleet=fleet, limit=limit)


@router.get("/at-risk")
def list_at_risk_devices(
    app: Parts,
    who: Reader,
    *,
    incident: OfIncident = None,
    change: Annotated[Identified | None, Query(description="A change's id, of /changes.")] = None,
    fleet: OfFleet = None,
    limit: Limit = 50,
    offset: Offset = 0,
) -> AtRiskPage:
    """Devices that an incident's scope or a change reaches and that are not affected yet."""
    return app.questions.list_at_risk_devices(who, incident=incident, change=change, fleet=fleet, limit=limit, offset=offset)
