"""Devices: which there are, one through time, beside its peers, and its rows as they were measured."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from server.api.door import Parts, Reader
from server.api.fields import Asked, DeviceName, FleetName, Limit, Named, OfFleet, Offset, OfMetric, Since, Until
from server.domain.answers.devices import PeerComparison, Timeline
from server.domain.answers.query import QueryAnswer
from server.domain.telemetry import Frozen
from server.errors import NotFound
from server.services.fleets import fleet_named

router = APIRouter(tags=["devices"])


class DeviceLine(Frozen):
    """A device in a list."""

    device: str
    rows: int = Field(description="rows that the newest run saw of it")


class DeviceList(Frozen):
    """Devices by name."""

    fleet: str
    devices: tuple[DeviceLine, ...]
    total: int
    offset: int
    truncated: bool


class AskedQuery(Asked):
    """One SELECT over the view `telemetry`."""

    sql: str = Field(min_length=1, max_length=10_000, description="such as SELECT device, avg(heat) FROM telemetry GROUP BY 1")
    fleet: FleetName | None = None
    limit: int = Field(default=200, ge=1, le=1000)


@router.get("/devices")
def list_devices(app: Parts, who: Reader, fleet: OfFleet = None, limit: Limit = 50, offset: Offset = 0) -> DeviceList:
    """The devices that the fleet's newest run saw, by name."""
    chosen = fleet_named(app.records, who.tenant, fleet)
    known = app.records.devices(chosen)
    names = sorted(known)[offset : offset + limit]
    return DeviceList(
        fleet=chosen.name,
        devices=tuple(DeviceLine(device=name, rows=known[name]) for name in names),
        total=len(known),
        offset=offset,
        truncated=offset + len(names) < len(known),
    )


@router.get("/devices/{device:path}/timeline")
def get_device_timeline(  # noqa: PLR0913 - each is a parameter of the query
    device: DeviceName,
    metric: Annotated[Named, Query(description="Which metric.")],
    app: Parts,
    who: Reader,
    *,
    fleet: OfFleet = None,
    since: Since = None,
    until: Until = None,
    points: Annotated[int, Query(ge=2, le=2000, description="Most points to answer with.")] = 200,
) -> Timeline:
    """One metric of the device through time, with what is typical, its peers, and its anomalies marked."""
    return app.questions.get_device_timeline(who, device, metric, fleet=fleet, since=since, until=until, points=points)


@router.get("/devices/{device:path}/peers")
def compare_device_with_peers(
    device: DeviceName,
    app: Parts,
    who: Reader,
    *,
    metric: OfMetric = None,
    fleet: OfFleet = None,
    since: Since = None,
    until: Until = None,
) -> PeerComparison:
    """The device beside the devices of its cohort."""
    return app.questions.compare_device_with_peers(who, device, metric=metric, fleet=fleet, since=since, until=until)


@router.get("/devices/{device:path}/telemetry")
def list_device_rows(
    device: DeviceName, app: Parts, who: Reader, fleet: OfFleet = None, limit: Limit = 100, offset: Offset = 0
) -> QueryAnswer:
    """The device's rows in the newest run's window, oldest first, as they were measured."""
    chosen = fleet_named(app.records, who.tenant, fleet)
    known = app.records.devices(chosen)
    if device not in known:
        raise NotFound("device", device, list(known), listed_by="GET /devices")
    quoted = device.replace("'", "''")
    sql = f"SELECT * FROM telemetry WHERE device = '{quoted}' ORDER BY time LIMIT {limit + 1} OFFSET {offset}"  # noqa: S608 - quoted, and run where nothing else is
    return app.questions.query_telemetry(who, sql, fleet=chosen.name, limit=limit)


@router.post("/telemetry/query")
def query_telemetry(asked: AskedQuery, app: Parts, who: Reader) -> QueryAnswer:
    """The first rows of one SELECT, run locked in over the newest run's window."""
    return app.questions.query_telemetry(who, asked.sql, fleet=asked.fleet, limit=asked.limit)
