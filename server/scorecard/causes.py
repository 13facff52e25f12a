"""Which metrics were at fault in which event, as a file says it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from server.errors import InvalidInput
from server.scorecard.labelled import Labelled, device_bounds

_COLUMNS = ("device_id", "test_start", "test_end", "metrics")


@dataclass(frozen=True, slots=True)
class Cause:
    """An event's rows among those that are judged, and the metrics at fault."""

    rows: slice
    metrics: frozenset[str]


def read_causes(path: Path, labelled: Labelled) -> list[Cause]:
    """Causes from a Parquet file: device_id, test_start and test_end (places among the device's judged rows), metrics.

    Raises:
        InvalidInput: the file cannot be read, or lacks one of these columns.
    """
    try:
        rows = pq.read_table(path, columns=list(_COLUMNS)).to_pylist()
    except (OSError, ValueError, KeyError) as error:  # Arrow's own errors are ValueErrors and KeyErrors
        raise InvalidInput(f"{path.name}: causes need the columns {', '.join(_COLUMNS)} of a Parquet file: {error}") from error
    device = labelled.device[labelled.judged]
    bounds = device_bounds(device)
    first = {labelled.devices[device[start]]: (int(start), int(end)) for start, end in pairwise(bounds)}
    causes: list[Cause] = []
    for row in rows:
        start, end = first.get(row["device_id"], (0, 0))
        event = slice(start + row["test_start"], min(end, start + max(row["test_end"], row["test_start"] + 1)))
        if event.start < event.stop:
            causes.append(Cause(event, frozenset(row["metrics"])))
    return causes


def share_named(causes: Sequence[Cause], named: Sequence[str]) -> float:
    """Share of events whose metric named first is at fault."""
    return float(np.mean([name in cause.metrics for cause, name in zip(causes, named, strict=True)]))
