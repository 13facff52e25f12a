"""Whether answers can be trusted: what is stored, what was kept aside, how fresh it is and how far the newest run is."""

from itertools import chain

from server.domain.answers.answer import Span
from server.domain.answers.overview import HealthReport, StageState
from server.domain.run import Run, Stage, StageStatus
from server.domain.telemetry import Fleet, FleetHealth
from server.services.reading.sources import Sources
from server.services.reading.words import at, counted, percent

_OLD_HOURS = 24.0
_MUCH_REJECTED = 0.05
_MUCH_LATE = 0.25
_MUCH_MISSING = 0.50


def check_data_health(sources: Sources, fleet: Fleet) -> HealthReport:
    """What is stored of the fleet, how far its newest run is, and what speaks against trusting the answers."""
    health, newest = sources.telemetry.health(fleet), sources.newest(fleet)
    now = sources.clock()
    hours = (now - health.last).total_seconds() / 3600 if health.last else None
    pending = _pending(newest)
    since_run = _rows_since(sources, fleet, health)
    shown = sources.newest_shown(fleet)
    finished = shown.stages[Stage.PERSIST].finished if shown else None
    doubts = tuple(chain(_of_telemetry(health, hours), _of_run(newest, shown, pending, since_run)))
    # a file of last year is old, and yet what is said of last year is right
    warnings = doubts if hours is None or hours <= _OLD_HOURS else (*doubts, f"the last row is {_age(hours)} old")
    fresh = f"last row at {at(health.last)}" if health.last else "no row"
    return HealthReport(
        summary=f"{health.rows:,} rows of {counted(health.devices, 'device')}, {fresh}; "
        f"{sum(health.rejected.values()):,} of {health.rows_in:,} rows kept aside; "
        f"{counted(len(warnings), 'warning')}{': ' if warnings else ''}{'; '.join(warnings)}.",
        fleet=fleet.name,
        run=shown.id if shown else "",
        window=Span(first=health.first, last=health.last),
        telemetry_until=health.last,
        health=health,
        hours_since=hours,
        run_created=newest.created if newest else None,
        run_finished=finished,
        pending=pending,
        rows_since_run=since_run,
        stale=bool(pending) or since_run > 0,
        trusted=not doubts,
        warnings=warnings,
        next_tool=pending[0].stage.value if pending else "ingest_telemetry" if since_run else None,
    )


def _pending(run: Run | None) -> tuple[StageState, ...]:
    if run is None:
        return ()
    return tuple(StageState(stage=stage, why=_why(run, stage)) for stage in Stage if not run.is_fresh(stage))


def _why(run: Run, stage: Stage) -> str:
    record = run.stages.get(stage)
    if record is None:
        return "not done yet"
    return f"failed: {record.error}" if record.status is StageStatus.FAILED else "to be done anew: what it stands on changed"


def _rows_since(sources: Sources, fleet: Fleet, health: FleetHealth) -> int:
    """Rows that are stored now beyond those that the run shown has seen."""
    run = sources.newest_shown(fleet)
    return max(health.rows - sources.stages.snapshot(run).rows, 0) if run else health.rows


def _of_telemetry(health: FleetHealth, hours: float | None) -> list[str]:
    found: list[str] = []
    if hours is None:
        return ["no telemetry is stored"]
    if hours < -1:
        found.append(f"the last row is {-hours:,.0f} hours in the future: a clock is wrong")
    rejected = sum(health.rejected.values())
    if rejected > _MUCH_REJECTED * health.rows_in:
        found.append(f"{rejected:,} of {health.rows_in:,} rows ({percent(rejected / health.rows_in)}) were kept aside")
    if health.late_share > _MUCH_LATE:
        found.append(f"{percent(health.late_share)} of {health.rows:,} rows came late")
    sparse = sorted(name for name, share in health.missing_share.items() if share > _MUCH_MISSING)
    if sparse:
        found.append(f"more than half of the values are missing of {', '.join(sparse[:5])}")
    return found


def _of_run(newest: Run | None, shown: Run | None, pending: tuple[StageState, ...], since: int) -> list[str]:
    found: list[str] = []
    if newest is None or shown is None:
        return ["no run has persisted anomalies yet"]
    if pending:
        found.append(f"run {newest.id} is not finished: {pending[0].stage.value} is {pending[0].why}")
    if since:
        found.append(f"{since:,} rows came after run {shown.id} froze its window")
    record = shown.done(Stage.BASELINES)
    if record and record.fallback:
        found.append(f"run {shown.id} used raw features: {record.fallback}")
    return found


def _age(hours: float) -> str:
    return f"{hours:,.0f} hours" if hours < 72 else f"{hours / 24:,.0f} days"
