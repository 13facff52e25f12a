"""Who calls: a principal with a tenant and scopes, however it proved who it is."""

import getpass
import os
from enum import StrEnum

from pydantic import Field

from server.domain.telemetry import Frozen
from server.errors import NotAllowed


class Scope(StrEnum):
    """What a principal may do; none implies another."""

    READ = "read"
    RUN = "run"
    FEEDBACK = "feedback"
    APPROVE = "approve"
    MAINTAIN = "maintain"


class Principal(Frozen):
    """A person or a program, on one tenant, through one channel (`cli`, `stdio`, `mcp`, `http`, `chat`)."""

    name: str = Field(min_length=1, max_length=200)
    tenant: str = "default"
    scopes: frozenset[Scope] = frozenset(Scope)
    channel: str = "cli"

    def require(self, scope: Scope) -> None:
        """Return if the principal has the scope. Raises `NotAllowed` naming it otherwise."""
        if scope not in self.scopes:
            raise NotAllowed(f"{self.name} lacks the scope `{scope.value}`. Use a token that has it, or ask who can give it.")


def local_user() -> str:
    """The operating system's user, by number where it has no name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"
