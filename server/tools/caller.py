"""Who makes the call that is being answered: set once a request, read by whatever acts for the caller."""

from contextvars import ContextVar
from dataclasses import dataclass

from server.domain.identity import Principal, Scope


@dataclass(frozen=True, slots=True)
class Caller:
    """A principal, the program that it uses, and whether that program may be asked for a person's approval."""

    principal: Principal
    client: str = "unknown"
    may_be_asked: bool = False

    @property
    def is_local(self) -> bool:
        """Whether this is the user who started the server, rather than the bearer of a token."""
        return self.principal.channel in LOCAL_CHANNELS

    @property
    def channel(self) -> str:
        """Channel and program, as the audit trail names them."""
        return f"{self.principal.channel}:{self.client}"

    @property
    def logged(self) -> dict[str, str]:
        """Who it is, as a line of the log says it."""
        return {"who": self.principal.name, "tenant": self.principal.tenant, "client": self.client}


LOCAL_CHANNELS = frozenset({"stdio", "local"})
_CALLER: ContextVar[Caller] = ContextVar("caller")


def caller() -> Caller:
    """Who made the call that this task answers."""
    return _CALLER.get()


def who(scope: Scope) -> Principal:
    """The caller's principal. Raises `NotAllowed` unless it has the scope."""
    principal = caller().principal
    principal.require(scope)
    return principal


def answer_for(one: Caller) -> None:
    """From here on, in this task, calls are `one`'s."""
    _CALLER.set(one)
