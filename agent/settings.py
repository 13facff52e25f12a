"""Settings of the agent, from the environment (`ANOMALYST_*`) or a `.env` file."""

from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from platformdirs import user_data_path
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class AgentSettings(BaseSettings):
    """Which model answers, where the server is, for whom, and how much one question may cost."""

    model_config = SettingsConfigDict(env_prefix="ANOMALYST_", env_file=".env", extra="ignore")

    model: str = Field(
        default="offline",
        description="offline; ollama:NAME; any provider string of pydantic-ai; several, separated by commas, are tried in turn",
    )
    model_timeout: float = Field(default=30.0, gt=0, description="seconds that a language model may take for one reply")
    small_model: bool = Field(
        default=False, description="whether the model reads little at a time: it gets the likeliest tools and short answers"
    )
    home: Path = Field(
        default_factory=lambda: user_data_path("anomalyst"), description="folder that explanations are kept below"
    )
    ollama_url: str = Field(default="http://127.0.0.1:11434/v1", description="where Ollama listens")
    url: str | None = Field(default=None, description="the server's MCP address; unset: a server is started for the session")
    token: SecretStr | None = Field(default=None, description="bearer token for the server at `url`")
    time_zone: str = Field(default="UTC", description="zone that words such as yesterday are meant in")
    user: str = Field(default="", description="name of the person who asks")
    requests_a_question: int = Field(default=25, ge=1, description="replies that a model may give to one question")
    calls_a_question: int = Field(default=25, ge=1, description="tool calls that one question may lead to")

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"{name!r} is no time zone; write it like Europe/Berlin") from error
        return name

    @property
    def explanations(self) -> Path:
        """Where explanations are kept."""
        return self.home / "explanations"

    @property
    def zone(self) -> ZoneInfo:
        """The person's time zone."""
        return ZoneInfo(self.time_zone)
