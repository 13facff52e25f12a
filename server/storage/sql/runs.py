"""Runs: added once, then changed by compare-and-set only."""

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select, update
from sqlmodel import col

from server.domain.run import Run
from server.errors import InvalidInput, NotFound, Unavailable
from server.storage.tables import RunRow

_NEAR = 200


def add(connection: Connection, run: Run) -> None:
    """Store a new run. Raises `InvalidInput` if its tenant has one of that id."""
    if _body(connection, run.fleet.tenant, run.id) is not None:
        raise InvalidInput(f"run {run.id!r} exists already. Choose another id, or go on with that run.")
    connection.execute(insert(RunRow).values(tenant=run.fleet.tenant, id=run.id, fleet=run.fleet.name, **_changing(run)))


def one(connection: Connection, tenant: str, run_id: str) -> Run:
    """The run. Raises `NotFound` with near matches among the tenant's newest."""
    body = _body(connection, tenant, run_id)
    if body is None:
        ids = select(col(RunRow.id)).where(col(RunRow.tenant) == tenant).order_by(col(RunRow.created).desc()).limit(_NEAR)
        raise NotFound("run", run_id, list(connection.execute(ids).scalars()))
    return Run.model_validate_json(body)


def page(connection: Connection, tenant: str, *, fleet: str | None, limit: int | None, offset: int = 0) -> Sequence[Run]:
    """Runs of the tenant (or of one of its fleets), newest first; without a limit all of them."""
    wanted = select(col(RunRow.body)).where(col(RunRow.tenant) == tenant)
    if fleet is not None:
        wanted = wanted.where(col(RunRow.fleet) == fleet)
    wanted = wanted.order_by(col(RunRow.created).desc(), col(RunRow.id).desc()).limit(limit).offset(offset)
    return [Run.model_validate_json(body) for body in connection.execute(wanted).scalars()]


def tenants(connection: Connection) -> Sequence[str]:
    """All tenants that have a run, by name."""
    return list(connection.execute(select(col(RunRow.tenant)).distinct().order_by(col(RunRow.tenant))).scalars())


def save(connection: Connection, run: Run) -> Run:
    """Store the run if its revision is still the stored one; returned with the next revision.

    Raises:
        NotFound: there is no such run.
        Unavailable: another caller changed it since it was read.
    """
    saved = run.model_copy(update={"revision": run.revision + 1})
    changed = connection.execute(
        update(RunRow)
        .where(
            col(RunRow.tenant) == run.fleet.tenant,
            col(RunRow.id) == run.id,
            col(RunRow.fleet) == run.fleet.name,
            col(RunRow.revision) == run.revision,
        )
        .values(**_changing(saved))
    )
    if changed.rowcount == 0:
        now = one(connection, run.fleet.tenant, run.id).revision
        raise Unavailable(
            f"run {run.id} is at revision {now}, no longer at {run.revision}: another call changed it. Read it again."
        )
    return saved


def _changing(run: Run) -> dict[str, object]:
    return {"created": run.created, "revision": run.revision, "body": run.model_dump_json()}


def _body(connection: Connection, tenant: str, run_id: str) -> str | None:
    wanted = select(col(RunRow.body)).where(col(RunRow.tenant) == tenant, col(RunRow.id) == run_id)
    return connection.execute(wanted).scalar_one_or_none()
