"""What is stored of a fleet and what was not, in a few numbers."""

# ruff: noqa: S608 - the identifiers are the store's own, what comes from outside is bound

from collections import Counter
from datetime import UTC, datetime, timedelta

from server.domain.telemetry import FleetHealth, IngestReport, Rejection
from server.storage.telemetry.pruning import retired
from server.storage.telemetry.schema import FOREVER, FleetTables


def fleet_health(tables: FleetTables, lateness: timedelta) -> FleetHealth:
    """Totals over all ingests of the fleet; shares are of the rows stored now."""
    metrics = tables.metrics()
    bound = lateness // timedelta(microseconds=1)
    missing = "".join(f", avg(isnan({column})::INTEGER)" for column, _ in metrics.values())
    rows, devices, first, last, late, *shares = tables.fetch(f"""
        SELECT count(*), count(DISTINCT device), min(time), max(time),
               avg((coalesce(arrival, time) - time > {bound})::INTEGER){missing}
        FROM {tables.table("telemetry")} WHERE removed = {FOREVER}""")[0]
    rows_in, rejected = _history(tables)
    return FleetHealth(
        fleet=tables.fleet,
        rows_in=rows_in,
        rows=rows,
        devices=devices,
        first=_moment(first),
        last=_moment(last),
        rejected={reason: rejected[reason] for reason in Rejection if rejected[reason]},
        pruned=retired(tables),
        late_share=late or 0.0,
        missing_share={name: share or 0.0 for name, share in zip(metrics, shares, strict=True)},
    )


def extent(tables: FleetTables) -> tuple[datetime | None, datetime | None]:
    """First and last event time of the rows stored now."""
    query = f"SELECT min(time), max(time) FROM {tables.table('telemetry')} WHERE removed = {FOREVER}"
    first, last = tables.fetch(query)[0]
    return _moment(first), _moment(last)


def _history(tables: FleetTables) -> tuple[int, Counter[Rejection]]:
    rows_in, rejected = 0, Counter[Rejection]()
    for displaced, text in tables.fetch(f"SELECT displaced, report FROM {tables.table('ingests')}"):
        report = IngestReport.model_validate_json(text)
        rows_in += report.rows_in
        rejected.update(report.rejected)
        rejected[Rejection.CONFLICT] += displaced
    return rows_in, rejected


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
