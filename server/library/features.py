"""Features of a frame of telemetry: the walk's ingest and features stages, in memory for the length of one call."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from server.app import App, utc_now
from server.domain.catalogue import CATALOGUE, load_catalogue
from server.domain.settings import FeatureSettings
from server.domain.telemetry import ColumnMapping, Fleet, IngestReport, Members, Metric, Rejection, Snapshot
from server.errors import InvalidInput
from server.kernels.medians import group_statistics, rows_by_group
from server.library.frames import texts
from server.library.notes import FrameNote, require_frame
from server.library.source import FrameSource, source_of
from server.pipeline.features import FeaturePlan, engineer_features, plan_features
from server.pipeline.stored import plan_to_json
from server.settings import Settings
from server.storage.base import TelemetryStore

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_BLOCK_ROWS = 100_000
_SHOWN = 3
_DEVICE_COLUMN = "device_id"
_ADVICE = {
    Rejection.NO_DEVICE: "have no device",
    Rejection.NO_TIME: "have no time",
    Rejection.MALFORMED_TIME: "have a time that cannot be read",
    Rejection.MALFORMED_VALUE: "have a metric that is no number",
    Rejection.BEFORE_2000: "are from before 2000",
    Rejection.FUTURE: "are from the future",
    Rejection.DUPLICATE: "repeat a row of the same device and time",
    Rejection.CONFLICT: "repeat the device and time of another row",
}


class DeviceFeatureBuilder:
    """Rolling features per device, over a time window in hours (or a timedelta), changes since `lag` before.

    Columns that are not named are found by name and type, as for files. `catalogue` is the path of a file that adds to the
    metric catalogue, or metrics. Where no column names a device, `device_name` names the one that all rows are of.
    """

    def __init__(  # noqa: PLR0913 - one argument a role
        self,
        window: float | timedelta = 12,
        lag: float | timedelta = 12,
        metrics: Sequence[str] | None = None,
        *,
        device: str | None = None,
        time: str | None = None,
        cohort: Sequence[str] | None = None,
        store: str | None = None,
        customer: str | None = None,
        device_name: str | None = None,
        catalogue: str | Path | Sequence[Metric] | None = None,
    ) -> None:
        self._windows = FeatureSettings(window=_span("window", window), lag=_span("lag", lag))
        self._without_cohort = cohort is not None and not cohort
        named = {"device": device, "time": time, "store": store, "customer": customer}
        several = {"metrics": metrics, "cohort": cohort}
        self._options = {role: name for role, name in named.items() if name is not None}
        self._options |= {role: ",".join(names) for role, names in several.items() if names}
        self._device_name = device_name
        self._catalogue = catalogue

    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame's keys and features, in its own order and with its own index.

        For each metric `_mean`, `_std` and `_change` (NaN where there is a gap or too little history), and `_vs_cohort`: the
        mean less its median over all rows of the row's cohort. Times come back in UTC (without a zone they are taken as UTC);
        cohort cells that were empty come back as the walk fills them.

        Raises:
            InvalidInput: columns are missing or unreadable, or rows cannot be used; the message says which and what to do.
        """
        options = dict(self._options)
        if self._device_name is not None:
            frame = require_frame(frame).assign(**{_DEVICE_COLUMN: self._device_name})
            options["device"] = _DEVICE_COLUMN
        source = source_of(frame, options, without_cohort=self._without_cohort)
        with TemporaryDirectory(prefix="anomalyst-") as home, App(Settings(home=Path(home))) as app:
            settings, telemetry = app.settings, app.telemetry
            report = telemetry.ingest(
                Fleet(), source, self._known(settings), fit_split=None, now=utc_now(), progress=lambda _, __: None
            )
            _refuse_rejected(report, frame, telemetry, source)
            snapshot = telemetry.snapshot(Fleet())
            plan = self._plan(snapshot, source)
            places: list[Rows] = []
            blocks = _noting_places(telemetry.blocks(snapshot, rows=_BLOCK_ROWS), source.place, places)
            features = pa.Table.from_batches(list(engineer_features(blocks, plan, threads=settings.threads)))
            members = telemetry.members(snapshot)
        found = _InOrder(features, np.concatenate(places), plan, snapshot.interval)
        return _assembled(frame, source.roles, found, members)

    def _plan(self, snapshot: Snapshot, source: FrameSource) -> FeaturePlan:
        metrics = tuple(metric for metric in snapshot.metrics if metric.name != source.place)
        return plan_features(snapshot.model_copy(update={"metrics": metrics}), self._windows)

    def _known(self, settings: Settings) -> Sequence[Metric]:
        catalogue = settings.catalogue if self._catalogue is None else self._catalogue
        if catalogue is None:
            return CATALOGUE
        return load_catalogue(Path(catalogue)) if isinstance(catalogue, (str, Path)) else catalogue


