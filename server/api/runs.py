"""Runs: start one, walk it in the background, look how far it is, stop it."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from server.api.door import AtDesk, By, Parts, Reader, Runner
from server.api.fields import Asked, FleetName, Limit, Offset, RunName
from server.api.starting import AskedRun
from server.domain.run import Run, SourceSpec, Stage, require_ready
from server.domain.telemetry import Frozen
from server.tools.answers import RunAnswer, RunLine, Stopped, run_answer, run_line
from server.tools.auditing import note
from server.tools.caller import Caller
from server.tools.desk import Desk
from server.tools.jobs import Work
from server.tools.starting import started

router = APIRouter(prefix="/runs", tags=["runs"])


class RunList(Frozen):
    """Runs, newest first."""

    runs: tuple[RunLine, ...]
    total: int | None = Field(description="null where there are more than these: not counted")
    offset: int
    truncated: bool


class AskedWalk(Asked):
    """How far to walk."""

    to: Stage = Field(default=Stage.PERSIST, strict=False, description="the stage to go to, with all that it needs")


@router.get("")
def list_runs(
    app: Parts,
    who: Reader,
    fleet: Annotated[FleetName | None, Query(description="Only of that fleet.")] = None,
    limit: Limit = 20,
    offset: Offset = 0,
) -> RunList:
    """Runs, newest first, with what each found and the stage to do next."""
    found = app.records.runs(who.tenant, fleet=fleet, limit=limit + 1, offset=offset)
    lines, more = tuple(run_line(run) for run in found[:limit]), len(found) > limit
    return RunList(runs=lines, total=None if more else offset + len(lines), offset=offset, truncated=more)


@router.post("", status_code=201)
def start_run(asked: AskedRun, desk: AtDesk, by: By, _: Runner, response: Response) -> RunAnswer:
    """Start a run, with nothing done yet. Next: POST /runs/{run}/advance."""
    source = SourceSpec(connector=asked.connector, location=asked.location, options=asked.options)
    settings = asked.settings.of_walk() if asked.settings else None
    run = started(desk, by, source, asked.fleet, asked.request_id, settings=settings)
    response.headers["Location"] = f"/api/v1/runs/{run.id}"
    return _shown(desk, by, run)


@router.get("/{run}")
def get_run(run: RunName, app: Parts, desk: AtDesk, by: By, who: Reader) -> RunAnswer:
    """Where a run stands: each stage's state, a walk under way and how far it is, and the stage to do next."""
    return _shown(desk, by, app.records.run(who.tenant, run))


@router.post("/{run}/advance", status_code=202)
def advance_run(
    run: RunName, app: Parts, desk: AtDesk, by: By, who: Runner, response: Response, asked: AskedWalk | None = None
) -> RunAnswer:
    """Do exactly what is missing or stale, in order, in the background. Poll GET /runs/{run}; sent again, it joins."""
    to, walk = (asked or AskedWalk()).to, app.walk
    app.records.run(who.tenant, run)
    return _under_way(
        desk, by, run, f"advance_run to {to.value}", lambda report: walk.advance(who.tenant, run, to, report), response
    )


@router.post("/{run}/stages/{stage}", status_code=202)
def run_stage(run: RunName, stage: Stage, app: Parts, desk: AtDesk, by: By, who: Runner, response: Response) -> RunAnswer:
    """Do one stage in the background, if what it needs is there and fresh; otherwise the refusal names what to do first."""
    walk = app.walk
    if desk.jobs.of(who.tenant, run) is None:
        require_ready(app.records.run(who.tenant, run), stage)
    return _under_way(desk, by, run, stage.value, lambda report: walk.run_stage(who.tenant, run, stage, report), response)


@router.post("/{run}/cancel")
def cancel_run(run: RunName, app: Parts, desk: AtDesk, by: By, who: Runner) -> Stopped:
    """Stop the walk that is under way at its next block of rows. What its stages have done stands."""
    app.records.run(who.tenant, run)
    job = desk.jobs.stop(who.tenant, run, who.name)
    note(app.records, by, "cancel_run", run, {"run": run})
    about = f"Asked the walk of {run} to stop ({job.words})." if job else f"Run {run} is not being walked; nothing to stop."
    return Stopped(summary=about, run=run, was_walking=job is not None)


def _under_way(desk: Desk, by: Caller, run: str, asked: str, step: Work, response: Response) -> RunAnswer:
    job = desk.jobs.start(by, run, asked, step)
    response.headers["Location"] = f"/api/v1/runs/{run}"
    return run_answer(desk.app.records.run(by.principal.tenant, run), job, whole_path=by.is_local)


def _shown(desk: Desk, by: Caller, run: Run) -> RunAnswer:
    return run_answer(run, desk.jobs.of(by.principal.tenant, run.id), whole_path=by.is_local)
