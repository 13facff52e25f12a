"""The server over HTTP: MCP at /mcp, its health and counters beside it, all behind the same check of host and origin."""

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

import anyio.to_thread
from mcp.server import MCPServer
from mcp.server.auth.settings import AuthSettings
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.domain.identity import Scope as Permission
from server.errors import AnomalystError, InvalidInput
from server.settings import Settings
from server.tools.desk import Desk
from server.tools.policy import Policy
from server.tools.server import build_server
from server.tools.tokens import Verifier

PATH = "/mcp"
MOST_BYTES = 1 << 20
_LOCAL = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, slots=True)
class Doors:
    """The MCP app, unguarded, and what everything that is served beside it has to check as well."""

    mcp: Starlette
    security: TransportSecuritySettings
    verifier: Verifier | None


def doors(desk: Desk, host: str, port: int) -> Doors:
    """The app and its checks. Raises `InvalidInput` if it would be open to more than this machine without tokens."""
    settings = desk.app.settings
    if not settings.tokens.configured and not is_local(host):
        raise InvalidInput(
            f"--host {host} can be reached from other machines, and no tokens are configured. Make one with `anomalyst token` "
            "and set ANOMALYST_TOKENS__LISTED, or serve on 127.0.0.1."
        )
    url = settings.serve.url or f"http://{host}:{port}"
    verifier = Verifier(settings.tokens, settings.tenant) if settings.tokens.configured else None
    policy = Policy.tokens() if verifier else Policy.localhost(settings)
    server = build_server(desk.app, policy, desk, verifier=verifier, auth=_auth(settings, url) if verifier else None)
    _add_health(server, desk, verifier)
    security = transport_security(settings, url)
    inner = server.streamable_http_app(
        streamable_http_path=PATH, transport_security=security, max_request_body_size=MOST_BYTES, host=host
    )
    return Doors(inner, security, verifier)


def is_local(host: str) -> bool:
    """Whether only this machine can reach what listens on that address."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def transport_security(settings: Settings, url: str) -> TransportSecuritySettings:
    """Under which names the server may be reached and from which web pages: localhost and what the settings add."""
    own = urlsplit(url)
    hosts = [*(f"{name}:*" for name in _LOCAL), *_LOCAL, own.netloc, *settings.serve.hosts]
    origins = [*(f"http://{name}:*" for name in _LOCAL), *(f"http://{name}" for name in _LOCAL), *settings.serve.origins]
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True, allowed_hosts=hosts, allowed_origins=[*origins, f"{own.scheme}://{own.netloc}"]
    )


class Guarded:
    """The check of host and origin around everything: the SDK makes it for /mcp only."""

    def __init__(self, app: ASGIApp, security: TransportSecuritySettings) -> None:
        self._app, self._check = app, TransportSecurityMiddleware(security)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is addressed to this server; refuse the rest."""
        if scope["type"] == "http":
            refusal = await self._check.validate_request(Request(scope))
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, _naming_scope(send))


def _naming_scope(send: Send) -> Send:
    """The same, but a 401 also says which scope to ask a token for: the SDK leaves that out."""

    async def passed_on(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 401:
            headers = MutableHeaders(raw=list(message["headers"]))
            challenge = headers.get("www-authenticate", "")
            if challenge.startswith("Bearer "):
                headers["www-authenticate"] = f'{challenge}, scope="{Permission.READ.value}"'
            message = {**message, "headers": headers.raw}
        await send(message)

    return passed_on


def _auth(settings: Settings, url: str) -> AuthSettings:
    # with static tokens alone nobody issues any: the server then names itself
    told = {
        "issuer_url": settings.tokens.issuer or url,
        "resource_server_url": f"{url.rstrip('/')}{PATH}",
        "required_scopes": [Permission.READ.value],
        "validate_token_resource": False,  # the verifier checks the audience itself
    }
    # validated from text: a URL object would have a slash put behind it, and clients compare an issuer letter by letter
    return AuthSettings.model_validate(told)


def _add_health(server: "MCPServer[Desk]", desk: Desk, verifier: Verifier | None) -> None:
    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_: Request) -> Response:
        try:
            await anyio.to_thread.run_sync(_touch, desk)
        except AnomalystError as error:
            return JSONResponse({"status": "not ready", "error": type(error).__name__}, status_code=503)
        return JSONResponse({"status": "ok"})

    async def metrics(request: Request) -> Response:
        if verifier is not None:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            bearer = await verifier.verify_token(token) if scheme.lower() == "bearer" else None
            if bearer is None:
                return Response("a token is needed", status_code=401, headers={"WWW-Authenticate": "Bearer"})
        return Response(await anyio.to_thread.run_sync(desk.meters.text), media_type="text/plain; version=0.0.4")

    for path, handler in (("/healthz", healthz), ("/readyz", readyz), ("/metrics", metrics)):
        server.custom_route(path, methods=["GET"])(handler)


def _touch(desk: Desk) -> None:
    """Ask both stores for something. Raises what they raise."""
    desk.app.records.runs(desk.app.settings.tenant, limit=1)
    desk.app.telemetry  # noqa: B018 - having it open is the answer
