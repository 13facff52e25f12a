"""Who may talk with the chat: people with a hashed password and a token for the server, or on localhost its user."""

import base64
import getpass
import hashlib
import hmac
import os
import re
import secrets
import time
import tomllib
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_COST = {"n": 2**14, "r": 8, "p": 1}
_MOST_FAILURES = 5
_PAUSE = 30.0


class PeopleUnreadable(Exception):
    """The file of people cannot be used; the message says why and what to write."""


@dataclass(frozen=True)
class Person:
    """Someone who talks. Tokens are for the server alone: no model, browser or thread sees them."""

    name: str
    profile: str = "operator"
    token: str | None = field(default=None, repr=False)
    """For what the person clicks: verdicts and decisions."""
    agent_token: str | None = field(default=None, repr=False)
    """For what the agent does in their name; it needs no right to approve."""
    password: str = field(default="", repr=False)


class People:
    """Knows people by name and password. After five failures in a row a name has to wait half a minute."""

    def __init__(
        self, known: Mapping[str, Person], clock: Callable[[], float] = time.monotonic, local: Person | None = None
    ) -> None:
        self._known, self._clock, self._local = dict(known), clock, local
        self._failures: dict[str, list[float]] = defaultdict(list)

    def named(self, name: str) -> Person | None:
        """The person of that name."""
        return self._known.get(name)

    def only(self) -> Person | None:
        """The local user, where nobody else can reach the chat."""
        return self._local

    def admitted(self, name: str, password: str) -> Person | None:
        """The person, if the password is theirs; why not, nobody is told."""
        recent = [moment for moment in self._failures[name] if self._clock() - moment < _PAUSE]
        person = self._known.get(name)
        # an unknown name costs as much time as a wrong password
        right = matches(password, person.password if person and person.password else _NOBODY)
        if len(recent) >= _MOST_FAILURES or person is None or not person.password or not right:
            self._failures[name] = [*recent, self._clock()][-_MOST_FAILURES:]
            return None
        self._failures.pop(name, None)
        return person

    @classmethod
    def local(cls, name: str, token: str | None = None, agent_token: str | None = None) -> "People":
        """One person alone, without a password: for a chat that only this machine can reach."""
        person = Person(name, token=token, agent_token=agent_token or token)
        return cls({name: person}, local=person)

    @classmethod
    def of_file(cls, path: Path, *, passwords: bool = True) -> "People":
        """The people of a TOML file: a table for each, with `password` (a hash), `token`, and `agent_token`, `profile`.

        Without `passwords` somebody else says who it is, a proxy or a provider, and none is needed.

        Raises:
            PeopleUnreadable: it cannot be read, others may read it, or a person lacks something.
        """
        try:
            if path.stat().st_mode & 0o077:
                raise PeopleUnreadable(f"{path} can be read by others. `chmod 600` it.")
            told = tomllib.loads(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise PeopleUnreadable(f"{path} cannot be read: {error}. Write a TOML table for each person.") from error
        return cls({name: _person(name, about, path, passwords=passwords) for name, about in told.items()})


def _person(name: str, about: Any, path: Path, *, passwords: bool) -> Person:
    fields = {"password", "token", "agent_token", "profile"}
    needed = {"password", "token"} if passwords else {"token"}
    if not isinstance(about, dict) or not needed <= set(about) <= fields:
        listed = " and ".join(f"`{each}`" for each in sorted(needed))
        raise PeopleUnreadable(f"{path}: [{name}] needs {listed}, and may have `agent_token` and `profile`.")
    if "password" in about and not about["password"].startswith("scrypt$"):
        raise PeopleUnreadable(f"{path}: the password of {name} is no hash. `anomalyst chat-password` makes one.")
    return Person(name=name, **{"agent_token": about["token"], **about})


def hashed(password: str) -> str:
    """The password as it is to be stored: salted, and slow to try."""
    salt = secrets.token_bytes(16)
    return f"scrypt${_encoded(salt)}${_encoded(_derived(password, salt))}"


def matches(password: str, stored: str) -> bool:
    """Whether the password is the one that was hashed."""
    parts = stored.split("$")
    if len(parts) != 3 or parts[0] != "scrypt":
        return False
    return hmac.compare_digest(_encoded(_derived(password, base64.b64decode(parts[1]))), parts[2])


def _derived(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, dklen=32, **_COST)


def _encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def local_user() -> str:
    """The operating system's user in the letters that a token's bearer may have, by number where it has no name."""
    try:
        return re.sub(r"[^A-Za-z0-9_.@-]", "-", getpass.getuser())[:100]
    except (OSError, KeyError):
        return f"uid-{os.getuid()}"


_NOBODY = hashed(secrets.token_hex(8))
