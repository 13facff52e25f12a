"""Telemetry files sent over HTTP: kept below the home folder, looked at as ingestion will, and refused with the reason."""

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from server.api.door import By, Parts, Runner
from server.connectors.base import Source
from server.connectors.uploads import UploadsConnector
from server.domain.telemetry import Frozen
from server.errors import InvalidInput, Unavailable
from server.tools.auditing import note

MOST_BYTES = 100 << 20
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
    uploads = UploadsConnector(app.settings.home)
    location, path = uploads.place(name)
    try:
        size = await _written(request, path)
        told = _told(location, size, await run_in_threadpool(uploads.open, location, {}))
        note(app.records, by, "upload_telemetry", location, {"name": name, "bytes": size})
    except BaseException:
        uploads.forget(location)
        raise
    return told


async def _written(request: Request, path: Path) -> int:
    """Bytes of the body, written to the path as they come."""
    size = 0
    try:
        with path.open("xb") as file:
            async for block in request.stream():
                size += len(block)
                file.write(block)
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
