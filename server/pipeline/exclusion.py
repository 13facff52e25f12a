"""Rows that must not teach what is normal: those of shared incidents still open at the last walk, and those marked true."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from server.domain.anomaly import Incident, IncidentKind
from server.domain.feedback import Feedback
from server.domain.telemetry import Members
from server.pipeline.table import FeatureTable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SHARED = 3
"""Devices that an incident has at least.

What one device does alone is too often chance to be believed before a person looked.
"""


@dataclass(frozen=True, slots=True)
class KeptOut:
    """What must not teach: incidents and rows that people judged, of devices by name."""

    members: Members
    incidents: Sequence[Incident] = ()
    marked: Sequence[Feedback] = ()

    def rows(self, table: FeatureTable) -> npt.NDArray[np.bool_]:
        """Which of the table's rows that are; shape (rows,)."""
        return rows_inside(table, self.members, self.incidents) | marked_rows(table, self.members, self.marked)


def open_incidents(incidents: Sequence[Incident], window: timedelta) -> Sequence[Incident]:
    """Those of one walk's incidents, shared by devices, that were still going on within one window of the last trouble seen."""
    last = max((incident.end for incident in incidents), default=_EPOCH)
    shared = (one for one in incidents if one.kind is IncidentKind.DEVICE and len(one.devices) >= _SHARED)
    return [incident for incident in shared if incident.end > last - window]


def rows_inside(table: FeatureTable, members: Members, incidents: Sequence[Incident]) -> npt.NDArray[np.bool_]:
    """Which rows belong to one of the incidents' devices between its start and end; shape (rows,)."""
    inside = np.zeros(table.rows, bool)
    rows_of = _rows_by_device(table, members)
    for incident in incidents:
        start, end = ((moment - _EPOCH) // _MICROSECOND for moment in (incident.start, incident.end))
        for rows in (rows_of[device] for device in incident.devices if device in rows_of):
            inside[rows] |= (table.time[rows] >= start) & (table.time[rows] <= end)
    return inside


def marked_rows(table: FeatureTable, members: Members, marked: Sequence[Feedback]) -> npt.NDArray[np.bool_]:
    """Which rows people gave those verdicts on; shape (rows,)."""
    found = np.zeros(table.rows, bool)
    rows_of = _rows_by_device(table, members) if marked else {}
    for feedback in marked:
        rows = rows_of.get(feedback.device, slice(0, 0))
        found[rows] |= table.time[rows] == (feedback.time - _EPOCH) // _MICROSECOND
    return found


def _rows_by_device(table: FeatureTable, members: Members) -> dict[str, slice]:
    bounds = table.device_bounds
    codes = table.key("device")[bounds[:-1]]
    return {members.devices[code]: slice(int(bounds[at]), int(bounds[at + 1])) for at, code in enumerate(codes)}
