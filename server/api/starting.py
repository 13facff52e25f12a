"""Starting a run: where its telemetry may come from, and a request that is sent again."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Annotated

from pydantic import Field

from server.api.fields import Asked, FleetName
from server.domain.run import Run, SourceSpec
from server.domain.settings import WalkSettings
from server.domain.telemetry import Fleet
from server.errors import InvalidInput, NotFound, PathNotAllowed
from server.tools.auditing import note
from server.tools.caller import Caller
from server.tools.desk import Desk

_starting = Lock()
_Text = Annotated[str, Field(max_length=1000, pattern=r"^[^\x00]*$")]


class AskedRun(Asked):
    """What to read, for which fleet."""

    location: Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00]+$")] = Field(
        description="on the server's machine: a CSV or Parquet file, a folder, file.duckdb::table, or a plan of `synthetic`"
    )
    connector: Annotated[str, Field(min_length=1, max_length=60)] = "files"
    fleet: FleetName = "default"
    options: dict[Annotated[str, Field(max_length=60)], _Text] = Field(
        default={}, max_length=20, description="the connector's options, such as which column is the device"
    )
    request_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{0,100}$")] = Field(
        default="", description="your name for this request: sent again, it gives the same run"
    )


def started(desk: Desk, by: Caller, asked: AskedRun) -> Run:
    """A new run with nothing done yet; or the one that the same request started before.

    Raises:
        InvalidInput: the request's name was used for another source, or there is no such connector.
        PathNotAllowed: a file that the caller may not have read.
    """
    app, principal = desk.app, by.principal
    location = _whole(asked.location, asked.connector, app.settings.telemetry.roots, by)
    source = SourceSpec(connector=asked.connector, location=location, options=asked.options)
    app.connectors.get(source.connector)
    run_id = _named(by, asked) if asked.request_id else ""
    with _starting:
        known = _known(desk, principal.tenant, run_id)
        if known is None:
            fleet = Fleet(tenant=principal.tenant, name=asked.fleet)
            known = app.walk.start(fleet, source, WalkSettings(), run_id=run_id)
            note(app.records, by, "start_run", known.id, {"source": source.model_dump()})
    if (known.source, known.fleet.name) != (source, asked.fleet):
        raise InvalidInput(f"request_id {asked.request_id!r} was used for another run ({known.id}). Give a new one.")
    return known


def _known(desk: Desk, tenant: str, run_id: str) -> Run | None:
    try:
        return desk.app.records.run(tenant, run_id) if run_id else None
    except NotFound:
        return None


def _named(by: Caller, asked: AskedRun) -> str:
    """The run's id follows from whose request it is, so that it outlives a restart."""
    told = f"{by.principal.tenant}\n{by.principal.name}\n{asked.request_id}"
    return f"{asked.fleet.replace('_', '-')}-r{hashlib.sha256(told.encode()).hexdigest()[:20]}"


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
