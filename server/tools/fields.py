"""Arguments that several tools share: each type states its bounds, and says what it means to a model."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field

from server.domain.telemetry import NAME
from server.errors import InvalidInput

MOST_ROWS = 200
_ID = r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$"

RunId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$", max_length=64, description="A run's id, see list_runs.")]
ShownRun = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9][a-z0-9-]{0,63}$",
        max_length=64,
        description="Only what this run found; if left out, the fleet's newest run that has anomalies.",
    ),
]
AnomalyId = Annotated[str, Field(pattern=_ID, max_length=128, description="An anomaly's id, see list_anomalies.")]
IncidentId = Annotated[str, Field(pattern=_ID, max_length=128, description="An incident's id, see list_incidents.")]
SuggestionId = Annotated[str, Field(pattern=_ID, max_length=128, description="A suggestion's id, see list_suggestions.")]
FleetName = Annotated[
    str,
    Field(
        pattern=NAME,
        max_length=32,
        description="Which fleet; may be left out where there is only one.",
    ),
]
DeviceName = Annotated[str, Field(min_length=1, max_length=200, description="A device's name, as its telemetry spells it.")]
MetricName = Annotated[str, Field(min_length=1, max_length=200, description="A metric, such as TotalBatteryLevelDrop.")]
AtFault = Annotated[
    str, Field(min_length=1, max_length=200, description="Only where this metric is most at fault, such as OfflineTime.")
]
Since = Annotated[
    str, Field(max_length=40, description="Earliest time, ISO 8601 such as 2026-03-01T00:00:00Z; UTC where no zone is given.")
]
Until = Annotated[
    str, Field(max_length=40, description="Latest time, ISO 8601 such as 2026-03-02T00:00:00Z; UTC where no zone is given.")
]
Limit = Annotated[int, Field(ge=1, le=MOST_ROWS, description="Most entries to answer with.")]
Cursor = Annotated[
    str, Field(pattern=r"^[0-9]{1,9}$", max_length=9, description="For the next page: the `cursor` of the answer before.")
]
RequestId = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9_.:-]{1,100}$",
        max_length=100,
        description="A name of your choice: the same request sent again under it does nothing twice.",
    ),
]
Contamination = Annotated[float, Field(gt=0, le=0.5, description="Share of rows to flag.")]
AlertBudget = Annotated[float, Field(gt=0, le=1_000_000, description="Anomalies a day to allow the fleet.")]
Weights = Annotated[
    dict[str, Annotated[float, Field(ge=0, le=10)]],
    Field(max_length=20, description='How much each metric domain counts, such as {"battery": 0.5}; 0 silences it.'),
]
Note = Annotated[str, Field(max_length=2000, description="Why, in the person's own words.")]


def moment(name: str, text: str | None) -> datetime | None:
    """The time that an argument names, with its zone. Raises `InvalidInput` if it is none."""
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"`{name}` {text!r} is no ISO 8601 time. Write it like 2026-03-01T12:00:00Z.") from error
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time


def offset(cursor: str | None) -> int:
    """The entries to pass over."""
    return int(cursor or 0)


def next_cursor(start: int, shown: int, total: int) -> str | None:
    """The cursor of the next page; None on the last one."""
    return str(start + shown) if start + shown < total else None
