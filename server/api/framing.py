"""A request that says its length in two ways is refused: a proxy in front may believe the other one (request smuggling)."""

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_LENGTHS = frozenset({b"content-length", b"transfer-encoding"})


class OneLength:
    """Answers 400 and has the connection closed, so that nothing behind such a request is read as another one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is framed in one way."""
        if scope["type"] == "http" and {name for name, _ in scope["headers"]} >= _LENGTHS:
            why = "send either Content-Length or Transfer-Encoding, not both."
            await PlainTextResponse(why, 400, {"Connection": "close"})(scope, receive, send)
        else:
            await self._app(scope, receive, send)
