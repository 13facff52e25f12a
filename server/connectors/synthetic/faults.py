"""Faults in the telemetry itself. A new kind is two functions (which rows, what is done to them) and one entry of `FAULTS`.

Which steps are struck never depends on values, so the truth of a fleet is known without making its rows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import numpy.typing as npt

from server.connectors.synthetic.catalogue import DISCONNECTS, DOWNLOAD, PLACE_OF, SIGNAL, STORAGE, UPLOAD
from server.connectors.synthetic.episodes import FloatArray

Steps = npt.NDArray[np.int64]
HOUR = 3_600_000_000
_NO_STEPS: Steps = np.empty(0, dtype=np.int64)
_TWENTY_YEARS = 20 * 365 * 24 * HOUR
_UPLOAD_WINDOW = 4 * HOUR


class When(Enum):
    """At what point of making rows a fault acts."""

    ABSENCE = 0
    EDIT = 1
    COPY = 2


@dataclass(frozen=True, slots=True)
class Site:
    """What a fault may know of its device: steps that have rows, steps in an hour, and a little of its history."""

    present: Steps
    steps_an_hour: float
    steps: int
    unit_changed_from: int | None
    new_column_from: int | None
    id_reused: bool


@dataclass(slots=True)
class DeviceRows:
    """The rows of one device, one entry a step, to be edited in place. Times are microseconds since 1970 UTC.

    `os` is 0 before the update, 1 after it, -1 for none; `order` is the place in which a row is sent.
    """

    metrics: FloatArray
    time: Steps
    arrival: Steps
    os: npt.NDArray[np.int8]
    order: npt.NDArray[np.float64]
    new_column: FloatArray
    copies: list[tuple[Steps, bool]] = field(default_factory=list[tuple[Steps, bool]])


Pick = Callable[[Site, np.random.Generator], Steps]
Edit = Callable[[DeviceRows, Steps, np.random.Generator], None]


def stretch(shortest: float, longest: float) -> Pick:
    """Picks the rows of one stretch of time, its length (hours) drawn between the two."""

    def pick(site: Site, rng: np.random.Generator) -> Steps:
        length = max(1, round(float(rng.uniform(shortest, longest)) * site.steps_an_hour))
        first = int(rng.integers(0, max(1, site.steps - length)))
        return site.present[(site.present >= first) & (site.present < first + length)]

    return pick


def scattered(least: float, most: float) -> Pick:
    """Picks rows at random, at least one: a share drawn between the two."""

    def pick(site: Site, rng: np.random.Generator) -> Steps:
        if not len(site.present):
            return _NO_STEPS
        share = rng.uniform(least, most)
        struck = site.present[rng.random(len(site.present)) < share]
        return struck if len(struck) else site.present[:1]

    return pick


def every_row(site: Site, _: np.random.Generator) -> Steps:
    """Picks all rows of the device."""
    return site.present


def flat_battery(site: Site, rng: np.random.Generator) -> Steps:
    """Picks from one to three silences of 8 to 30 hours."""
    silence = stretch(8, 30)
    return np.unique(np.concatenate([silence(site, rng) for _ in range(int(rng.integers(1, 4)))]))


def few_rows(site: Site, rng: np.random.Generator) -> Steps:
    """Picks up to four single rows."""
    return np.sort(rng.choice(site.present, size=min(4, len(site.present)), replace=False)) if len(site.present) else _NO_STEPS


def since_firmware(site: Site, _: np.random.Generator) -> Steps:
    """Picks all rows since the device's update, where that firmware changed a unit."""
    return _NO_STEPS if site.unit_changed_from is None else site.present[site.present >= site.unit_changed_from]


def since_new_column(site: Site, _: np.random.Generator) -> Steps:
    """Picks all rows since an unannounced column is sent."""
    return _NO_STEPS if site.new_column_from is None else site.present[site.present >= site.new_column_from]


def of_reused_id(site: Site, _: np.random.Generator) -> Steps:
    """Picks all rows of a device that goes by a retired device's id."""
    return site.present if site.id_reused else _NO_STEPS


def _leave(_: DeviceRows, __: Steps, ___: np.random.Generator) -> None:
    """The fault is in which rows there are, or in the device's id."""