@dataclass(frozen=True, slots=True)
class _InOrder:
    """Features as the walk orders them, handed out in the frame's order."""

    table: pa.Table
    places: Rows
    plan: FeaturePlan
    interval: timedelta

    def column(self, name: str) -> npt.NDArray[Any]:
        values = self.table.column(name).to_numpy()
        placed = np.empty_like(values)
        placed[self.places] = values
        return placed


def _assembled(frame: pd.DataFrame, roles: ColumnMapping, found: _InOrder, members: Members) -> pd.DataFrame:
    plan = found.plan
    cohort = found.column("cohort").astype(np.int64)
    time = pd.Series(pd.DatetimeIndex(found.column("time").astype("datetime64[us]"), tz="UTC"), index=frame.index)
    columns: dict[str, object] = {roles.device: frame[roles.device], roles.time: time}
    for place, name in enumerate(roles.cohort):
        columns[name] = _filled(frame, name, [names[place] for names in members.cohorts], cohort)
    columns |= {name: frame[name] for name in (roles.store, roles.customer, roles.split) if name}
    features = {feature.name: found.column(feature.name).astype(np.float64) for feature in plan.features}
    means = {metric.name: features[f"{metric.name}_mean"] for metric in plan.metrics}
    relative = {f"{name}_vs_cohort": _less_cohort_median(mean, cohort, len(members.cohorts)) for name, mean in means.items()}
    note = FrameNote(
        device=roles.device,
        time=roles.time,
        cohort=roles.cohort,
        store=roles.store,
        customer=roles.customer,
        interval=found.interval,
        plan_values=plan_to_json(plan),
    )
    _refuse_clashes(columns, [*features, *relative])
    return note.attached(pd.DataFrame(columns | features | relative, index=frame.index))


def _filled(frame: pd.DataFrame, name: str, names: Sequence[str], cohort: Rows) -> pd.Series:
    """A cohort column as it came; as text where the walk had to fill it."""
    settled = pa.array(names, pa.string()).take(pa.array(cohort))
    if texts(frame, name).equals(settled):
        return frame[name]
    return pd.Series(settled.to_pandas(), dtype="str").set_axis(frame.index)


def _less_cohort_median(mean: Floats, cohort: Rows, cohorts: int) -> Floats:
    """The rolling mean less its cohort's median; rows without a cohort (code -1) are one cohort together."""
    order, bounds = rows_by_group((cohort + 1).astype(np.int32), cohorts + 1)
    statistics = np.full((cohorts + 1, 4), np.nan)
    work = np.empty((2, int(np.diff(bounds).max(initial=0)) + 1))
    group_statistics(mean, order, bounds, statistics, work)
    return mean - statistics[cohort + 1, 0]


def _noting_places(blocks: Iterable[pa.RecordBatch], place: str, places: list[Rows]) -> Iterator[pa.RecordBatch]:
    """The blocks; the place of each row in the frame is gathered as they pass."""
    for block in blocks:
        places.append(block.column(place).to_numpy().astype(np.int64))
        yield block


def _refuse_rejected(report: IngestReport, frame: pd.DataFrame, telemetry: TelemetryStore, source: FrameSource) -> None:
    """Return if every row was kept: each row of a frame has to come back with features."""
    if not report.rejected:
        return
    kept = np.zeros(len(frame), bool)
    if report.rows_kept:
        for block in telemetry.blocks(telemetry.snapshot(Fleet()), rows=_BLOCK_ROWS):
            kept[block.column(source.place).to_numpy().astype(np.int64)] = True
    rows = ", ".join(str(label) for label in frame.index[~kept][:_SHOWN])
    reasons = ", ".join(f"{count:,} {_ADVICE[reason]}" for reason, count in report.rejected.items())
    repeats = report.rejected.keys() & {Rejection.DUPLICATE, Rejection.CONFLICT}
    roles = source.roles
    advice = f"keep one each with frame.drop_duplicates([{roles.device!r}, {roles.time!r}])" if repeats else "drop or mend them"
    raise InvalidInput(f"of {report.rows_in:,} rows {reasons} (index {rows}): {advice}, then call transform again.")


def _refuse_clashes(keys: dict[str, object], made: Sequence[str]) -> None:
    clash = [name for name in made if name in keys] or [name for name in made if made.count(name) > 1][:1]
    if clash:
        raise InvalidInput(f"two columns would be called {clash[0]!r}. Rename the metric or key that its name comes from.")


def _span(name: str, length: float | timedelta) -> timedelta:
    """Hours, or a timedelta, above zero."""
    span = length if isinstance(length, timedelta) else timedelta(hours=length)
    if span <= timedelta(0):
        raise InvalidInput(f"{name}={length!r} is not above 0. Give hours, such as {name}=12, or a timedelta.")
    return span
