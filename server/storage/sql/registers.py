"""The devices and metrics of a fleet, as its newest run saw them."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, delete, insert, select
from sqlmodel import col

from server.domain.run import Run
from server.domain.telemetry import Fleet, Metric
from server.storage.tables import DeviceRow, MetricRow


def write(connection: Connection, run: Run, devices: Mapping[str, int], metrics: Sequence[Metric]) -> None:
    """Put these in place of what the fleet's registers held; `devices` maps each name to its rows."""
    key = {"tenant": run.fleet.tenant, "fleet": run.fleet.name}
    for table in (DeviceRow, MetricRow):
        connection.execute(delete(table).where(col(table.tenant) == run.fleet.tenant, col(table.fleet) == run.fleet.name))
    if devices:
        rows = [{**key, "name": name, "rows": count, "run": run.id} for name, count in devices.items()]
        connection.execute(insert(DeviceRow), rows)
    if metrics:
        connection.execute(insert(MetricRow), [{**key, "name": one.name, "body": one.model_dump_json()} for one in metrics])


def devices(connection: Connection, fleet: Fleet) -> dict[str, int]:
    """Rows of each device, by name, sorted."""
    row = DeviceRow
    wanted = select(col(row.name), col(row.rows)).where(col(row.tenant) == fleet.tenant, col(row.fleet) == fleet.name)
    return {found.name: found.rows for found in connection.execute(wanted.order_by(col(row.name)))}


def metrics(connection: Connection, fleet: Fleet) -> Sequence[Metric]:
    """The fleet's metrics, sorted by name."""
    row = MetricRow
    wanted = select(col(row.body)).where(col(row.tenant) == fleet.tenant, col(row.fleet) == fleet.name)
    return [Metric.model_validate_json(body) for body in connection.execute(wanted.order_by(col(row.name))).scalars()]
