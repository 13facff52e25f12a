"""What all tools share: the server's parts, the walks under way, the counters and limits, and who is told of a change."""

import asyncio
from threading import Lock
from types import TracebackType
from typing import Self

from mcp.server.subscriptions import InMemorySubscriptionBus, ResourceUpdated

from server.app import App
from server.domain.run import Stage
from server.tools.auditing import note
from server.tools.jobs import Job, Jobs
from server.tools.limits import RateLimit
from server.tools.meters import Meters
from server.tools.quality import Quality

WALKS_AT_ONCE = 4
_AUDITED_HERE = frozenset({"advance_run", *(stage.value for stage in Stage)})
"""Applying a suggestion writes its own audit row, in the transaction that it describes."""


class Desk:
    """One a process. Closing it stops the walks under way at their next block of rows."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.changes = InMemorySubscriptionBus()
        self.jobs = Jobs(self._ended, WALKS_AT_ONCE)
        self.meters = Meters(self.jobs.counts)
        self.meters.also(Quality(app))
        self.limit = RateLimit(app.settings.serve.calls_per_minute)
        self.starting = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.jobs.close()

    def listen_here(self) -> None:
        """Publish changes on the running event loop from now on."""
        self._loop = asyncio.get_running_loop()

    def changed(self, *uris: str) -> None:
        """Tell subscribers that these resources read differently now. Any thread may call it."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        for uri in uris:
            asyncio.run_coroutine_threadsafe(self.changes.publish(ResourceUpdated(uri=uri)), loop)

    def _ended(self, job: Job) -> None:
        self.meters.walked(job)
        outcome = type(job.error).__name__ if job.error else "ok"
        verb = job.asked.partition(" ")[0]
        if verb in _AUDITED_HERE:
            note(self.app.records, job.by, verb, job.run, {"asked": job.asked}, outcome)
        self.changed(f"anomalyst://runs/{job.run}")
        if job.stage is Stage.PERSIST and job.error is None:
            tenant = job.by.principal.tenant
            self.meters.found(self.app.records.run(tenant, job.run))
