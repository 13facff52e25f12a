"""Sessions of the approval page: in a signed cookie, with a token in every form that proves that it came from a page of it."""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import Field, ValidationError

from server.domain.identity import Principal
from server.domain.telemetry import Frozen
from server.errors import InvalidInput, Unavailable
from server.settings import TokenSettings
from server.tools.tokens import static_tokens

COOKIE = "anomalyst_session"
LIFETIME = timedelta(hours=8)
_KEY_BYTES = 32
_FILE = "page.key"


class Session(Frozen):
    """Whose browser it is, until when; nobody's until somebody has logged in."""

    nonce: str = Field(min_length=16)
    principal: Principal | None = None
    expires: datetime


class Sessions:
    """Seals sessions into cookies and opens those that it sealed."""

    def __init__(self, key: bytes, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._key, self._clock = key, clock

    def begun(self, principal: Principal | None = None, until: datetime | None = None) -> Session:
        """A new session, over after eight hours or at `until`, if that is earlier."""
        over = self._clock() + LIFETIME
        return Session(nonce=secrets.token_urlsafe(24), principal=principal, expires=min(over, until) if until else over)

    def sealed(self, session: Session) -> str:
        """The session as a cookie's value."""
        body = base64.urlsafe_b64encode(session.model_dump_json().encode()).decode()
        return f"{body}.{self._signature('session', body)}"

    def opened(self, cookie: str | None) -> Session | None:
        """The session of that cookie; None if it was not sealed here, or is over."""
        body, _, signature = (cookie or "").partition(".")
        if not body or not hmac.compare_digest(self._signature("session", body).encode(), signature.encode()):
            return None
        try:
            session = Session.model_validate_json(base64.urlsafe_b64decode(body))
        except (ValidationError, binascii.Error):
            return None
        return session if self._clock() < session.expires else None

    def form_token(self, session: Session) -> str:
        """What every form of this session has to hold."""
        return self._signature("form", session.nonce)

    def proven(self, session: Session, token: str) -> bool:
        """Whether the token is this session's."""
        return hmac.compare_digest(self.form_token(session).encode(), token.encode("utf-8", "replace"))

    def _signature(self, purpose: str, told: str) -> str:
        return hmac.new(self._key, f"{purpose}|{told}".encode(), hashlib.sha256).hexdigest()


def signing_key(home: Path, tokens: TokenSettings) -> bytes:
    """The key of this home, made when there is none, mixed with the configured tokens: take one away, and all sessions end.

    Raises:
        InvalidInput: others than the owner can read the key's file.
        Unavailable: it can be neither read nor written.
    """
    path = home / _FILE
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _write_new(path)
        if path.stat().st_mode & 0o077:
            raise InvalidInput(f"{path} can be read by others. Delete it, or `chmod 600` it if nobody has.")
        key = path.read_bytes()
    except OSError as error:
        raise Unavailable(f"{path} cannot be read or written: {error.strerror}.") from error
    if len(key) != _KEY_BYTES:
        raise InvalidInput(f"{path} is not a key of this server. Delete it: a new one is made, and everyone logs in again.")
    known = "\n".join([*(each.line for each in static_tokens(tokens)), f"{tokens.jwks} {tokens.issuer} {tokens.audience}"])
    return hmac.new(key, known.encode(), hashlib.sha256).digest()


def _write_new(path: Path) -> None:
    """Put a whole new key in place, unless another process was faster: then that one's stands."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
        path.hardlink_to(unfinished)
    except FileExistsError:
        pass
    finally:
        unfinished.unlink()
