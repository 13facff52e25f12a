"""The gate that every request passes: who it is, how often it calls, which tool, with which scope, and with which arguments."""

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import structlog
from mcp import MCPError
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.types import INVALID_REQUEST, CallToolResult, TextContent

from server.domain.identity import Scope
from server.errors import AnomalystError
from server.tools.arguments import StrictArguments
from server.tools.caller import Caller, answer_for
from server.tools.desk import Desk
from server.tools.kept import KeptAnswers
from server.tools.offered import Offered
from server.tools.policy import Policy

_log = structlog.get_logger("anomalyst.calls")
MOST_CHARACTERS = 400_000
_READS = frozenset({"resources/read", "prompts/get", "completion/complete"})
UNKNOWN = "unknown"


class Gate:
    """Middleware. What it refuses of a tool call the model reads as the call's error; of anything else, the client."""

    def __init__(self, policy: Policy, tools: Sequence[Offered], desk: Desk) -> None:
        self._policy, self._meters, self._limit = policy, desk.meters, desk.limit
        self._scopes = {offered.tool.name: offered.scope for offered in tools}
        self._arguments = StrictArguments(offered.tool for offered in tools)
        rests_on = {offered.tool.name: offered.rests_on for offered in tools}
        self._kept = KeptAnswers(desk.app, desk.jobs.seen, rests_on)

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """The answer of the rest of the chain, or a refusal."""
        if ctx.request_id is None:
            return await call_next(ctx)
        if ctx.method == "tools/call":
            return await self._measured(ctx, call_next)
        if ctx.method in _READS:
            try:
                self._admit(ctx).principal.require(Scope.READ)
            except AnomalystError as error:
                raise MCPError(INVALID_REQUEST, str(error)) from error
        return await call_next(ctx)

    async def _measured(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        started, named = perf_counter(), str((ctx.params or {}).get("name"))
        tool, outcome, by = named if named in self._scopes else UNKNOWN, "vanished", None
        try:
            try:
                by = self._admit(ctx)
                answer = await self._answer(by, named, ctx, call_next)
            except AnomalystError as error:
                outcome = "refused"
                return _refused(str(error))
            outcome = "error" if _failed(answer) else "ok"
            return answer
        finally:
            seconds = perf_counter() - started
            self._meters.called(tool, outcome, seconds)
            _log.info("call", tool=tool, outcome=outcome, ms=round(seconds * 1000, 1), **(by.logged if by else {}))

    async def _answer(self, by: Caller, tool: str, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        scope, params = self._scopes.get(tool), ctx.params or {}
        if scope is not None:
            by.principal.require(scope)
        place = await self._kept.place(by, tool, params.get("arguments"), ctx.protocol_version)
        known = self._kept.get(place)
        if known is not None:
            return known
        checked = {**params, "arguments": self._arguments.checked(tool, params.get("arguments") or {})}
        answer = _bounded(await call_next(replace(ctx, params=checked)))
        if isinstance(answer, dict) and not _failed(answer):
            self._kept.keep(place, answer)
        return answer

    def _admit(self, ctx: ServerRequestContext[Any, Any]) -> Caller:
        by = self._policy.caller_of(ctx)
        self._limit.take(by)
        answer_for(by)
        return by


def _refused(why: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=why)], is_error=True)


def _failed(answer: HandlerResult) -> bool:
    """Whether it is a tool's error; below the gate an answer is as it goes over the wire."""
    return bool(answer.get("isError")) if isinstance(answer, dict) else isinstance(answer, CallToolResult)


def _bounded(answer: HandlerResult) -> HandlerResult:
    """The answer, unless it is longer than any client should have to take."""
    content: list[dict[str, str]] = answer.get("content") or [] if isinstance(answer, dict) else []
    length = sum(len(part.get("text", "")) for part in content)
    if length > MOST_CHARACTERS:
        return _refused(f"the answer would have {length:,} characters. Ask for less: a smaller limit, or a shorter time.")
    return answer
