"""Settings from the environment (`ANOMALYST_*`) or a `.env` file, in groups; what conflicts is refused at start."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Literal

from platformdirs import user_data_path
from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from server.domain.retention import Retention


class StoreSettings(BaseModel):
    """Where facts are kept."""

    url: str | None = Field(default=None, description="SQLAlchemy URL of the SQL store; unset: SQLite below the home folder")


class TelemetrySettings(BaseModel):
    """How telemetry is held and read."""

    memory_limit: str = Field(default="1GB", description="DuckDB's memory; what does not fit goes to disk")
    roots: list[Path] | None = Field(
        default=None, description="folders that files may be read from; unset: any the user can read"
    )


class TokenSettings(BaseModel):
    """Who may call over HTTP. With none of it set, the local user may, on localhost only."""

    listed: str = Field(
        default="", repr=False, description="tokens `name:scopes:tenant:sha256`, apart by spaces; `anomalyst token` makes one"
    )
    file: Path | None = Field(default=None, description="a file of such tokens, one a line")
    jwks: str | None = Field(default=None, description="URL of the keys that JSON web tokens are signed with")
    issuer: str | None = Field(default=None, description="who has to have issued a JSON web token; needed with jwks")
    audience: str | None = Field(default=None, description="whom a JSON web token has to be for; needed with jwks")

    @property
    def configured(self) -> bool:
        """Whether callers need a token."""
        return bool(self.listed.strip() or self.file or self.jwks)


class ServeSettings(BaseModel):
    """How the server faces the network."""

    url: str | None = Field(default=None, description="the server's public URL; unset: http:// and the address it listens on")
    hosts: list[str] = Field(
        default=[], description="host names that it may be reached under, besides localhost; `name:*` allows any port"
    )
    origins: list[str] = Field(default=[], description="web origins that may call it, besides those on localhost")
    calls_per_minute: int = Field(default=600, ge=1, description="calls that each bearer of a token may make")


class CorrectionSettings(BaseModel):
    """When verdicts are enough, how far an approval may go, and who may give it."""

    learning_rate: float = Field(default=0.35, gt=0, le=1, description="share of a displacement that one approval takes in")
    min_verdicts: int = Field(default=5, ge=1, description="false-alarm verdicts that a suggestion needs")
    min_devices: int = Field(default=3, ge=1, description="devices they must be of, for more than a single device's baseline")
    lone_author_factor: int = Field(default=2, ge=1, description="how many times as many of both, if one person gave them all")
    max_move: float = Field(default=5.0, gt=0, description="robust scales that one approval may move a centre by")
    max_drift: float = Field(default=10.0, gt=0, description="robust scales that all approvals together may move it by")
    expires_days: float = Field(default=14.0, gt=0, description="days after which a pending suggestion has expired")
    approval_hours: float = Field(default=72.0, gt=0, description="hours after which an approval that was not applied is none")
    four_eyes: bool = Field(default=False, description="whether the approver must be another than the proposer")
    auto_apply: str = Field(default="", description="name of the policy that approves small suggestions; empty: none does")
    auto_apply_scales: float = Field(default=1.0, gt=0, description="robust scales that the policy may move a centre by")
    auto_apply_authors: int = Field(default=2, ge=2, description="people that the policy wants verdicts of")


class RetentionSettings(BaseModel):
    """What `anomalyst prune` removes if it is not told; unset: nothing. A run goes that is beyond each bound that is set."""

    keep_runs: int | None = Field(default=None, ge=1, description="how many of the newest runs of each fleet stay")
    runs_days: float | None = Field(default=None, gt=0, description="days after which a run may go")
    telemetry_days: float | None = Field(default=None, gt=0, description="days after which telemetry may go")

    @property
    def retention(self) -> Retention:
        """The same, as ages."""
        days = (None if each is None else timedelta(days=each) for each in (self.runs_days, self.telemetry_days))
        runs, telemetry = days
        return Retention(keep_runs=self.keep_runs, runs_older_than=runs, telemetry_older_than=telemetry)


class UploadSettings(BaseModel):
    """Telemetry files that were sent to the server and wait to be ingested; then they are removed."""

    files: int = Field(default=20, ge=1, description="how many may wait, for each tenant")
    megabytes: int = Field(default=1024, ge=1, description="how much may wait, for each tenant, in MiB")
    rows: int = Field(default=50_000_000, ge=1, description="rows that one may have, where the file tells")
    hours: float = Field(default=24, gt=0, description="hours after which one that nobody has used is removed")


class SparkSettings(BaseModel):
    """Where Spark runs, and how telemetry lies there; read only where engine is spark."""

    master: str = Field(default="local[*]", description="the cluster's master; spark-submit's own, if it says one, comes first")
    options: dict[str, str] = Field(default={}, description="further options of the session, by Spark's names, as JSON")
    telemetry: str | None = Field(
        default=None, description="folder of the telemetry as Parquet, any path that Spark knows; unset: below the home folder"
    )
    hashes: int = Field(default=16, ge=1, description="into how many folders a day's devices are spread at most")
    part_rows: int = Field(default=250_000, ge=1, description="rows of a part, about, which one task works on")


class MemorySettings(BaseModel):
    """Where decisions are remembered, and by which embeddings besides their numbers and terms."""

    url: str | None = Field(default=None, description="a Qdrant server; unset: embedded, below the home folder")
    api_key: SecretStr | None = Field(default=None, description="the Qdrant server's key")
    ollama: str | None = Field(default=None, description="an Ollama host that embeds words; unset: terms only")
    embedding_model: str = Field(default="nomic-embed-text", description="the model that embeds")


class Settings(BaseSettings):
    """Everything that can be configured, with its default."""

    model_config = SettingsConfigDict(env_prefix="ANOMALYST_", env_nested_delimiter="__", env_file=".env", extra="ignore")

    home: Path = Field(default_factory=lambda: user_data_path("anomalyst"), description="folder of the embedded stores")
    artifacts: Path | None = Field(default=None, description="folder of the artifacts; unset: below the home folder")
    tenant: str = Field(default="default", description="whose fleets these are")
    catalogue: Path | None = Field(default=None, description="a file that adds to the metric catalogue")
    engine: Literal["duckdb", "spark"] = Field(default="duckdb", description="what computes over whole tables: duckdb or spark")
    threads: int = Field(default_factory=lambda: min(os.cpu_count() or 1, 8), ge=1, description="processor cores to use")
    store: StoreSettings = StoreSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    corrections: CorrectionSettings = CorrectionSettings()
    retention: RetentionSettings = RetentionSettings()
    uploads: UploadSettings = UploadSettings()
    memory: MemorySettings = MemorySettings()
    tokens: TokenSettings = TokenSettings()
    serve: ServeSettings = ServeSettings()
    spark: SparkSettings = SparkSettings()

    @property
    def store_url(self) -> str:
        """URL of the SQL store."""
        return self.store.url or f"sqlite:///{self.home / 'anomalyst.sqlite'}"

    @property
    def telemetry_file(self) -> Path:
        """File of the telemetry store."""
        return self.home / "telemetry.duckdb"

    @property
    def memory_folder(self) -> Path:
        """Folder of the decision memory, where it is embedded."""
        return self.home / "memory"

    @property
    def artifact_folder(self) -> Path:
        """Folder of the artifacts."""
        return self.artifacts or self.home / "artifacts"
