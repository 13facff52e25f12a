"""The walk's verbs: guarded, recorded, resumable. Every surface calls these and nothing below them."""

import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from threading import Lock

import structlog

from server.domain.run import REQUIRES, Run, SourceSpec, Stage, StageRecord, StageStatus, require_ready
from server.domain.settings import WalkSettings
from server.domain.telemetry import Fleet
from server.errors import AnomalystError, RunBusy, Unavailable
from server.services.stages import Outcome, Stages
from server.storage.base import Progress, Records

_log = structlog.get_logger("anomalyst.walk")
StageProgress = Callable[[Stage, int, int | None], None]
"""Called with (stage, rows done, rows in all if known)."""


def silent(_: Stage, __: int, ___: int | None) -> None:
    """Progress that nobody watches."""


class Walk:
    """Starts runs and takes them through their stages, one stage at a time a run."""

    def __init__(self, records: Records, stages: Stages, clock: Callable[[], datetime]) -> None:
        self._records, self._stages, self._clock = records, stages, clock
        self._busy: dict[tuple[str, str], Lock] = {}
        self._busy_guard = Lock()

    @property
    def stages(self) -> Stages:
        """What the stages made, for reading."""
        return self._stages

    def start(self, fleet: Fleet, source: SourceSpec, settings: WalkSettings, *, run_id: str = "") -> Run:
        """A new run, with nothing done yet. Its id tells fleet and day apart at a glance, unless the caller names one."""
        now = self._clock()
        run_id = run_id or f"{fleet.name.replace('_', '-')}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        run = Run(id=run_id, fleet=fleet, settings=settings, created=now, source=source)
        self._records.add_run(run)
        return run

    def run_stage(self, tenant: str, run_id: str, stage: Stage, progress: StageProgress = silent) -> Run:
        """Do one stage and record what it was made from.

        Raises:
            StageNotReady: a prerequisite is missing or stale; the message names the verb to call next.
            RunBusy: the run is being walked by another call.
            NotFound: there is no such run, or it was pruned meanwhile.
            Unavailable: a store cannot be reached.
            AnomalystError: the stage failed; the run says so, keeps what came before, and a later call tries again.
        """
        with self._alone(tenant, run_id):
            run = self._records.run(tenant, run_id)
            require_ready(run, stage)
            return self._perform(run, stage, lambda done, total: progress(stage, done, total))

    def advance(self, tenant: str, run_id: str, to: Stage = Stage.PERSIST, progress: StageProgress = silent) -> Run:
        """Do exactly what is missing or stale, up to and including `to`. Raises what `run_stage` raises."""
        while True:
            run = self._records.run(tenant, run_id)
            pending = next((stage for stage in path_to(to) if not run.is_fresh(stage)), None)
            if pending is None:
                return run
            self.run_stage(tenant, run_id, pending, progress)

    def _perform(self, run: Run, stage: Stage, progress: Progress) -> Run:
        started, consumed = self._clock(), run.inputs(stage)
        try:
            outcome = self._stages.verbs[stage](run, progress)
        except Exception as error:  # also a fault of ours: whoever reads the run later has to see that the stage failed
            self._require_there(run)
            if stage is Stage.INGEST and run.is_fresh(stage):
                raise  # what is ingested stays: a source that has gone since takes nothing back
            self._note_failure(run, _failure(stage, error, consumed, (started, self._clock())))
            raise
        record = _record(stage, outcome, consumed, (started, self._clock()))
        if outcome.fallback and stage is Stage.BASELINES:
            _log.warning("raw features instead of baselines", run=run.id, reason=outcome.fallback)
        saved = self._records.save_run(run.with_record(record))
        if stage is Stage.INGEST:
            self._stages.let_go(run)
        return saved

    def _require_there(self, run: Run) -> None:
        """Raises NotFound if the run was pruned meanwhile, which says more than what broke for want of its files."""
        with suppress(Unavailable):
            self._records.run(run.fleet.tenant, run.id)

    def _note_failure(self, run: Run, failed: StageRecord) -> None:
        _log.warning("stage failed", run=run.id, stage=failed.stage.value, error=failed.error)
        with suppress(AnomalystError):  # what stopped the stage is worth more to the caller than what stopped the note
            self._records.save_run(run.with_record(failed))

    def _alone(self, tenant: str, run_id: str) -> "_Turn":
        with self._busy_guard:
            lock = self._busy.setdefault((tenant, run_id), Lock())
        return _Turn(lock, run_id)


class _Turn:
    """One walk at a time a run: a second call is told so at once rather than made to wait."""

    def __init__(self, lock: Lock, run_id: str) -> None:
        self._lock, self._run_id = lock, run_id

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise RunBusy(f"run {self._run_id} is being walked by another call. Wait for it, then look at the run.")

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def path_to(stage: Stage) -> tuple[Stage, ...]:
    """The stages that `stage` stands on and itself, in order."""
    needed = {stage}
    for earlier in reversed(Stage):
        if earlier in needed:
            needed.update(REQUIRES[earlier])
    return tuple(each for each in Stage if each in needed)


def _failure(stage: Stage, error: Exception, consumed: dict[str, str], times: tuple[datetime, datetime]) -> StageRecord:
    """A failed stage's record. A message that was not written for the caller may hold anything, so only its type is kept."""
    why = str(error) if isinstance(error, AnomalystError) else f"fault of anomalyst ({type(error).__name__})"
    return StageRecord(
        stage=stage, status=StageStatus.FAILED, consumed=consumed, error=why, started=times[0], finished=times[1]
    )


def _record(stage: Stage, outcome: Outcome, consumed: dict[str, str], times: tuple[datetime, datetime]) -> StageRecord:
    return StageRecord(
        stage=stage,
        status=StageStatus.DONE,
        digest=outcome.digest,
        artifact=outcome.artifact,
        consumed=consumed,
        rows=outcome.rows,
        summary=outcome.summary,
        fallback=outcome.fallback,
        started=times[0],
        finished=times[1],
    )
