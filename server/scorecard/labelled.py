"""A labelled file as the arrays that methods are judged by: rows sorted by device and time, each with its label."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from server.connectors.base import Connector
from server.domain.run import SourceSpec
from server.domain.telemetry import ColumnMapping
from server.errors import InvalidInput
from server.storage.telemetry.keys import row_keys
from server.storage.telemetry.parsing import numbers, plain

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]
Objects = npt.NDArray[np.object_]

LABEL = "label"
_TEST = "test"


@dataclass(frozen=True, slots=True)
class Labelled:
    """Rows sorted by device and time, one for each; `values` of shape (rows, metrics), NaN where missing."""

    devices: tuple[str, ...]
    device: Rows
    time: Rows
    """Microseconds since 1970 UTC."""
    label: Flags
    judged: Flags
    fitted: Flags
    """Which rows may be learnt from."""
    values: Floats

    @property
    def bounds(self) -> Rows:
        """First row of each device, and the number of rows last."""
        return device_bounds(self.device)

    def places(self, devices: Sequence[str], device: Rows, time: Rows) -> Rows:
        """Where each of those rows (codes of `devices`, times) is among these, -1 if it is not."""
        own = {name: code for code, name in enumerate(self.devices)}
        code = np.array([own.get(name, -1) for name in devices], np.int64)[device]
        times = np.unique(self.time)
        at = np.minimum(np.searchsorted(times, time), len(times) - 1)
        key = self.device * len(times) + np.searchsorted(times, self.time)
        row = np.minimum(np.searchsorted(key, code * len(times) + at), len(key) - 1)
        same = (code >= 0) & (self.device[row] == code) & (self.time[row] == time)
        return np.where(same, row, -1)


def device_bounds(device: Rows) -> Rows:
    """First row of each device of sorted codes, and the number of rows last."""
    return np.concatenate(([0], np.flatnonzero(np.diff(device)) + 1, [len(device)]))


def read_labelled(connector: Connector, spec: SourceSpec, fit_split: str | None) -> Labelled:
    """The rows of a source with a column `label`, 1 inside an anomaly.

    Where its split column says `test` of any row, those are judged; otherwise all are.

    Raises:
        InvalidInput: there is no such column, or all rows that are judged have the same label.
    """
    metrics = connector.open(spec.location, spec.options).mapping.metrics
    try:
        source = connector.open(spec.location, {**spec.options, "metrics": ",".join([*metrics, LABEL])})
    except InvalidInput as error:
        raise InvalidInput(f"a scorecard needs a column {LABEL!r}: 1 inside an anomaly, 0 elsewhere. {error}") from error
    parts = [_rows_of(batch, source.mapping) for batch in source.batches()]
    device, split = (np.concatenate([part[place] for part in parts]) for place in (0, 1))
    time, values = np.concatenate([part[2] for part in parts]), np.concatenate([part[3] for part in parts])
    names, code = np.unique(device, return_inverse=True)
    order = np.lexsort((time, code))
    fresh = np.ones(len(order), bool)
    fresh[1:] = (np.diff(code[order]) != 0) | (np.diff(time[order]) != 0)
    kept = order[fresh]
    judged = split[kept] == _TEST if (split == _TEST).any() else np.ones(len(kept), bool)
    fitted = np.ones(len(kept), bool) if fit_split is None else split[kept] == fit_split
    label = values[kept, -1] > 0
    if label[judged].all() or not label[judged].any():
        raise InvalidInput(f"all rows that are to be judged have the same {LABEL}: there is nothing to tell apart.")
    return Labelled(tuple(names.tolist()), code[kept].astype(np.int64), time[kept], label, judged, fitted, values[kept, :-1])


def _rows_of(batch: pa.RecordBatch, mapping: ColumnMapping) -> tuple[Objects, Objects, Rows, Floats]:
    """Device, split, time and values of the rows whose device and time can be read."""
    keys = row_keys(batch, mapping)
    split = plain(batch.column(mapping.split)).cast(pa.string()) if mapping.split else pa.nulls(batch.num_rows, pa.string())
    values = np.stack([numbers(batch.column(name))[0] for name in mapping.metrics], axis=1)
    device, known = keys.device.to_numpy(zero_copy_only=False).astype(object), keys.known
    return device[known], split.to_numpy(zero_copy_only=False).astype(object)[known], keys.time[known], values[known]
