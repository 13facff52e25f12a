"""What answers are read from, and the first steps of each: which fleet, which run, whether such a device is known."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from server.domain.baseline import DetectorVersion
from server.domain.feedback import ExpectedRule
from server.domain.identity import Principal
from server.domain.run import Run, Stage
from server.domain.telemetry import Fleet, Metric
from server.errors import InvalidInput, NotFound, StageNotReady
from server.services.fleets import fleet_named
from server.services.reading.shelf import Shelf, Shown
from server.services.stages import Stages
from server.storage.base import CorrectionRecords, DecisionMemory, LockedQueries, Records, TelemetryStore

_RUNS_LOOKED_AT = 1000


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that answers are read from. Nothing here is written to. The memory is opened when first asked."""

    records: Records
    corrections: CorrectionRecords
    memory: Callable[[], DecisionMemory]
    stages: Stages
    telemetry: TelemetryStore
    queries: LockedQueries
    clock: Callable[[], datetime]
    shelf: Shelf
    threads: int = 1

    def fleet(self, who: Principal, name: str | None) -> Fleet:
        """The tenant's fleet of that name, or its only one.

        Raises:
            NotFound: there is no such fleet.
            InvalidInput: none is named and there are several.
            StageNotReady: nothing has been ingested at all.
        """
        return fleet_named(self.records, who.tenant, name)

    def newest(self, fleet: Fleet) -> Run | None:
        """The fleet's newest run, however far it is."""
        return next(iter(self.records.runs(fleet.tenant, fleet=fleet.name, limit=1)), None)

    def newest_shown(self, fleet: Fleet) -> Run | None:
        """The fleet's newest run with persisted anomalies."""
        runs = self.records.runs(fleet.tenant, fleet=fleet.name, limit=_RUNS_LOOKED_AT)
        return next((run for run in runs if run.done(Stage.PERSIST)), None)

    def run(self, who: Principal, fleet: str | None, run: str | None = None) -> Run:
        """The named run, or the newest one of the fleet, with persisted anomalies.

        Raises:
            NotFound: there is no such fleet or run (of that fleet).
            StageNotReady: it has no persisted anomalies yet.
        """
        found = self.newest_shown(self.fleet(who, fleet)) if run is None else self.records.run(who.tenant, run)
        if run is not None and found is not None and fleet not in (None, found.fleet.name):
            raise NotFound(f"run of fleet {fleet}", run, listed_by="list_runs")
        if found is None or not found.done(Stage.PERSIST):
            raise StageNotReady("this answer", Stage.PERSIST.value, "not done yet")
        return found

    def shown(self, run: Run) -> Shown:
        """The rows that the run's persisted anomalies were found among."""
        return self.shelf.take(self.stages, run)

    def device(self, fleet: Fleet, name: str) -> str:
        """The name, if the fleet has such a device. Raises `NotFound` with near matches."""
        known = self.records.devices(fleet)
        if name not in known:
            raise NotFound("device", name, list(known), listed_by="list_incidents")
        return name

    def metric(self, fleet: Fleet, name: str) -> Metric:
        """What is known of the metric. Raises `NotFound` with near matches."""
        known = {metric.name: metric for metric in self.records.metrics(fleet)}
        if name not in known:
            raise NotFound("metric", name, list(known), listed_by="list_baselines")
        return known[name]

    def units(self, fleet: Fleet) -> dict[str, str]:
        """Unit by metric, where it is known."""
        return {metric.name: metric.unit for metric in self.records.metrics(fleet) if metric.unit}

    def rules(self, fleet: Fleet) -> Sequence[ExpectedRule]:
        """All rules of the fleet, ended ones too: what they muted stays muted."""
        return self.corrections.rules(fleet.tenant, fleet=fleet.name)

    def detector(self, run: Run) -> DetectorVersion | None:
        """The version of the run's own detector: other runs may have added later ones."""
        record = run.done(Stage.TRAIN)
        found = self.records.detector_version(run.fleet)
        while found is not None and record is not None and found.digest != record.digest:
            found = self.records.detector_version(run.fleet, found.version - 1)
        return found

    def until(self, fleet: Fleet) -> datetime | None:
        """The last event time that the fleet has."""
        return self.telemetry.extent(fleet)[1]


def utc(moment: datetime | None) -> datetime | None:
    """The moment in UTC, which is assumed where it names no zone."""
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def window(since: datetime | None, until: datetime | None) -> tuple[datetime | None, datetime | None]:
    """Both in UTC. Raises `InvalidInput` if they are the wrong way round."""
    first, last = utc(since), utc(until)
    if first is not None and last is not None and first > last:
        raise InvalidInput(f"since {first.isoformat()} is after until {last.isoformat()}. Turn them round.")
    return first, last


def page_bounds(limit: int, offset: int, most: int = 500) -> None:
    """Return if a page of that size can be asked for. Raises `InvalidInput` otherwise."""
    if not 1 <= limit <= most or offset < 0:
        raise InvalidInput(f"limit {limit} has to be from 1 to {most}, and offset {offset} not below 0.")