def _upload_in_windows(rows: DeviceRows, _: Steps, rng: np.random.Generator) -> None:
    phase = int(rng.integers(_UPLOAD_WINDOW))
    window = (rows.arrival - phase) // _UPLOAD_WINDOW + 1
    delays = rng.integers(0, HOUR // 2, size=int(window[-1] - window[0]) + 1)
    rows.arrival[:] = window * _UPLOAD_WINDOW + phase + delays[window - window[0]]


def _hold_back(rows: DeviceRows, steps: Steps, rng: np.random.Generator) -> None:
    back_online = int(rows.time[steps[-1]]) + int(rng.integers(HOUR // 4, HOUR))
    rows.arrival[steps] = np.maximum(rows.arrival[steps], back_online)


def _copy_exactly(rows: DeviceRows, steps: Steps, _: np.random.Generator) -> None:
    rows.copies.append((steps, False))


def _copy_with_conflict(rows: DeviceRows, steps: Steps, _: np.random.Generator) -> None:
    rows.copies.append((steps, True))


def _send_out_of_order(rows: DeviceRows, steps: Steps, rng: np.random.Generator) -> None:
    rows.order[steps] += rng.uniform(2, 48, size=len(steps))


def _skew(rows: DeviceRows, steps: Steps, rng: np.random.Generator) -> None:
    # Less than half an hour off, and never none: on hourly rows a skewed row cannot take another row's time.
    minutes = int(rng.integers(7, 29)) * int(rng.choice((-1, 1)))
    rows.time[steps] += minutes * HOUR // 60 + 1_000_000


def _since_1970(rows: DeviceRows, steps: Steps, _: np.random.Generator) -> None:
    rows.time[steps] = steps * 60_000_000


def _into_the_future(rows: DeviceRows, steps: Steps, _: np.random.Generator) -> None:
    rows.time[steps] += _TWENTY_YEARS


def _report_bytes(rows: DeviceRows, steps: Steps, _: np.random.Generator) -> None:
    rows.metrics[PLACE_OF[DOWNLOAD], steps] *= 1024


def _stick(rows: DeviceRows, steps: Steps, _: np.random.Generator) -> None:
    for name in (SIGNAL, STORAGE):
        rows.metrics[PLACE_OF[name], steps] = rows.metrics[PLACE_OF[name], steps[0]]


def _fall_back(rows: DeviceRows, steps: Steps, _: np.random.Generator) -> None:
    # A difference of two readings across a reset: minus all that was counted since the last one.
    for place in (PLACE_OF[DOWNLOAD], PLACE_OF[UPLOAD]):
        total = np.cumsum(rows.metrics[place], dtype=np.float64)
        rows.metrics[place, steps] = -np.rint(total[steps] + 1)


def _put_sentinels(rows: DeviceRows, steps: Steps, rng: np.random.Generator) -> None:
    places = rng.integers(len(rows.metrics), size=len(steps))
    as_byte = (places == PLACE_OF[SIGNAL]) | (places == PLACE_OF[DISCONNECTS])
    rows.metrics[places, steps] = np.where(as_byte, 255, -1)


def _send_new_column(rows: DeviceRows, steps: Steps, rng: np.random.Generator) -> None:
    rows.new_column[steps] = np.rint(rng.normal(31, 3, size=len(steps)))


def _forget_cohort(rows: DeviceRows, steps: Steps, _: np.random.Generator) -> None:
    rows.os[steps] = -1


@dataclass(frozen=True, slots=True)
class FaultType:
    """A kind of fault: when it acts, the share of devices it may strike, which rows, and what it does to them."""

    when: When
    share: float
    pick: Pick
    edit: Edit = _leave


FAULTS: Mapping[str, FaultType] = {
    "missing_at_random": FaultType(When.ABSENCE, 1.0, scattered(0.01, 0.05)),
    "missing_block": FaultType(When.ABSENCE, 0.10, stretch(6, 48)),
    "flat_battery": FaultType(When.ABSENCE, 0.08, flat_battery),
    "unit_change": FaultType(When.EDIT, 1.0, since_firmware, _report_bytes),
    "stuck_values": FaultType(When.EDIT, 0.06, stretch(12, 96), _stick),
    "counter_reset": FaultType(When.EDIT, 0.06, few_rows, _fall_back),
    "sentinels": FaultType(When.EDIT, 0.10, scattered(0.005, 0.02), _put_sentinels),
    "unknown_new_column": FaultType(When.EDIT, 1.0, since_new_column, _send_new_column),
    "null_cohort": FaultType(When.EDIT, 0.05, stretch(12, 72), _forget_cohort),
    "reused_device_id": FaultType(When.EDIT, 1.0, of_reused_id),
    "upload_windows": FaultType(When.EDIT, 1.0, every_row, _upload_in_windows),
    "offline_buffer": FaultType(When.EDIT, 0.08, stretch(48, 168), _hold_back),
    "out_of_order": FaultType(When.EDIT, 0.10, scattered(0.01, 0.05), _send_out_of_order),
    "clock_skew": FaultType(When.EDIT, 0.05, stretch(24, 120), _skew),
    "clock_1970": FaultType(When.EDIT, 0.05, few_rows, _since_1970),
    "clock_future": FaultType(When.EDIT, 0.05, few_rows, _into_the_future),
    "exact_duplicate": FaultType(When.COPY, 0.15, scattered(0.005, 0.03), _copy_exactly),
    "conflicting_duplicate": FaultType(When.COPY, 0.08, scattered(0.002, 0.02), _copy_with_conflict),
}
"""Every kind, in the order in which they act; append new ones, so that older fleets keep theirs."""
