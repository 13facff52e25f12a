"""Who calls: the bearer of a token, or without configured tokens whoever sits at this machine. And how often they may."""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection

from server.api.errors import TokenNeeded
from server.app import App
from server.domain.identity import Principal, Scope
from server.errors import NotAllowed
from server.settings import Settings
from server.tools.caller import Caller
from server.tools.desk import Desk
from server.tools.limits import RateLimit
from server.tools.policy import Policy, principal_of
from server.tools.tokens import Verifier

CLIENT = "api"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Door:
    """Knows callers by the tokens that `verifier` knows; without one, the local user, who may not approve through it.

    `limit` is the one that tool calls are counted by: a caller has one allowance, whichever way they come.

    A call without a token shows no person behind it, so approvals then need the page, the chat or the command line.
    """

    settings: Settings
    verifier: Verifier | None
    limit: RateLimit

    async def admit(self, request: HTTPConnection) -> Caller:
        """Who makes this request.

        Raises:
            TokenNeeded: it needs a token and has none that is good.
            NotAllowed: without tokens, it comes from another machine or another site's page.
            Unavailable: the caller made too many calls.
        """
        by = Caller(await self._bearer(request), CLIENT) if self.verifier else Caller(self._local(request), CLIENT)
        self.limit.take(by)
        return by

    async def _bearer(self, request: HTTPConnection) -> Principal:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        access = await self.verifier.verify_token(token.strip()) if self.verifier and scheme.lower() == "bearer" else None
        if access is None:
            raise TokenNeeded("a token is needed: send it as `Authorization: Bearer TOKEN`. `anomalyst token` makes one.")
        return principal_of(access).model_copy(update={"channel": "http"})

    def _local(self, request: HTTPConnection) -> Principal:
        check_local(request)
        if request.scope["method"] not in _SAFE:
            check_origin(request, self.settings, needed=False)
        principal = Policy.localhost(self.settings).local_user
        assert principal is not None  # noqa: S101 - that policy has one
        return principal


def check_local(request: HTTPConnection) -> None:
    """Return if the request comes from this machine. Raises `NotAllowed` otherwise."""
    try:
        near = request.client is not None and ip_address(request.client.host).is_loopback
    except ValueError:
        near = False
    if not near:
        raise NotAllowed("without configured tokens only this machine may call. Make a token with `anomalyst token`.")


def check_origin(request: HTTPConnection, settings: Settings, *, needed: bool) -> None:
    """Return if the request was made by a page of this server, or of an origin in the settings; or by no page at all.

    With `needed`, it has to be a page. Raises `NotAllowed` otherwise: another port of the same machine is another site.
    """
    origin = request.headers.get("origin")
    own = f"{request.url.scheme}://{request.headers.get('host', '')}"
    if origin in {own, *settings.serve.origins} or (origin is None and not needed):
        return
    raise NotAllowed("this was sent by a page of another site. Send it from a page of this server.")


def _door(request: Request) -> Door:
    return request.app.state.door


def _desk(request: Request) -> Desk:
    return request.app.state.desk


def _app(request: Request) -> App:
    return request.app.state.desk.app


_bearer = HTTPBearer(auto_error=False, description="A token of `anomalyst token`, or a JSON web token of the issuer.")


async def _admitted(
    request: Request,
    door: Annotated[Door, Depends(_door)],
    _: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Caller:
    by = request.state.caller = await door.admit(request)
    return by


Parts = Annotated[App, Depends(_app)]
AtDesk = Annotated[Desk, Depends(_desk)]
By = Annotated[Caller, Depends(_admitted)]


def _with(scope: Scope) -> Callable[[Caller], Principal]:
    def principal(by: By) -> Principal:
        by.principal.require(scope)
        return by.principal

    return principal


Reader = Annotated[Principal, Depends(_with(Scope.READ))]
Runner = Annotated[Principal, Depends(_with(Scope.RUN))]
Judge = Annotated[Principal, Depends(_with(Scope.FEEDBACK))]
Approver = Annotated[Principal, Depends(_with(Scope.APPROVE))]
