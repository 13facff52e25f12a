"""How far a surface trusts whoever reaches it: who a caller without a token is, and whose yes counts as a person's."""

import re
from dataclasses import dataclass
from typing import Any, Self

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.context import ServerRequestContext

from server.domain.identity import Principal, Scope, local_user
from server.errors import NotAllowed
from server.settings import Settings
from server.tools.caller import Caller

_UNUSUAL = re.compile(r"[^A-Za-z0-9 ._/-]+")
_CLIENT_LENGTH = 60
_WITHOUT_APPROVAL = frozenset(Scope) - {Scope.APPROVE}


@dataclass(frozen=True, slots=True)
class Policy:
    """`local_user` is who calls without a token (None: nobody may); `asks` whether their program may be asked for approvals."""

    local_user: Principal | None
    asks: bool = False

    @classmethod
    def stdio(cls, settings: Settings) -> Self:
        """Whoever started the server over stdio is its user, and its program speaks for a person."""
        return cls(Principal(name=local_user(), tenant=settings.tenant, channel="stdio"), asks=True)

    @classmethod
    def localhost(cls, settings: Settings) -> Self:
        """Whoever reaches a server without tokens on localhost is its user, but nothing shows that a person is behind it."""
        user = Principal(name=local_user(), tenant=settings.tenant, scopes=_WITHOUT_APPROVAL, channel="local")
        return cls(user)

    @classmethod
    def tokens(cls) -> Self:
        """Only bearers of tokens, each within its tenant and scopes."""
        return cls(None)

    def caller_of(self, ctx: ServerRequestContext[Any, Any]) -> Caller:
        """Who sent the request. Raises `NotAllowed` if it has no token where one is needed."""
        token, client = _token_of(ctx), _client_of(ctx)
        if token is not None:
            principal = principal_of(token)
            return Caller(principal, client, may_be_asked=Scope.APPROVE in principal.scopes)
        if self.local_user is None:
            raise NotAllowed("a token is needed: send it as `Authorization: Bearer TOKEN`.")
        return Caller(self.local_user, client, may_be_asked=self.asks)


def principal_of(token: AccessToken) -> Principal:
    """The principal that a verified token stands for."""
    scopes = frozenset(Scope(scope) for scope in token.scopes)
    return Principal(name=token.subject or token.client_id, tenant=(token.claims or {})["tenant"], scopes=scopes, channel="mcp")


def _token_of(ctx: ServerRequestContext[Any, Any]) -> AccessToken | None:
    """The token of this very request: a session may live longer than one."""
    user = ctx.request.scope.get("user") if ctx.request is not None else None
    return user.access_token if isinstance(user, AuthenticatedUser) else None


def _client_of(ctx: ServerRequestContext[Any, Any]) -> str:
    """What the client calls itself: its own claim, so only letters of names, and not many."""
    about = ctx.session.client_params
    if about is None:
        return "unknown"
    told = f"{about.client_info.name} {about.client_info.version}".strip()
    return _UNUSUAL.sub("?", told)[:_CLIENT_LENGTH] or "unknown"
