"""Bearer tokens: static ones, stored as hashes, and JSON web tokens checked against an issuer's keys."""

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import anyio.to_thread
import jwt
from mcp.server.auth.provider import AccessToken

from server.domain.identity import Scope
from server.domain.telemetry import NAME
from server.errors import InvalidInput
from server.settings import TokenSettings

_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signed with a key pair. None is not among them, nor is any that a public key could be misused for as a shared secret."""
_LINE = re.compile(r"([A-Za-z0-9_.@-]{1,100}):([a-z+]+):([a-z0-9][a-z0-9_-]{0,31}):([0-9a-f]{64})")
_LONGEST = 8_192


@dataclass(frozen=True, slots=True)
class StaticToken:
    """Who bears the token of which only the hash is known."""

    name: str
    scopes: tuple[Scope, ...]
    tenant: str
    digest: str

    @property
    def line(self) -> str:
        """How the settings spell it."""
        return f"{self.name}:{'+'.join(self.scopes)}:{self.tenant}:{self.digest}"


class Verifier:
    """Knows a bearer by a static token or by a JSON web token. Implements the SDK's `TokenVerifier`."""

    def __init__(self, settings: TokenSettings, tenant: str) -> None:
        self._static, self._tenant = tuple(static_tokens(settings)), tenant
        self._issuer, self._audience = settings.issuer, settings.audience
        if settings.jwks and not (self._issuer and self._audience):
            raise InvalidInput("set ANOMALYST_TOKENS__ISSUER and ANOMALYST_TOKENS__AUDIENCE beside ANOMALYST_TOKENS__JWKS.")
        try:
            self._keys = jwt.PyJWKClient(settings.jwks, cache_keys=True, timeout=10) if settings.jwks else None
        except jwt.PyJWTError as error:
            raise InvalidInput(f"ANOMALYST_TOKENS__JWKS: {error} Give the https URL of the issuer's keys.") from error

    async def verify_token(self, token: str) -> AccessToken | None:
        """The bearer, or None if the token is not good; why, nobody is told."""
        if len(token) > _LONGEST:
            return None
        known = self._known(token)
        if known is not None:
            return _access(token, known.name, known.tenant, known.scopes, "static")
        return await anyio.to_thread.run_sync(self._from_jwt, token) if self._keys else None

    def _known(self, token: str) -> StaticToken | None:
        """All are compared, in constant time each, so that nothing can be learned from how long it takes."""
        digest, found = digest_of(token), None
        for one in self._static:
            if hmac.compare_digest(one.digest, digest):
                found = one
        return found

    def _from_jwt(self, token: str) -> AccessToken | None:
        try:
            key = cast("jwt.PyJWKClient", self._keys).get_signing_key_from_jwt(token)
            claims = jwt.decode(
                token,
                key,
                algorithms=_ALGORITHMS,
                audience=self._audience,
                issuer=self._issuer,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except (jwt.PyJWTError, ValueError):
            return None
        tenant = claims.get("tenant", self._tenant)
        if not isinstance(tenant, str) or re.fullmatch(NAME, tenant) is None or not 0 < len(str(claims["sub"])) <= 200:
            return None
        return _access(token, str(claims["sub"]), tenant, scopes_in(claims), str(claims["iss"]), claims["exp"])


def _access(
    token: str, name: str, tenant: str, scopes: Sequence[Scope], issuer: str, expires: int | None = None
) -> AccessToken:
    client = f"{tenant}/{name}"
    about = {"tenant": tenant, "iss": issuer}
    return AccessToken(token=token, client_id=client, scopes=list(scopes), expires_at=expires, subject=name, claims=about)


def scopes_in(claims: Mapping[str, Any]) -> list[Scope]:
    """The scopes that a JSON web token names, as `read` or as `anomalyst:read`; others are not ours and pass by."""
    told = claims.get("scope", claims.get("scp", ()))
    names = told.split() if isinstance(told, str) else [str(name) for name in told] if isinstance(told, list) else []
    own = {name.removeprefix("anomalyst:") for name in names}
    return [scope for scope in Scope if scope.value in own]


def static_tokens(settings: TokenSettings) -> Iterator[StaticToken]:
    """The tokens that the settings list. Raises `InvalidInput` for a line that is none, which it does not repeat."""
    lines = settings.listed.split()
    if settings.file:
        try:
            told = settings.file.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"the token file {settings.file.name} cannot be read. Mend ANOMALYST_TOKENS__FILE.") from error
        lines += [line.strip() for line in told if line.strip() and not line.startswith("#")]
    for number, line in enumerate(lines, 1):
        found = _LINE.fullmatch(line)
        names = found[2].split("+") if found else []
        if found is None or not set(names) <= {scope.value for scope in Scope}:
            raise InvalidInput(
                f"token {number} is not `name:scopes:tenant:sha256` with scopes out of read+run+feedback+approve. "
                "`anomalyst token` prints one."
            )
        yield StaticToken(found[1], tuple(Scope(name) for name in names), found[3], found[4])


def digest_of(token: str) -> str:
    """The hash under which a token is known."""
    return hashlib.sha256(token.encode()).hexdigest()
