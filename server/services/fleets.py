"""Which fleet is meant, and which of its runs is shown."""

from server.domain.run import Run, Stage
from server.domain.telemetry import Fleet
from server.errors import InvalidInput, NotFound, StageNotReady
from server.storage.base import Records

_MOST_RUNS = 1_000


def fleet_named(records: Records, tenant: str, name: str | None) -> Fleet:
    """The tenant's fleet of that name; unset: the only one that there is.

    Raises:
        NotFound: no run has a fleet of that name.
        InvalidInput: none is named and there are several; the message lists them.
        StageNotReady: nothing has been ingested at all.
    """
    known = sorted({run.fleet.name for run in records.runs(tenant, limit=_MOST_RUNS)})
    if not known:
        raise StageNotReady("this question", Stage.INGEST.value, "missing: there is no run yet")
    if name is None and len(known) > 1:
        raise InvalidInput(f"there are several fleets: {', '.join(known)}. Say which one with `fleet`.")
    if name is not None and name not in known:
        raise NotFound("fleet", name, known, listed_by="list_runs")
    return Fleet(tenant=tenant, name=name or known[0])


def shown_run(records: Records, fleet: Fleet) -> Run:
    """The fleet's newest run whose anomalies are persisted. Raises `StageNotReady` naming what to call if there is none."""
    runs = records.runs(fleet.tenant, fleet=fleet.name, limit=_MOST_RUNS)
    for run in runs:
        if run.done(Stage.PERSIST):
            return run
    due = (runs[0].next_stage() if runs else None) or Stage.INGEST
    raise StageNotReady("this question", due.value, "not done yet")
