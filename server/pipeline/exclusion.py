"""Rows that must not teach what is normal: those of shared incidents that were still open when the fleet was last walked."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from server.domain.anomaly import Incident, IncidentKind
from server.domain.telemetry import Members
from server.pipeline.table import FeatureTable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SHARED = 3
"""Devices that an incident has at least.

What one device does alone is too often chance to be believed before a person looked.
"""


def open_incidents(incidents: Sequence[Incident], window: timedelta) -> Sequence[Incident]:
    """Those of one walk's incidents, shared by devices, that were still going on within one window of the last trouble seen."""
    last = max((incident.end for incident in incidents), default=_EPOCH)
    shared = (one for one in incidents if one.kind is IncidentKind.DEVICE and len(one.devices) >= _SHARED)
    return [incident for incident in shared if incident.end > last - window]


def rows_inside(table: FeatureTable, members: Members, incidents: Sequence[Incident]) -> npt.NDArray[np.bool_]:
    """Which rows belong to one of the incidents' devices between its start and end; shape (rows,)."""
    inside = np.zeros(table.rows, bool)
    code = {device: number for number, device in enumerate(members.devices)}
    first = {int(device): at for at, device in enumerate(table.key("device")[table.device_bounds[:-1]])}
    for incident in incidents:
        start, end = ((moment - _EPOCH) // _MICROSECOND for moment in (incident.start, incident.end))
        for at in (first[code[device]] for device in incident.devices if code.get(device) in first):
            rows = slice(int(table.device_bounds[at]), int(table.device_bounds[at + 1]))
            inside[rows] |= (table.time[rows] >= start) & (table.time[rows] <= end)
    return inside
