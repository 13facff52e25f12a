"""Baseline versions and their statistics. A version never changes, but for being expired by the next one."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, Connection, func, insert, select, update
from sqlmodel import col

from server.domain.baseline import Baseline, BaselineVersion, Level
from server.domain.telemetry import Fleet
from server.storage.tables import BaselineRow, BaselineVersionRow

if TYPE_CHECKING:
    import pyarrow as pa


def add(connection: Connection, version: BaselineVersion, statistics: "pa.Table | Iterable[pa.RecordBatch]") -> BaselineVersion:
    """Store the next version and put it in force; if its digest is in force already, that version is returned instead."""
    in_force = one(connection, version.fleet, None)
    if in_force is not None and in_force.digest == version.digest:
        return in_force
    _expire(connection, version)
    numbered = version.model_copy(update={"version": _newest(connection, version.fleet) + 1, "expired": None})
    row = insert(BaselineVersionRow).values(
        tenant=numbered.fleet.tenant,
        fleet=numbered.fleet.name,
        version=numbered.version,
        digest=numbered.digest,
        body=numbered.model_dump_json(),
    )
    added = connection.execute(row.returning(col(BaselineVersionRow.id))).scalar_one()
    _add_statistics(connection, {"version_id": int(added or 0), "tenant": version.fleet.tenant}, statistics)
    return numbered


def one(connection: Connection, fleet: Fleet, version: int | None) -> BaselineVersion | None:
    """That version of the fleet, or with None the one in force; None if there is none."""
    which = col(BaselineVersionRow.expired).is_(None) if version is None else col(BaselineVersionRow.version) == version
    wanted = select(col(BaselineVersionRow.body), col(BaselineVersionRow.expired)).where(*_of(fleet), which)
    found = connection.execute(wanted).one_or_none()
    if found is None:
        return None
    return BaselineVersion.model_validate_json(found.body).model_copy(update={"expired": found.expired})


def page(  # noqa: PLR0913 - one argument for each column that a page is narrowed by
    connection: Connection,
    fleet: Fleet,
    version: int,
    *,
    level: Level | None,
    group: str | None,
    feature: str | None,
    limit: int,
    offset: int,
) -> Sequence[Baseline]:
    """Baselines of one version, by level, group and feature; none if there is no such version."""
    which = select(col(BaselineVersionRow.id)).where(*_of(fleet), col(BaselineVersionRow.version) == version)
    row = BaselineRow
    key = (col(row.level), col(row.group), col(row.feature))
    wanted = select(*key, col(row.median), col(row.scale), col(row.n)).where(col(row.version_id) == which.scalar_subquery())
    for column, value in zip(key, (level, group, feature), strict=True):
        wanted = wanted.where(column == value) if value is not None else wanted
    found = connection.execute(wanted.order_by(*key).limit(limit).offset(offset)).mappings()
    return [Baseline.model_validate(dict(each)) for each in found]


def _of(fleet: Fleet) -> tuple[ColumnElement[bool], ...]:
    return (col(BaselineVersionRow.tenant) == fleet.tenant, col(BaselineVersionRow.fleet) == fleet.name)


def _expire(connection: Connection, version: BaselineVersion) -> None:
    in_force = col(BaselineVersionRow.expired).is_(None)
    connection.execute(update(BaselineVersionRow).where(*_of(version.fleet), in_force).values(expired=version.created))


def _newest(connection: Connection, fleet: Fleet) -> int:
    return connection.execute(select(func.max(col(BaselineVersionRow.version))).where(*_of(fleet))).scalar_one() or 0


def _add_statistics(
    connection: Connection, same: dict[str, str | int], statistics: "pa.Table | Iterable[pa.RecordBatch]"
) -> None:
    from server.storage.columns import BASELINE_COLUMNS  # noqa: PLC0415 - Arrow takes 0.2 s, for which reading should not wait
    from server.storage.sql.bulk import insert_rows  # noqa: PLC0415 - see above

    order = (("level", "ascending"), ("group", "ascending"), ("feature", "ascending"))
    insert_rows(connection, BaselineRow, statistics, BASELINE_COLUMNS, same=same, order=order)
