"""What the walk tools answer: ids, counts, a sentence, and the tool to call next; never rows."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from server.domain.run import Run, Stage
from server.domain.telemetry import Frozen
from server.tools.jobs import Job

StageState = Literal["missing", "running", "done", "stale", "failed"]


class StageAnswer(Frozen):
    """Where one stage of a run stands."""

    stage: Stage
    state: StageState
    rows: int = 0
    summary: str = Field(default="", description="what it did")
    error: str = Field(default="", description="why its last attempt failed")
    seconds: float = Field(default=0.0, description="how long its last attempt took")


class Walking(Frozen):
    """A walk that is under way."""

    asked: str = Field(description="the call that it answers")
    by: str
    since: datetime
    stage: Stage | None = Field(description="the stage it is in; null while it waits for its turn")
    rows_done: int
    rows_in_all: int | None


class RunAnswer(Frozen):
    """Where a run stands and what to do next."""

    summary: str = Field(description="one sentence")
    run: str
    fleet: str
    source: str = Field(description="connector and what it opens")
    created: datetime
    complete: bool = Field(description="every stage is done and fresh")
    next_tool: str | None = Field(description="the tool to call next; null if a walk is under way or nothing is left")
    stages: tuple[StageAnswer, ...]
    walking: Walking | None = Field(default=None, description="the walk under way, if one is")
    raw_features: str = Field(default="", description="why raw features are used instead of baselines; empty if they are not")


class RunLine(Frozen):
    """A run in a list."""

    run: str
    fleet: str
    created: datetime
    complete: bool
    next_tool: str | None
    anomalies: int | None = Field(description="how many it found; null if it has not come that far")


class RunPage(Frozen):
    """Runs, newest first."""

    summary: str
    runs: tuple[RunLine, ...]
    truncated: bool
    cursor: str | None = Field(description="pass it to go on; null on the last page")


class Stopped(Frozen):
    """What became of a request to stop a walk."""

    summary: str
    run: str
    was_walking: bool
    next_tool: str = "get_run"


def run_answer(run: Run, job: Job | None, *, whole_path: bool) -> RunAnswer:
    """The run as a model reads it. Only who may see the machine sees where on it the source is."""
    following = run.next_stage()
    location = run.source.location if whole_path else run.source.location.replace("\\", "/").rpartition("/")[2]
    return RunAnswer(
        summary=_sentence(run, job),
        run=run.id,
        fleet=run.fleet.name,
        source=f"{run.source.connector}: {location}",
        created=run.created,
        complete=following is None,
        next_tool=None if job or following is None else following.value,
        stages=tuple(_stage(run, stage, job) for stage in Stage),
        walking=_walking(job) if job else None,
        raw_features=next((record.fallback for record in run.stages.values() if record.fallback), ""),
    )


def run_line(run: Run) -> RunLine:
    """The run as a line of a list."""
    following, persisted = run.next_stage(), run.done(Stage.PERSIST)
    return RunLine(
        run=run.id,
        fleet=run.fleet.name,
        created=run.created,
        complete=following is None,
        next_tool=following.value if following else None,
        anomalies=persisted.rows if persisted else None,
    )


def _sentence(run: Run, job: Job | None) -> str:
    following = run.next_stage()
    if job:
        return f"Run {run.id} is being walked ({job.words}). Call get_run again to see how far it is."
    if following is None:
        return f"Run {run.id} is complete: {run.stages[Stage.PERSIST].summary}."
    record = run.stages.get(following)
    if record is not None and record.error:
        return f"Run {run.id}: {following.value} failed: {record.error}"
    done = sum(run.is_fresh(stage) for stage in Stage)
    return f"Run {run.id}: {done} of {len(Stage)} stages are done and fresh. Call {following.value} next, or advance_run."


def _stage(run: Run, stage: Stage, job: Job | None) -> StageAnswer:
    record = run.stages.get(stage)
    state: StageState = "running" if job and job.stage is stage else "missing"
    if record is None:
        return StageAnswer(stage=stage, state=state)
    if state == "missing":
        state = "failed" if run.done(stage) is None else "done" if run.is_fresh(stage) else "stale"
    seconds = round((record.finished - record.started).total_seconds(), 3)
    return StageAnswer(stage=stage, state=state, rows=record.rows, summary=record.summary, error=record.error, seconds=seconds)


def _walking(job: Job) -> Walking:
    return Walking(
        asked=job.asked,
        by=job.by.principal.name,
        since=job.started,
        stage=job.stage,
        rows_done=job.done,
        rows_in_all=job.total,
    )
