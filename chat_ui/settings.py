"""Settings of the chat, from the environment (`ANOMALYST_CHAT__*`) or a `.env` file."""

from enum import StrEnum
from pathlib import Path

from platformdirs import user_data_path
from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Login(StrEnum):
    """How the chat comes to know who is talking."""

    PASSWORD = "password"  # noqa: S105 - a way to log in
    HEADER = "header"
    OAUTH = "oauth"


class ChatSettings(BaseSettings):
    """Where the chat keeps its threads, who may log in, and under which names it may be reached."""

    model_config = SettingsConfigDict(env_prefix="ANOMALYST_CHAT__", env_file=".env", extra="ignore", populate_by_name=True)

    home: Path = Field(
        default_factory=lambda: user_data_path("anomalyst"),
        validation_alias=AliasChoices("ANOMALYST_CHAT__HOME", "ANOMALYST_HOME"),
        description="folder that the chat keeps its own folder `chat` in",
    )
    tenant: str = Field(
        default="default", validation_alias="ANOMALYST_TENANT", description="whose fleets a server of its own serves"
    )
    people: Path | None = Field(default=None, description="a TOML file of who may log in; needed on any address but localhost")
    login: Login = Field(
        default=Login.PASSWORD,
        description="how people are known: a password, a header of a proxy in front, or OAuth by Chainlit's OAUTH_* variables",
    )
    user_header: str = Field(default="X-Forwarded-User", description="with login=header: the header that names the person")
    proxies: list[str] = Field(
        default=["127.0.0.1", "::1"], description="with login=header: addresses that the header is believed from"
    )
    hosts: list[str] = Field(default=[], description="host names that the chat may be reached under, besides localhost")
    origins: list[str] = Field(
        default=[], description="origins of its pages where a proxy changes them, such as https://chat.example"
    )
    watch_seconds: float = Field(default=3.0, gt=0, description="time between looks at suggestions that are on the screen")

    @property
    def folder(self) -> Path:
        """Folder of threads, histories and Chainlit's own files."""
        return self.home.absolute() / "chat"
