"""Waiting for a walk: its progress goes to the client while it lasts. A client that goes away stops waiting, not the walk."""

import asyncio
from typing import Any

from mcp.server.mcpserver import Context

from server.tools.jobs import STAGES, Job

_LOOK_EVERY = 0.2


async def ended(job: Job, ctx: Context[Any, Any]) -> None:
    """Return when the walk is over. Raises what stopped it."""
    over, told = asyncio.wrap_future(job.ended), -1.0
    while not over.done():
        await asyncio.wait({over}, timeout=_LOOK_EVERY)
        if job.position > told:
            told = job.position
            await ctx.report_progress(told, len(STAGES), job.words)
    if job.error is not None:
        raise job.error
