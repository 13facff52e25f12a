"""Bearer tokens: which are known, and which of the many that are not are refused."""

import hashlib
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from server.domain.identity import Scope
from server.errors import InvalidInput
from server.settings import TokenSettings
from server.tools.policy import principal_of
from server.tools.tokens import Verifier

pytestmark = pytest.mark.anyio
ISSUER, AUDIENCE = "https://login.example", "https://anomalyst.example/mcp"
KEY, OTHER = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))


class PublishedKeys(BaseHTTPRequestHandler):
    """What an issuer publishes."""

    def do_GET(self) -> None:
        """The one key."""
        jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key())) | {"kid": "k1", "use": "sig", "alg": "RS256"}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"keys": [jwk]}).encode())

    def log_message(self, *_: object) -> None:
        """Silence."""


@pytest.fixture(scope="module")
def keys() -> Iterator[str]:
    """URL of the issuer's keys."""
    with ThreadingHTTPServer(("127.0.0.1", 0), PublishedKeys) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/keys"
        server.shutdown()
        thread.join()


@pytest.fixture
def verifier(keys: str) -> Verifier:
    """Knows one static token, and tokens of one issuer by its published keys."""
    line = f"nightly:read+run:acme:{hashlib.sha256(b'static-secret').hexdigest()}"
    return Verifier(TokenSettings(listed=line, jwks=keys, issuer=ISSUER, audience=AUDIENCE), "default")


def signed(key: Any = KEY, algorithm: str = "RS256", **changes: Any) -> str:
    """A token that is good, but for what is changed; a claim changed to None is left out."""
    good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "scope": "openid read anomalyst:approve", "tenant": "acme"}
    claims = {**good, "exp": datetime.now(UTC) + timedelta(minutes=5), **changes}
    told = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(told, key, algorithm=algorithm, headers={"kid": "k1"})


async def test_a_good_token_is_its_bearer_with_the_scopes_that_are_ours(verifier: Verifier) -> None:
    """Subject, tenant and scopes, with or without our prefix; foreign scopes pass by."""
    access = await verifier.verify_token(signed())
    assert access is not None
    principal = principal_of(access)
    assert (principal.name, principal.tenant, principal.scopes) == ("ada", "acme", {Scope.READ, Scope.APPROVE})


async def test_a_static_token_is_known_by_its_hash(verifier: Verifier) -> None:
    """And by nothing else: not by the hash itself."""
    access = await verifier.verify_token("static-secret")
    assert access is not None
    principal = principal_of(access)
    assert (principal.name, principal.tenant, principal.scopes) == ("nightly", "acme", {Scope.READ, Scope.RUN})
    assert await verifier.verify_token(hashlib.sha256(b"static-secret").hexdigest()) is None


PUBLIC = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    "token",
    [
        signed(exp=datetime.now(UTC) - timedelta(minutes=1)),
        signed(exp=None),
        signed(aud="https://other.example/mcp"),
        signed(aud=None),
        signed(iss="https://evil.example"),
        signed(iss=None),
        signed(sub=None),
        signed(key=OTHER),
        signed(tenant="../other"),
        signed(tenant=7),
        signed(nbf=datetime.now(UTC) + timedelta(hours=1)),
        jwt.encode({"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": 4e9}, "", algorithm="none", headers={"kid": "k1"}),
        jwt.encode(
            {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": 4e9}, "k" * 64, algorithm="HS256", headers={"kid": "k1"}
        ),
        signed()[:-4] + "AAAA",
        "",
        "not.a.token",
        "x" * 9_000,
    ],
    ids=[
        "expired",
        "without end",
        "wrong audience",
        "no audience",
        "wrong issuer",
        "no issuer",
        "no subject",
        "wrong key",
        "odd tenant",
        "tenant no text",
        "not yet",
        "alg none",
        "shared secret",
        "forged signature",
        "empty",
        "garbage",
        "too long",
    ],
)
async def test_a_bad_token_is_nobody(verifier: Verifier, token: str) -> None:
    """Whatever is wrong with it, the answer is the same."""
    assert await verifier.verify_token(token) is None


@pytest.mark.parametrize(
    "line",
    ["nightly", "nightly:read:acme:short", f"nightly:write:acme:{'0' * 64}", f"n:read:ACME:{'0' * 64}", f":read:a:{'0' * 64}"],
)
def test_a_line_that_is_no_token_stops_the_server_and_is_not_repeated(line: str) -> None:
    """It may hold a secret that was pasted by mistake."""
    with pytest.raises(InvalidInput, match="token 1 is not") as refusal:
        Verifier(TokenSettings(listed=line), "default")
    assert line not in str(refusal.value)


async def test_while_the_keys_cannot_be_had_nobody_is_let_in() -> None:
    """An issuer that is down opens nothing; a file of this machine is no issuer."""
    told = TokenSettings(jwks="http://127.0.0.1:9/keys", issuer=ISSUER, audience=AUDIENCE)
    assert await Verifier(told, "default").verify_token(signed()) is None
    with pytest.raises(InvalidInput, match="https"):
        Verifier(told.model_copy(update={"jwks": "file:///etc/hostname"}), "default")


def test_keys_without_an_issuer_and_an_audience_are_refused() -> None:
    """Else a token that was made for anyone else would do."""
    with pytest.raises(InvalidInput, match="AUDIENCE"):
        Verifier(TokenSettings(jwks="https://login.example/keys", issuer=ISSUER), "default")
