"""Telemetry files sent over HTTP: kept below the home folder, looked at as ingestion will, and refused with the reason."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from server.api.door import By, Parts, Runner
from server.connectors.base import Source
from server.connectors.uploads import require_own
from server.domain.telemetry import Frozen
from server.errors import InvalidInput, Unavailable
from server.tools.auditing import note

MOST_BYTES = 100 << 20
_BETWEEN_CHECKS = 4 << 20
UploadName = Annotated[str, InPath(pattern=r"^u-[0-9a-f]{48}$", description="The location that the upload was answered with.")]
router = APIRouter(tags=["runs"])
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class Uploaded(Frozen):
    """A file that was taken, and what its columns are taken for. Its rows are checked when a run ingests them."""

    summary: str = Field(description="one sentence")
    location: str = Field(description="start a run with it as `location` and `uploads` as `connector`")
    bytes: int
    rows: int | None = Field(description="null where the file does not say")
    device: str
    time: str
    cohort: tuple[str, ...]
    store: str | None
    metrics: tuple[str, ...]


@router.post("/uploads", status_code=201, openapi_extra=_BODY, max_body_size=MOST_BYTES)
async def upload_telemetry(
    request: Request,
    app: Parts,
    by: By,
    _: Runner,
    name: Annotated[str, Query(min_length=1, max_length=200, pattern=r"^[^\x00/\\]+$", description="The file's name.")],
) -> Uploaded:
    """Take a CSV or Parquet file, sent as the body. Next: POST /runs with `uploads` and the location."""
    uploads, tenant = app.uploads, by.principal.tenant
    location, path = uploads.place(tenant, name, app.clock())
    try:
        size = await _written(request, path, lambda: uploads.check_room(tenant))
        source = await run_in_threadpool(uploads.open, location, {})
        uploads.check_rows(source.rows)
        note(app.records, by, "upload_telemetry", location, {"name": name, "bytes": size})
    except BaseException:
        uploads.let_go(location)
        raise
    return _told(location, size, source)


@router.delete("/uploads/{location}", status_code=204)
def remove_upload(location: UploadName, app: Parts, by: By, _: Runner) -> None:
    """Remove a file that was sent, before it is ingested or goes by itself; one that is gone already is no error."""
    require_own(location, by.principal.tenant)
    app.uploads.let_go(location)
    note(app.records, by, "remove_upload", location, {})


async def _written(request: Request, path: Path, check_room: Callable[[], None]) -> int:
    """Bytes of the body, written to the path as they come, while there is room."""
    size = checked = 0
    try:
        with path.open("xb") as file:
            async for block in request.stream():
                size += len(block)
                file.write(block)
                if size - checked > _BETWEEN_CHECKS:
                    file.flush()
                    check_room()
                    checked = size
        check_room()
    except OSError as error:
        raise Unavailable(f"the file cannot be kept: {error.strerror}. Free some space, then send it again.") from error
    if not size:
        raise InvalidInput("the file is empty. Send its bytes as the body of the request.")
    return size


def _told(location: str, size: int, source: Source) -> Uploaded:
    columns = source.mapping
    rows = "" if source.rows is None else f"{source.rows:,} rows, "
    return Uploaded(
        summary=f"{source.name}: {rows}{len(columns.metrics)} metrics. Nothing is ingested yet.",
        location=location,
        bytes=size,
        rows=source.rows,
        device=columns.device,
        time=columns.time,
        cohort=columns.cohort,
        store=columns.store,
        metrics=columns.metrics,
    )
