"""The composition root: the only place that names the engines behind the protocols."""

from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Self

from server.process import give_back_large_blocks
from server.settings import Settings

if TYPE_CHECKING:
    from server.connectors.registry import Connectors
    from server.connectors.uploads import UploadsConnector
    from server.detectors.registry import Detectors
    from server.engines.base import Engine
    from server.services.backup import Places
    from server.services.corrections import Corrections
    from server.services.questions import Questions
    from server.services.recollection import Recollection
    from server.services.retention import Pruning
    from server.services.row_scores import RowScores
    from server.services.verdicts import Verdicts
    from server.services.walk import Walk
    from server.storage.base import ArtifactStore, DecisionMemory, TelemetryStore
    from server.storage.sql.records import SqlRecords

give_back_large_blocks()  # before anything imports Arrow, which every part below does late


def utc_now() -> datetime:
    """The time now, in UTC."""
    return datetime.now(UTC)


class App:
    """The server's parts, each opened when first asked for and all closed together.

    Opening late keeps a command that only reads the SQL store from loading DuckDB, and one that only reads from locking it.
    Importing late keeps it from loading Arrow and the kernels as well: they take longer than the answer.
    """

    def __init__(self, settings: Settings, clock: Callable[[], datetime] = utc_now) -> None:
        self.settings, self._clock = settings, clock
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def clock(self) -> datetime:
        """The time now, as every part of this app has it."""
        return self._clock()

    @cached_property
    def places(self) -> "Places":
        """Where the embedded stores are, open or not."""
        from server.services.backup import Places  # noqa: PLC0415 - half a second that other commands need not pay
        from server.storage.sql.database import file_of  # noqa: PLC0415 - as above

        chosen = self.settings
        return Places(file_of(chosen.store_url), chosen.telemetry_file, chosen.memory_folder, chosen.artifact_folder)

    def open_stores(self) -> None:
        """Open every embedded store now, for a process that is to own them. Raises `StoreBusy` if another does."""
        for store in ("records", "telemetry", "memory"):
            getattr(self, store)
        self.uploads.expire(self.clock())

    @cached_property
    def records(self) -> "SqlRecords":
        """Facts in SQL."""
        from server.storage.sql.records import SqlRecords  # noqa: PLC0415 - half a second that other commands need not pay

        self.settings.home.mkdir(parents=True, exist_ok=True)
        records = SqlRecords(self.settings.store_url)
        self._open.callback(records.close)
        return records

    @cached_property
    def telemetry(self) -> "TelemetryStore":
        """Telemetry rows. Raises `StoreBusy` while another process has them open."""
        from server.storage.telemetry.store import DuckDBTelemetryStore  # noqa: PLC0415 - takes the lock on the file

        self.settings.home.mkdir(parents=True, exist_ok=True)
        store = DuckDBTelemetryStore(
            self.settings.telemetry_file,
            memory_limit=self.settings.telemetry.memory_limit,
            threads=self.settings.threads,
        )
        self._open.callback(store.close)
        return store

    @cached_property
    def artifacts(self) -> "ArtifactStore":
        """Artifacts of all runs."""
        from server.storage.artifacts import ArtifactFolder  # noqa: PLC0415 - as above

        return ArtifactFolder(self.settings.artifact_folder, shared=self.settings.engine == "spark")

    @cached_property
    def connectors(self) -> "Connectors":
        """Connectors; those that open paths are kept inside the allowed folders."""
        from server.connectors.files import FilesConnector  # noqa: PLC0415 - as above
        from server.connectors.registry import Connectors  # noqa: PLC0415 - as above

        roots = self.settings.telemetry.roots
        return Connectors([FilesConnector(roots), self.uploads], roots=roots)

    @cached_property
    def uploads(self) -> "UploadsConnector":
        """Telemetry files that were sent here, and wait."""
        from server.connectors.uploads import Bounds, UploadsConnector  # noqa: PLC0415 - as above

        chosen = self.settings.uploads
        bounds = Bounds(chosen.files, chosen.megabytes << 20, chosen.rows, timedelta(hours=chosen.hours))
        return UploadsConnector(self.settings.home, bounds)

    @cached_property
    def detectors(self) -> "Detectors":
        """Detectors that are installed."""
        from server.detectors.registry import Detectors  # noqa: PLC0415 - as above

        return Detectors()

    @cached_property
    def engine(self) -> "Engine":
        """What computes over whole tables. Raises `InvalidInput` where Spark is wanted and not there."""
        if self.settings.engine == "spark":
            return self._spark()
        from server.engines.local import LocalEngine  # noqa: PLC0415 - as above

        return LocalEngine(self.artifacts, self.settings.threads)

    def _spark(self) -> "Engine":
        from server.engines.spark.cluster import Cluster  # noqa: PLC0415 - as above
        from server.engines.spark.engine import SparkEngine  # noqa: PLC0415 - as above
        from server.engines.spark.telemetry import TelemetryFolder  # noqa: PLC0415 - as above

        chosen, desk = self.settings.spark, self.settings.artifact_folder.absolute() / ".spark"
        cluster = Cluster(chosen.master, chosen.options)
        self._open.callback(cluster.close)
        root = chosen.telemetry or (self.settings.home.absolute() / "telemetry").as_uri()
        folder = TelemetryFolder(cluster, root, desk, chosen.hashes)
        return SparkEngine(cluster, folder, self.artifacts, chosen.part_rows)

    @cached_property
    def walk(self) -> "Walk":
        """The verbs of the walk."""
        from server.domain.catalogue import CATALOGUE, load_catalogue  # noqa: PLC0415 - as above
        from server.services.made import Stores, Toolbox  # noqa: PLC0415 - as above
        from server.services.stages import Stages  # noqa: PLC0415 - as above
        from server.services.walk import Walk  # noqa: PLC0415 - as above

        tools = Toolbox(
            self.connectors,
            self.detectors,
            load_catalogue(self.settings.catalogue) if self.settings.catalogue else CATALOGUE,
            self.engine,
            self._clock,
        )
        return Walk(
            self.records,
            Stages(Stores(lambda: self.telemetry, self.records, self.records.corrections, self.artifacts), tools),
            self._clock,
        )

    @cached_property
    def memory(self) -> "DecisionMemory":
        """Remembered decisions. Raises `StoreBusy` while another process has the embedded store open."""
        from server.storage.memory.embeddings import OllamaEmbedder  # noqa: PLC0415 - as above
        from server.storage.memory.qdrant import QdrantMemory  # noqa: PLC0415 - as above

        chosen = self.settings.memory
        memory = QdrantMemory(
            chosen.url or self.settings.memory_folder,
            api_key=chosen.api_key.get_secret_value() if chosen.api_key else None,
            embedder=OllamaEmbedder(chosen.ollama, chosen.embedding_model) if chosen.ollama else None,
        )
        self._open.callback(memory.close)
        return memory

    @cached_property
    def recollection(self) -> "Recollection":
        """What is remembered of decisions, kept in step with SQL."""
        from server.services.recollection import Recollection  # noqa: PLC0415 - as above

        return Recollection(self.records, self.records.corrections, lambda: self.memory, self._clock)

    @cached_property
    def verdicts(self) -> "Verdicts":
        """What people say of anomalies."""
        from server.services.verdicts import Verdicts  # noqa: PLC0415 - as above

        return Verdicts(self.records, self.records.corrections, lambda: self.telemetry, self.recollection, self._clock)

    @cached_property
    def corrections(self) -> "Corrections":
        """From suggestion to changed scores."""
        from server.services.corrections import Corrections, Stores  # noqa: PLC0415 - as above

        stores = Stores(self.records, self.records.corrections, self.recollection)
        return Corrections(stores, self.walk, self.settings.corrections, self._clock)

    @cached_property
    def pruning(self) -> "Pruning":
        """The removal of what is old."""
        from server.services.retention import Pruning, Stores  # noqa: PLC0415 - as above

        stores = Stores(self.records, self.records.retention, lambda: self.telemetry, self.artifacts, self.uploads)
        return Pruning(stores, self.walk.stages.snapshot, self._clock)

    @cached_property
    def questions(self) -> "Questions":
        """Answers to what people and agents ask."""
        from server.services.questions import Questions  # noqa: PLC0415 - as above
        from server.services.reading.shelf import Shelf  # noqa: PLC0415 - as above
        from server.services.reading.sources import Sources  # noqa: PLC0415 - as above
        from server.storage.telemetry.locked import LockedDuckDB  # noqa: PLC0415 - as above

        return Questions(
            Sources(
                records=self.records,
                corrections=self.records.corrections,
                memory=lambda: self.memory,
                stages=self.walk.stages,
                telemetry=self.telemetry,
                queries=LockedDuckDB(),
                clock=self._clock,
                shelf=Shelf(),
                threads=self.settings.threads,
            )
        )

    @cached_property
    def row_scores(self) -> "RowScores":
        """Scores beside the rows of a run's source."""
        from server.services.row_scores import RowScores  # noqa: PLC0415 - as above
        from server.storage.telemetry.keys import row_keys  # noqa: PLC0415 - as above

        return RowScores(self.walk.stages, self.connectors, row_keys)
