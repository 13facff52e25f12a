"""Detector versions: appended, never changed."""

from sqlalchemy import Connection, insert, select
from sqlmodel import col

from server.domain.baseline import DetectorVersion
from server.domain.telemetry import Fleet
from server.storage.tables import DetectorVersionRow


def add(connection: Connection, version: DetectorVersion) -> DetectorVersion:
    """Store the fleet's next version; if the newest has the same digest, that one is returned instead."""
    newest = one(connection, version.fleet, None)
    if newest is not None and newest.digest == version.digest:
        return newest
    numbered = version.model_copy(update={"version": newest.version + 1 if newest else 1})
    connection.execute(
        insert(DetectorVersionRow).values(
            tenant=numbered.fleet.tenant,
            fleet=numbered.fleet.name,
            version=numbered.version,
            digest=numbered.digest,
            body=numbered.model_dump_json(),
        )
    )
    return numbered


def one(connection: Connection, fleet: Fleet, version: int | None) -> DetectorVersion | None:
    """That version of the fleet, or with None the newest; None if there is none."""
    row = DetectorVersionRow
    wanted = select(col(row.body)).where(col(row.tenant) == fleet.tenant, col(row.fleet) == fleet.name)
    if version is not None:
        wanted = wanted.where(col(row.version) == version)
    body = connection.execute(wanted.order_by(col(row.version).desc()).limit(1)).scalar_one_or_none()
    return None if body is None else DetectorVersion.model_validate_json(body)
