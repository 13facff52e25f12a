"""Starting a run, whichever way it is asked for: where its telemetry may come from, and a request that is sent again."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from server.domain.run import Run, SourceSpec
from server.domain.settings import WalkSettings
from server.domain.telemetry import Fleet
from server.errors import InvalidInput, NotFound, PathNotAllowed
from server.tools.auditing import note
from server.tools.caller import Caller
from server.tools.desk import Desk


def started(desk: Desk, by: Caller, asked: SourceSpec, fleet: str, request_id: str = "") -> Run:
    """A new run with nothing done yet; or the one that the same request started before, also in an earlier life of the server.

    Raises:
        InvalidInput: the request's name was used for another source, or there is no such connector.
        PathNotAllowed: a file that the caller may not have read.
    """
    app, tenant = desk.app, by.principal.tenant
    whole = _whole(asked.location, asked.connector, app.settings.telemetry.roots, by)
    source = asked.model_copy(update={"location": whole})
    app.connectors.get(source.connector)
    run_id = _named(by, fleet, request_id) if request_id else ""
    with desk.starting:
        known = _known(desk, tenant, run_id)
        if known is None:
            known = app.walk.start(Fleet(tenant=tenant, name=fleet), source, WalkSettings(), run_id=run_id)
            note(app.records, by, "start_run", known.id, {"source": source.model_dump()})
    if (known.source, known.fleet.name) != (source, fleet):
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


def _whole(location: str, connector: str, roots: Sequence[Path] | None, by: Caller) -> str:
    """The location as it is to be stored: a path whole. Raises `PathNotAllowed` for a stranger where no folder is named."""
    if connector != "files":
        return location
    if roots is None and not by.is_local:
        raise PathNotAllowed(
            "files are closed to callers with tokens until the server names the folders that may be read "
            "(ANOMALYST_TELEMETRY__ROOTS)."
        )
    path, separator, table = location.partition("::")
    try:
        return f"{Path(path).expanduser().absolute()}{separator}{table}"
    except RuntimeError as error:
        raise InvalidInput(f"{path[:80]!r}: there is no such home folder. Give the whole path.") from error
