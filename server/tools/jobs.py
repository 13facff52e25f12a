"""Walks under way: each in a thread of its own, whoever waits for it, so that a client that hangs up stops nothing.

One walk at a time a run; several runs side by side. What a walk achieved is in the run's records, never only here: after a
restart there are no jobs, and the run says where it stands.
"""

from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock

import structlog

from server.domain.run import Stage
from server.errors import AnomalystError, RunBusy, Unavailable
from server.services.walk import StageProgress
from server.tools.caller import Caller

_log = structlog.get_logger("anomalyst.jobs")
Work = Callable[[StageProgress], object]
STAGES = list(Stage)


@dataclass(slots=True)
class Job:
    """One walk of one run: what was asked for, by whom, how far it is, and how it ended."""

    run: str
    asked: str
    by: Caller
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    stage: Stage | None = None
    done: int = 0
    total: int | None = None
    stopped_by: str = ""
    error: Exception | None = None
    ended: "Future[None]" = field(default_factory=Future)

    @property
    def position(self) -> float:
        """Stages passed, of all there are; grows only."""
        if self.stage is None:
            return 0.0
        share = min(self.done / self.total, 1.0) if self.total else 0.0
        return STAGES.index(self.stage) + share

    @property
    def words(self) -> str:
        """Where it is, for people."""
        if self.stage is None:
            return "waiting for its turn"
        rows = f"{self.done:,} of {self.total:,} rows" if self.total else f"{self.done:,} rows"
        return f"{self.stage.value}: {rows}"

    @property
    def seconds(self) -> float:
        """Since it was asked for."""
        return (datetime.now(UTC) - self.started).total_seconds()

    def report(self, stage: Stage, done: int, total: int | None) -> None:
        """Take note of progress. Raises `Unavailable` if somebody stopped the walk: the stage then counts as failed."""
        if self.stopped_by:
            raise Unavailable(f"stopped by {self.stopped_by}. What was done before stands; advance_run goes on from there.")
        self.stage, self.done, self.total = stage, done, total


class Jobs:
    """Starts, finds and stops walks. `ended` is called in the walk's thread when one is over, however it ended."""

    def __init__(self, ended: Callable[[Job], None], workers: int) -> None:
        self._ended = ended
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="walk")
        self._jobs: dict[tuple[str, str], Job] = {}
        self._guard = Lock()

    def start(self, by: Caller, run: str, asked: str, work: Work) -> Job:
        """The walk, started; or the one under way, if it was asked the same, so that a call sent again joins it.

        Raises:
            RunBusy: the run is being walked for another call.
            Unavailable: the server is stopping.
        """
        key = (by.principal.tenant, run)
        with self._guard:
            at_work = self._jobs.get(key)
            if at_work is not None:
                if at_work.asked == asked and not at_work.stopped_by:
                    return at_work
                raise RunBusy(
                    f"run {run} is being walked ({at_work.asked}, {at_work.words}). Look with get_run, stop it with "
                    "cancel_run, or call again when it is done."
                )
            job = Job(run, asked, by)
            try:
                self._pool.submit(self._perform, key, job, work)
            except RuntimeError as error:
                raise Unavailable("the server is stopping. Call again when it is back.") from error
            self._jobs[key] = job
            return job

    def of(self, tenant: str, run: str) -> Job | None:
        """The walk of that run that is under way or waiting, if there is one."""
        with self._guard:
            return self._jobs.get((tenant, run))

    def seen(self, tenant: str) -> Hashable:
        """What there is to be seen of the tenant's walks under way: equal answers, equal sight."""
        with self._guard:
            own = [job for (of, _), job in self._jobs.items() if of == tenant]
        return tuple((job.run, job.asked, job.started, job.stage, job.done, job.total) for job in own)

    def runs(self, tenant: str) -> frozenset[str]:
        """The tenant's runs that are being walked, or wait for it."""
        with self._guard:
            return frozenset(run for of, run in self._jobs if of == tenant)

    def counts(self) -> tuple[int, int]:
        """How many are at work, and how many wait for a thread."""
        with self._guard:
            waiting = sum(job.stage is None for job in self._jobs.values())
            return len(self._jobs) - waiting, waiting

    def stop(self, tenant: str, run: str, by: str) -> Job | None:
        """Ask the run's walk to end at its next block of rows; None if none is under way."""
        job = self.of(tenant, run)
        if job is not None:
            job.stopped_by = job.stopped_by or by
        return job

    def close(self) -> None:
        """Stop all walks at their next block of rows and wait for them."""
        with self._guard:
            for job in self._jobs.values():
                job.stopped_by = job.stopped_by or "the server's shutdown"
        self._pool.shutdown()

    def _perform(self, key: tuple[str, str], job: Job, work: Work) -> None:
        try:
            work(job.report)
        except AnomalystError as error:
            job.error = error
        except Exception as error:  # noqa: BLE001 - raised by whoever waits; if nobody does, it must be on record all the same
            _log.exception("walk failed", run=job.run, asked=job.asked)
            job.error = error
        with self._guard:
            del self._jobs[key]
        try:
            with suppress(AnomalystError):  # the walk is done: that it could not be noted must not look like its failure
                self._ended(job)
        finally:
            job.ended.set_result(None)
