"""Starting a run, whichever way it is asked for: where its telemetry may come from, and a request that is sent again."""

import hashlib

from server.connectors.locations import Roots, whole
from server.connectors.registry import Connectors
from server.connectors.uploads import UploadsConnector, require_own
from server.domain.run import Run, SourceSpec
from server.domain.settings import WalkSettings
from server.domain.telemetry import Fleet
from server.errors import InvalidInput, NotFound, PathNotAllowed
from server.tools.auditing import note
from server.tools.caller import Caller
from server.tools.desk import Desk


def started(
    desk: Desk, by: Caller, asked: SourceSpec, fleet: str, request_id: str = "", *, settings: WalkSettings | None = None
) -> Run:
    """A new run with nothing done yet; or the one that the same request started before, also in an earlier life of the server.

    Raises:
        InvalidInput: the request's name was used for another source or for other settings.
        NotFound: there is no such connector or detector, with near matches.
        PathNotAllowed: a file that the caller may not have read.
    """
    app, tenant = desk.app, by.principal.tenant
    location = _whole(asked, app.connectors, app.settings.telemetry.roots, by)
    source = asked.model_copy(update={"location": location})
    settings = settings or WalkSettings()
    app.detectors.get(settings.detector.name)
    run_id = _named(by, fleet, request_id) if request_id else ""
    with desk.starting:
        known = _known(desk, tenant, run_id)
        if known is None:
            known = app.walk.start(Fleet(tenant=tenant, name=fleet), source, settings, run_id=run_id)
            told = {"source": source.model_dump(), "settings": settings.model_dump(mode="json")}
            note(app.records, by, "start_run", known.id, told)
    if (known.source, known.fleet.name, known.settings) != (source, fleet, settings):
        raise InvalidInput(f"request_id {request_id!r} was used for another run ({known.id}). Give a new one.")
    return known


def _known(desk: Desk, tenant: str, run_id: str) -> Run | None:
    try:
        return desk.app.records.run(tenant, run_id) if run_id else None
    except NotFound:
        return None


def _named(by: Caller, fleet: str, request_id: str) -> str:
    """The run's id follows from whose request it is, so that it outlives a restart."""
    told = f"{by.principal.tenant}\n{by.principal.name}\n{request_id}"
    return f"{fleet.replace('_', '-')}-r{hashlib.sha256(told.encode()).hexdigest()[:20]}"


def _whole(asked: SourceSpec, connectors: Connectors, roots: Roots, by: Caller) -> str:
    """The location as it is to be stored: a path whole.

    Raises:
        PathNotAllowed: a stranger asks for a path where no folder is named.
        NotFound: there is no such connector, or it is an upload of another tenant's.
        InvalidInput: the path begins with a home folder that is not there.
    """
    if asked.connector == UploadsConnector.name:
        require_own(asked.location, by.principal.tenant)
    if not connectors.opens_paths(asked.connector):
        return asked.location
    if roots is None and not by.is_local:
        raise PathNotAllowed(
            "files are closed to callers with tokens until the server names the folders that may be read "
            "(ANOMALYST_TELEMETRY__ROOTS)."
        )
    return whole(asked.location)
