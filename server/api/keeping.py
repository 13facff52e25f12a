"""Backing up and pruning while the server runs, which has the stores open and is the only one that can."""

import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import IO, Annotated, Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import Field

from server.api.door import AtDesk, By, Parts
from server.api.fields import Asked
from server.domain.identity import Scope
from server.domain.retention import Pruned, Retention
from server.errors import NotAllowed, Unavailable
from server.services.backup import back_up
from server.tools.auditing import note

router = APIRouter(tags=["keeping"])
_PIECE = 1 << 20
_TAR: dict[int | str, dict[str, Any]] = {200: {"content": {"application/x-tar": {}}}}
_Days = Annotated[float, Field(ge=1e-6, le=100_000)]  # less would be no time at all in microseconds


class AskedPruning(Asked):
    """What may go. With none of the bounds, those of the server's settings."""

    keep_runs: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None, description="how many of the newest runs of each fleet stay"
    )
    runs_older_than_days: _Days | None = None
    telemetry_older_than_days: _Days | None = None
    dry_run: bool = Field(default=True, description="only say what would go")


@router.post("/backup", response_class=StreamingResponse, responses=_TAR)
def download_backup(app: Parts, by: By) -> StreamingResponse:
    """Records, telemetry and artifacts of every tenant as one file, which `anomalyst restore` verifies and puts in place."""
    by.principal.require(Scope.MAINTAIN)
    if by.principal.tenant != app.settings.tenant:
        raise NotAllowed(f"a backup holds every tenant's rows: only a token of tenant {app.settings.tenant} may ask for one.")
    try:
        folder = tempfile.TemporaryDirectory(dir=app.settings.home, prefix=".backup-")
    except OSError as error:
        raise Unavailable(f"the backup cannot be written: {error.strerror}. Free some space, then call again.") from error
    with folder as name:
        made = back_up(app.records, app.telemetry, app.artifacts, Path(name) / "backup.tar", app.clock())
        file = (Path(name) / "backup.tar").open("rb")  # its last link goes with the folder: however this ends, nothing stays
    note(app.records, by, "backup", "download", {"made": made.made, "bytes": made.size})
    length = file.seek(0, 2)
    file.seek(0)
    headers = {
        "Content-Disposition": f'attachment; filename="anomalyst-{made.made:%Y%m%dT%H%M%SZ}.tar"',
        "Content-Length": str(length),
    }
    return StreamingResponse(_pieces(file), media_type="application/x-tar", headers=headers)


@router.post("/prune")
def prune(desk: AtDesk, by: By, asked: AskedPruning) -> Pruned:
    """Remove old runs and telemetry of the caller's tenant, but nothing that is needed; what went, or with `dry_run` would."""
    app = desk.app
    by.principal.require(Scope.MAINTAIN)
    if not asked.dry_run:
        by.principal.require(Scope.APPROVE)  # which nobody has without a token: a program must not do away with history
    told = (asked.keep_runs, asked.runs_older_than_days, asked.telemetry_older_than_days)
    configured = app.settings.retention.retention
    retention = configured if told == (None, None, None) else _retention(asked)
    walking = desk.jobs.runs(by.principal.tenant)
    return app.pruning.prune(by.principal, retention, dry_run=asked.dry_run, walking=walking)


def _retention(asked: AskedPruning) -> Retention:
    runs, telemetry = (
        None if days is None else timedelta(days=days) for days in (asked.runs_older_than_days, asked.telemetry_older_than_days)
    )
    return Retention(keep_runs=asked.keep_runs, runs_older_than=runs, telemetry_older_than=telemetry)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE):
            yield piece
