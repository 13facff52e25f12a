"""Parameters that several routes share, each with its bounds; and the refusal of those that a route does not have."""

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Path, Query, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from server.errors import InvalidInput

_ID = r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$"
_NAME = r"^[^\x00]{1,200}$"
_SHOWN = 80
_FARTHEST = 1_000_000_000
_YEARS = range(1970, 9000)


def _moment(told: object) -> object:
    """A time in UTC, which is assumed where no zone is given. Numbers are none: nobody knows whether of seconds or more."""
    if told is None or isinstance(told, datetime):
        return told
    try:
        time = datetime.fromisoformat(told if isinstance(told, str) else "")
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time
        known = time.year in _YEARS
    except ValueError as error:
        raise ValueError("write an ISO 8601 time such as 2026-03-01T12:00:00Z") from error
    if not known:
        raise ValueError("write a time from the year 1970 on")
    return time.astimezone(UTC)


Moment = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]
RunName = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$", description="A run's id.")]
AnomalyName = Annotated[str, Path(pattern=_ID, description="An anomaly's id.")]
IncidentName = Annotated[str, Path(pattern=_ID, description="An incident's id.")]
SuggestionName = Annotated[str, Path(pattern=_ID, description="A suggestion's id.")]
DeviceName = Annotated[str, Path(pattern=_NAME, description="A device's name, as its telemetry spells it.")]

FleetName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
Named = Annotated[str, Field(pattern=_NAME)]
Identified = Annotated[str, Field(pattern=_ID)]
OfFleet = Annotated[FleetName | None, Query(description="Which fleet; may be left out where there is only one.")]
OfRun = Annotated[
    Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")] | None, Query(description="Which run; unset: the newest.")
]
OfDevice = Annotated[Named | None, Query(description="Only of that device.")]
OfMetric = Annotated[Named | None, Query(description="Only where that metric is most at fault.")]
OfIncident = Annotated[Identified | None, Query(description="Only of that incident.")]
Since = Annotated[Moment | None, Query(description="Earliest time, ISO 8601; UTC where no zone is given.")]
Until = Annotated[Moment | None, Query(description="Latest time, ISO 8601; UTC where no zone is given.")]
Limit = Annotated[int, Query(ge=1, le=500, description="Most entries to answer with.")]
Offset = Annotated[int, Query(ge=0, le=_FARTHEST, description="Entries to pass over.")]


class Asked(BaseModel):
    """Base of request bodies: unknown fields are refused, and so are values of another type than the schema states.

    What JSON has no type for (times, names of a list, rows of values) says so at its own field.
    """

    model_config = ConfigDict(extra="forbid", strict=True)


async def refuse_unknown(request: Request) -> None:
    """Return if the route has every parameter of the query, and nothing is given twice, neither there nor in the body.

    Raises:
        InvalidInput: naming what is unknown or given twice.
    """
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    known, seen = set(_query_names(route.dependant)), set[str]()
    for name, _ in request.query_params.multi_items():
        if name not in known:
            listed = ", ".join(sorted(known)) or "none"
            raise InvalidInput(f"there is no parameter `{printable(name)}` here. Parameters: {listed}.")
        if name in seen:
            raise InvalidInput(f"`{printable(name)}` is given twice. Give it once.")
        seen.add(name)
    if route.body_field is not None:
        json.loads(await request.body() or b"null", object_pairs_hook=_each_once)


def _each_once(pairs: list[tuple[str, object]]) -> None:
    """Which of two values counts, readers of JSON do not agree on: one may be shown to a person and the other be used."""
    doubled = [name for name, times in Counter(name for name, _ in pairs).items() if times > 1]
    if doubled:
        raise InvalidInput(f"`{printable(doubled[0])}` is given twice. Give it once.")


def printable(name: str) -> str:
    """A foreign name, short and in signs that any page, log and encoding takes."""
    return name.encode("utf-8", "replace").decode()[:_SHOWN]


def _query_names(dependant: Dependant) -> list[str]:
    own = [field.alias for field in dependant.query_params]
    return own + [name for inner in dependant.dependencies for name in _query_names(inner)]
