"""What one question brings along: who asks, with which token, when and where on the clock."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from agent.settings import AgentSettings

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Asking:
    """Typed dependencies of the agent. The token is for the server alone; no model sees it."""

    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    clock: Clock = system_clock
    user: str = ""
    token: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, settings: AgentSettings, clock: Clock = system_clock) -> "Asking":
        """As the settings say."""
        token = settings.token.get_secret_value() if settings.token else None
        return cls(settings.zone, clock, settings.user, token)
