"""Counts, times and logs what is asked below /api/v1, in the counters that tool calls are in."""

from time import perf_counter
from typing import cast

import structlog
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.tools.caller import Caller
from server.tools.gate import UNKNOWN
from server.tools.meters import Meters

_log = structlog.get_logger("anomalyst.calls")
_REFUSED = frozenset({401, 403, 422, 503})
_VANISHED = 0


class Metered:
    """A route counts under its function's name, which is the tool's where there is one; other addresses as unknown."""

    def __init__(self, app: ASGIApp, prefix: str, meters: Meters) -> None:
        self._app, self._prefix, self._meters = app, prefix, meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and take note of how it ended."""
        if scope["type"] != "http" or not scope["path"].startswith(self._prefix):
            await self._app(scope, receive, send)
            return
        started, status = perf_counter(), _VANISHED

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            seconds, tool, outcome = perf_counter() - started, _named(scope), _outcome(status)
            self._meters.called(tool, outcome, seconds)
            by = cast("Caller | None", scope.get("state", {}).get("caller"))
            _log.info("call", tool=tool, outcome=outcome, ms=round(seconds * 1000, 1), **(by.logged if by else {}))


def _named(scope: Scope) -> str:
    route = scope.get("route")
    return route.name if isinstance(route, APIRoute) and route.include_in_schema else UNKNOWN


def _outcome(status: int) -> str:
    if status == _VANISHED:
        return "vanished"
    return "refused" if status in _REFUSED else "ok" if status < 400 else "error"
