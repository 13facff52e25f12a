"""The verbs of the walk as tools: each starts or joins a walk in a thread of its own and waits for it."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

from mcp.server.mcpserver import Context
from pydantic import Field

from server.domain.identity import Principal, Scope
from server.domain.run import Run, SourceSpec, Stage, require_ready
from server.domain.telemetry import NAME
from server.errors import InvalidInput
from server.tools.answers import RunAnswer, RunPage, Stopped, run_answer, run_line
from server.tools.asked_settings import AskedSettings
from server.tools.auditing import note
from server.tools.caller import caller, who
from server.tools.desk import Desk
from server.tools.fields import Cursor, FleetName, Limit, RequestId, RunId, offset
from server.tools.jobs import Job, Work
from server.tools.kept import RestsOn
from server.tools.offered import Offered, changing, reading
from server.tools.starting import started
from server.tools.waiting import ended

Location = Annotated[
    str,
    Field(
        min_length=1,
        max_length=1000,
        description="What to read, on the server's machine: a CSV or Parquet file, a folder of them, file.duckdb::table, "
        "or for the connector `synthetic` a plan such as demo.",
    ),
]
Options = Annotated[
    dict[str, Annotated[str, Field(max_length=1000)]],
    Field(
        max_length=20,
        description='The connector\'s options: which column is what, such as {"device": "Serial", "time": "ReadAt"}, or for '
        '`synthetic` {"devices": "50", "days": "10"}.',
    ),
]
Wait = Annotated[
    bool, Field(description="true: answer when the work is over. false: answer at once; get_run then says how far it is.")
]
ToFleet = Annotated[str, Field(pattern=NAME, max_length=32, description="The fleet that the telemetry belongs to.")]


class WalkTools:
    """Starting, walking, looking at and stopping runs."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._app = desk, desk.app

    def offered(self) -> Sequence[Offered]:
        """The tools of this file."""
        stages = (self.engineer_features, self.compute_baselines, self.train_detector, self.score_telemetry)
        titles = ("Engineer features", "Compute baselines", "Train the detector", "Score telemetry")
        return (
            changing(self.ingest_telemetry, "Ingest telemetry", Scope.RUN, repeatable=False),
            *(changing(stage, title, Scope.RUN, repeatable=True) for stage, title in zip(stages, titles, strict=True)),
            changing(self.persist_anomalies, "Persist anomalies", Scope.RUN, repeatable=True),
            changing(self.advance_run, "Walk on", Scope.RUN, repeatable=True),
            reading(self.get_run, "Look at a run", RestsOn.STORES | RestsOn.WALKS),
            reading(self.list_runs, "List runs"),
            changing(self.cancel_run, "Stop a walk", Scope.RUN, repeatable=True, destructive=True),
        )

    async def ingest_telemetry(  # noqa: PLR0913 - each is an argument of the tool
        self,
        ctx: Context[Any, Any],
        *,
        location: Location | None = None,
        connector: Annotated[str, Field(max_length=60, description="What opens the location.")] = "files",
        fleet: ToFleet = "default",
        options: Options | None = None,
        settings: Annotated[AskedSettings, Field(description="What the new run differs in from the usual settings.")]
        | None = None,
        run: RunId | None = None,
        request_id: RequestId | None = None,
        wait: Wait = True,
    ) -> RunAnswer:
        """Read telemetry and freeze the window that a run works on: the first stage of every walk.

        Give `location` to start a new run, with `settings` that it keeps, or `run` to read the source of an existing one again.
        Rows that cannot be kept are counted with the reason. Next: engineer_features, or advance_run for all that follows.

        Example: {"location": "demo", "connector": "synthetic", "options": {"devices": "50", "days": "10"}, "fleet": "demo"}
        """
        if (location is None) == (run is None):
            raise InvalidInput("give either `location`, to start a new run, or `run`, to ingest for one that there is.")
        if run is not None and settings is not None:
            raise InvalidInput("a run keeps the settings that it was started with. Give `location` to start one with others.")
        if location is not None:
            who(Scope.RUN)
            source = SourceSpec(connector=connector, location=location, options=options or {})
            begun = await asyncio.to_thread(
                started,
                self._desk,
                caller(),
                source,
                fleet,
                request_id or "",
                settings=settings.of_walk() if settings else None,
            )
            run = begun.id
            if begun.is_fresh(Stage.INGEST):  # the same request did it before
                return self._shown(caller().principal, begun)
        assert run is not None  # noqa: S101 - one of the two was given
        return await self._stage(run, Stage.INGEST, ctx, wait=wait)

    async def engineer_features(self, run: RunId, ctx: Context[Any, Any]) -> RunAnswer:
        """Make rolling features of every row of a run: mean, spread and change of each metric. Needs ingest_telemetry.

        Example: {"run": "demo-20260301-080000-1a2b"}
        """
        return await self._stage(run, Stage.FEATURES, ctx)

    async def compute_baselines(self, run: RunId, ctx: Context[Any, Any]) -> RunAnswer:
        """Estimate what is normal for the whole fleet, each cohort, site and device. Needs engineer_features.

        If there are too few rows the walk goes on with raw features, and the answer says so in `raw_features`.

        Example: {"run": "demo-20260301-080000-1a2b"}
        """
        return await self._stage(run, Stage.BASELINES, ctx)

    async def train_detector(self, run: RunId, ctx: Context[Any, Any]) -> RunAnswer:
        """Train the anomaly detector of a run and put its threshold. Needs compute_baselines.

        Example: {"run": "demo-20260301-080000-1a2b"}
        """
        return await self._stage(run, Stage.TRAIN, ctx)

    async def score_telemetry(self, run: RunId, ctx: Context[Any, Any]) -> RunAnswer:
        """Score every row of a run and find the metrics at fault in those flagged. Needs train_detector.

        Example: {"run": "demo-20260301-080000-1a2b"}
        """
        return await self._stage(run, Stage.SCORE, ctx)

    async def persist_anomalies(self, run: RunId, ctx: Context[Any, Any]) -> RunAnswer:
        """Store the flagged rows of a run as anomalies, grouped into incidents. Needs score_telemetry.

        Only after this do list_incidents, list_anomalies and the other questions see what the run found.

        Example: {"run": "demo-20260301-080000-1a2b"}
        """
        return await self._stage(run, Stage.PERSIST, ctx)

    async def advance_run(
        self,
        run: RunId,
        ctx: Context[Any, Any],
        to: Annotated[Stage, Field(description="The stage to go to.")] = Stage.PERSIST,
        wait: Wait = True,
    ) -> RunAnswer:
        """Do exactly what is missing or stale in a run, in order, up to and including a stage: the usual way to walk.

        Reports progress; goes on if you hang up, so that after a timeout you look with get_run, or call this again to wait on.

        Example: {"run": "demo-20260301-080000-1a2b"}
        """
        walk, tenant = self._app.walk, who(Scope.RUN).tenant
        await asyncio.to_thread(self._app.records.run, tenant, run)
        job = self._desk.jobs.start(
            caller(), run, f"advance_run to {to.value}", lambda report: walk.advance(tenant, run, to, report)
        )
        return await self._answer(job, ctx, wait=wait)

    def get_run(self, run: RunId) -> RunAnswer:
        """Show where a run stands: each stage's state, rows and words, a walk under way, and the tool to call next.

        Example: {"run": "demo-20260301-080000-1a2b"}
        """
        principal = who(Scope.READ)
        return self._shown(principal, self._app.records.run(principal.tenant, run))

    def list_runs(self, fleet: FleetName | None = None, limit: Limit = 20, cursor: Cursor | None = None) -> RunPage:
        """List runs, newest first, with what each found and the tool to call next.

        Example: {"fleet": "demo", "limit": 5}
        """
        start = offset(cursor)
        found = self._app.records.runs(who(Scope.READ).tenant, fleet=fleet, limit=limit + 1, offset=start)
        shown, more = found[:limit], len(found) > limit
        about = f"{len(shown)} runs, newest first{'; there are more' if more else ''}."
        if not shown:
            about = "No runs yet: ingest_telemetry starts one." if not start else "No further runs."
        return RunPage(
            summary=about,
            runs=tuple(run_line(run) for run in shown),
            truncated=more,
            cursor=str(start + limit) if more else None,
        )

    def cancel_run(self, run: RunId) -> Stopped:
        """Stop the walk that is under way in a run. What its stages have done stands; the stage it is in counts as failed.

        It ends at its next block of rows, which may take a while. advance_run goes on from there.

        Example: {"run": "demo-20260301-080000-1a2b"}
        """
        principal = who(Scope.RUN)
        self._app.records.run(principal.tenant, run)
        job = self._desk.jobs.stop(principal.tenant, run, principal.name)
        note(self._app.records, caller(), "cancel_run", run, {"run": run})
        about = f"Asked the walk of {run} to stop ({job.words})." if job else f"Run {run} is not being walked; nothing to stop."
        return Stopped(summary=about, run=run, was_walking=job is not None)

    async def _stage(self, run: str, stage: Stage, ctx: Context[Any, Any], *, wait: bool = True) -> RunAnswer:
        walk, tenant = self._app.walk, who(Scope.RUN).tenant
        if self._desk.jobs.of(tenant, run) is None:
            require_ready(await asyncio.to_thread(self._app.records.run, tenant, run), stage)
        work: Work = lambda report: walk.run_stage(tenant, run, stage, report)  # noqa: E731 - a name for a line
        return await self._answer(self._desk.jobs.start(caller(), run, stage.value, work), ctx, wait=wait)

    async def _answer(self, job: Job, ctx: Context[Any, Any], *, wait: bool) -> RunAnswer:
        if wait:
            await ended(job, ctx)
        principal = caller().principal
        return self._shown(principal, await asyncio.to_thread(self._app.records.run, principal.tenant, job.run))

    def _shown(self, principal: Principal, run: Run) -> RunAnswer:
        return run_answer(run, self._desk.jobs.of(principal.tenant, run.id), whole_path=caller().is_local)
