"""How far each row of some devices lies from what is typical for it: what suggestions are estimated from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from server.domain.baseline import Level, Statistic
from server.domain.telemetry import Members
from server.pipeline.baselines import BaselineSet
from server.pipeline.features import Feature
from server.pipeline.normalize import Normalizer
from server.pipeline.table import FeatureTable

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]
Rows = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DEVICES_ELSEWHERE = 200


@dataclass(frozen=True, slots=True)
class Displacement:
    """Rows of a pool of devices, sorted by device and time, with their gaps from what is typical; (rows, features)."""

    features: tuple[Feature, ...]
    gap: Floats
    """In the feature's unit, under baselines in force: what is left of a displacement."""
    whole: Floats
    """In the feature's unit, by what telemetry alone says: approvals do not change who was displaced, or since when."""
    z: Floats
    """The same in robust scales."""
    time: Rows
    window: int
    """Of the features, in microseconds."""
    codes: dict[Level, Codes]
    """Group code of each row by level, -1 for none."""

    def row_of(self, device: int, time: datetime) -> int | None:
        """The row of that device code at that time; None if the pool has none."""
        codes, wanted = self.codes[Level.DEVICE], microseconds(time)
        begin, end = np.searchsorted(codes, [device, device + 1])
        row = int(begin + np.searchsorted(self.time[begin:end], wanted))
        return row if row < end and self.time[row] == wanted else None


def measure(table: FeatureTable, members: Members, baselines: BaselineSet, devices: Sequence[str]) -> Displacement:
    """Gaps of the devices' whole cohorts, and of up to 200 evenly spaced devices elsewhere, under baselines in force.

    Changes over time are left out: they say that a level has moved, and have no new normal of their own.
    """
    chosen = np.array([i for i, each in enumerate(baselines.features) if each.statistic is not Statistic.CHANGE], np.int64)
    normalizer, estimate = Normalizer(baselines), Normalizer(baselines.estimate)
    pool = _pool(table, members, devices)
    blocks = [block for block in table.blocks(pool) if block.num_rows]
    codes = [normalizer.codes(block, np.arange(block.num_rows)) for block in blocks]
    alone = [estimate.gaps(block, chosen) for block in blocks]
    return Displacement(
        tuple(baselines.features[i] for i in chosen),
        np.concatenate([normalizer.gaps(block, chosen)[0] for block in blocks]),
        np.concatenate([gap for gap, _ in alone]),
        np.concatenate([z for _, z in alone]),
        np.concatenate([block.column("time").to_numpy() for block in blocks]),
        baselines.plan.window // _MICROSECOND,
        {level: np.concatenate([part[level] for part in codes]) for level in Level},
    )


def microseconds(time: datetime) -> int:
    """Microseconds since 1970 UTC."""
    return (time - _EPOCH) // _MICROSECOND


def moment(time: int) -> datetime:
    """The time of so many microseconds since 1970 UTC."""
    return _EPOCH + timedelta(microseconds=time)


def _pool(table: FeatureTable, members: Members, devices: Sequence[str]) -> Rows:
    """Codes of the devices that were ever in a cohort of the named ones, and of evenly spaced others."""
    device, cohort = table.key("device"), table.key("cohort")
    named = np.isin(device, [code for code, name in enumerate(members.devices) if name in set(devices)])
    peers = np.unique(device[np.isin(cohort, np.unique(cohort[named])) | named])
    others = np.setdiff1d(np.unique(device), peers)
    spaced = others[np.linspace(0, max(len(others) - 1, 0), min(len(others), _DEVICES_ELSEWHERE)).round().astype(np.int64)]
    return np.union1d(peers, spaced).astype(np.int64)
