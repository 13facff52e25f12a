"""What stands in front of Chainlit: host and origin are checked, the browser is told to load nothing from elsewhere, and the
local user is let in."""

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL = frozenset({"127.0.0.1", "localhost", "[::1]"})
_FOREIGN_LINK = re.compile(r"""<link\b[^>]*href=["'](?:https?:)?//[^>]*>""", re.IGNORECASE)
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# Chainlit compiles our own cards in the browser and has one inline script: both need 'unsafe-*', from this origin only
POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Guarded:
    """Refuses what is addressed to another host, and what another site's page sends; adds the headers to every answer."""

    def __init__(
        self, app: ASGIApp, hosts: Iterable[str] = (), origins: Iterable[str] = (), believed: "Believed | None" = None
    ) -> None:
        self._app, self._hosts, self._origins = app, LOCAL | frozenset(hosts), frozenset(origins)
        self._believed = believed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what belongs here."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal:
            await _refuse(refusal, scope, receive, send)
            return

        if self._believed:
            scope = self._believed.without_claims(scope)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> str:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if _name_of(host) not in self._hosts:
            return "this chat is not reached under that name. Name it in ANOMALYST_CHAT__HOSTS."
        origin, safe = headers.get("origin"), scope["type"] == "http" and scope["method"] in _SAFE
        if origin is None:
            # every browser sends one with a WebSocket; a program of this machine may do without
            return ""
        secure = scope["scheme"] in {"https", "wss"}
        if safe or origin in self._origins or origin == f"{'https' if secure else 'http'}://{host}":
            return ""
        return "this was sent by a page of another site. Open the chat itself."


@dataclass(frozen=True)
class Believed:
    """The header that names a person, and the proxies that may send it: from anyone else it is taken away."""

    header: str
    proxies: frozenset[str]

    def without_claims(self, scope: Scope) -> Scope:
        """The request as it came from a proxy; from elsewhere without the header."""
        if scope.get("client") and scope["client"][0] in self.proxies:
            return scope
        claimed = self.header.lower().encode("latin-1")
        return {**scope, "headers": [each for each in scope["headers"] if each[0].lower() != claimed]}


class LetIn:
    """Brings the local user's cookie along with the page itself, so that nobody waits for a login that asks nothing.

    Without, Chainlit's page goes to its login, has itself let in there, and goes back before it knows that it was: it loads
    three times, and on a busy machine it may end at the login. `wanted` says which cookies a request has to be given: none
    where it has brought one that holds.
    """

    def __init__(self, app: ASGIApp, wanted: Callable[[Request], Awaitable[Sequence[str]]]) -> None:
        self._app, self._wanted = app, wanted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; only pages that are read get cookies."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return

        async def with_cookies(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if headers.get("content-type", "").startswith("text/html") and _is_for_a_page(scope):
                    for cookie in await self._wanted(Request(scope)):
                        headers.append("set-cookie", cookie)
            await send(message)

        await self._app(scope, receive, with_cookies)


def _is_for_a_page(scope: Scope) -> bool:
    """Whether the browser is to show the answer as a page; one that does not say is taken at its word."""
    return Headers(scope=scope).get("sec-fetch-dest", "document") == "document"


def without_foreign_links(page: str) -> str:
    """The page without `<link>`s to another host."""
    return _FOREIGN_LINK.sub("", page)


def _name_of(host: str) -> str:
    """The name without its port, in small letters."""
    name = urlsplit(f"//{host}").hostname or ""
    return f"[{name}]" if ":" in name else name


async def _refuse(why: str, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": "origin"})
        return
    await PlainTextResponse(why, 403, headers=HEADERS)(scope, receive, send)
