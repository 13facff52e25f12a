"""Settings from the environment (`ANOMALYST_*`) or a `.env` file, in groups; what conflicts is refused at start."""

import os
from pathlib import Path

from platformdirs import user_data_path
from pydantic import BaseModel, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class StoreSettings(BaseModel):
    """Where facts are kept."""

    url: str | None = Field(default=None, description="SQLAlchemy URL of the SQL store; unset: SQLite below the home folder")


class TelemetrySettings(BaseModel):
    """How telemetry is held and read."""

    memory_limit: str = Field(default="1GB", description="DuckDB's memory; what does not fit goes to disk")
    roots: list[Path] | None = Field(
        default=None, description="folders that files may be read from; unset: any the user can read"
    )


class Settings(BaseSettings):
    """Everything that can be configured, with its default."""

    model_config = SettingsConfigDict(env_prefix="ANOMALYST_", env_nested_delimiter="__", env_file=".env", extra="ignore")

    home: Path = Field(default_factory=lambda: user_data_path("anomalyst"), description="folder of the embedded stores")
    artifacts: Path | None = Field(default=None, description="folder of the artifacts; unset: below the home folder")
    tenant: str = Field(default="default", description="whose fleets these are")
    catalogue: Path | None = Field(default=None, description="a file that adds to the metric catalogue")
    threads: int = Field(default_factory=lambda: min(os.cpu_count() or 1, 8), ge=1, description="processor cores to use")
    store: StoreSettings = StoreSettings()
    telemetry: TelemetrySettings = TelemetrySettings()

    @property
    def store_url(self) -> str:
        """URL of the SQL store."""
        return self.store.url or f"sqlite:///{self.home / 'anomalyst.sqlite'}"

    @property
    def artifact_folder(self) -> Path:
        """Folder of the artifacts."""
        return self.artifacts or self.home / "artifacts"
