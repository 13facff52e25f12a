"""A synthetic fleet of 60 devices walked once over real stores; what other stores hold is put in by the tests themselves."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pandas as pd
import pyarrow.parquet as pq
import pytest

from server.app import App
from server.connectors.registry import Connectors
from server.domain.catalogue import CATALOGUE
from server.domain.feedback import ExpectedRule, Feedback, FeedbackFilter
from server.domain.identity import Principal
from server.domain.memory import Recalled, RecallQuery
from server.domain.run import Run, SourceSpec
from server.domain.settings import DetectorSettings, WalkSettings
from server.domain.suggestion import StandingSuggestion, SuggestionStatus
from server.domain.telemetry import Fleet
from server.errors import Unavailable
from server.services.made import Stores, Toolbox
from server.services.questions import Questions
from server.services.reading.shelf import Shelf
from server.services.reading.sources import Sources
from server.services.stages import Stages
from server.services.walk import Walk
from server.settings import Settings
from server.storage.base import CorrectionRecords, DecisionMemory
from server.storage.telemetry.locked import LockedDuckDB

NOW = datetime(2025, 3, 17, tzinfo=UTC)
WHO = Principal(name="ann")


@dataclass
class FakeCorrections:
    """Verdicts, rules and suggestions in lists; tests put them in and `clear` takes them out."""

    verdicts: list[Feedback] = field(default_factory=list)
    kept_rules: list[ExpectedRule] = field(default_factory=list)
    kept_suggestions: list[StandingSuggestion] = field(default_factory=list)

    def clear(self) -> None:
        """Forget everything."""
        self.verdicts, self.kept_rules, self.kept_suggestions = [], [], []

    def feedback(
        self, tenant: str, wanted: FeedbackFilter, *, limit: int = 50, offset: int = 0
    ) -> tuple[Sequence[Feedback], int]:
        """As the protocol says, for the fields that answers ask by."""
        found = [
            each
            for each in self.verdicts
            if each.fleet.tenant == tenant
            and wanted.fleet in (None, each.fleet.name)
            and wanted.anomaly in (None, each.anomaly)
            and wanted.verdict in (None, each.verdict)
            and not (wanted.current and each.superseded)
        ]
        return found[offset : offset + limit], len(found)

    def rules(self, tenant: str, *, fleet: str | None = None, active_at: datetime | None = None) -> Sequence[ExpectedRule]:
        """As the protocol says."""
        own = [each for each in self.kept_rules if each.fleet.tenant == tenant and fleet in (None, each.fleet.name)]
        return [each for each in own if active_at is None or (each.ended is None and active_at <= each.until)]

    def suggestions(
        self,
        tenant: str,
        *,
        now: datetime,  # noqa: ARG002 - of the protocol
        fleet: str | None = None,
        status: SuggestionStatus | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> tuple[Sequence[StandingSuggestion], int]:
        """As the protocol says."""
        own = [
            each
            for each in self.kept_suggestions
            if each.suggestion.fleet.tenant == tenant
            and fleet in (None, each.suggestion.fleet.name)
            and status in (None, each.status)
        ]
        return own[offset : offset + limit], len(own)


@dataclass
class FakeMemory:
    """Gives what it was told to give; out of reach where `down`."""

    remembered: list[Recalled] = field(default_factory=list)
    down: bool = False
    asked: list[RecallQuery] = field(default_factory=list)

    def recall(self, query: RecallQuery, *, limit: int = 5) -> Sequence[Recalled]:
        """As the protocol says."""
        self.asked.append(query)
        if self.down:
            raise Unavailable("no memory")
        return self.remembered[:limit]


@dataclass
class Desk:
    """A walked fleet, the questions over it, and the stores to check the answers against."""

    app: App
    run: Run
    sources: Sources
    questions: Questions
    corrections: FakeCorrections
    memory: FakeMemory
    scores: pd.DataFrame
    """Every row's score with names in place of codes and times in UTC."""


def opened_desk(home: Any, corrections: FakeCorrections, memory: FakeMemory) -> tuple[App, Walk, Sources]:
    """A server over stores in a folder of their own, with the fakes in place of the stores of decisions."""
    app = App(Settings(home=home, threads=1, _env_file=None))  # pyright: ignore[reportCallIssue]
    kept = cast("CorrectionRecords", corrections)
    tools = Toolbox(Connectors(), app.detectors, CATALOGUE, app.engine, clock=lambda: NOW)
    walk = Walk(app.records, Stages(Stores(lambda: app.telemetry, app.records, kept, app.artifacts), tools), lambda: NOW)
    sources = Sources(
        records=app.records,
        corrections=kept,
        memory=lambda: cast("DecisionMemory", memory),
        stages=walk.stages,
        telemetry=app.telemetry,
        queries=LockedDuckDB(seconds=1.0),
        clock=lambda: NOW,
        shelf=Shelf(),
    )
    return app, walk, sources


def walked(walk: Walk, fleet: Fleet, **options: str) -> Run:
    """A run over a synthetic fleet with everything done."""
    settings = WalkSettings(detector=DetectorSettings(n_estimators=20))
    spec = SourceSpec(connector="synthetic", location="demo", options=options)
    return walk.advance(fleet.tenant, walk.start(fleet, spec, settings).id)


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """The fleet `shop` of one tenant, and one device of another tenant's fleet of the same name."""
    corrections, memory = FakeCorrections(), FakeMemory()
    app, walk, sources = opened_desk(tmp_path_factory.mktemp("desk"), corrections, memory)
    with app:
        walked(walk, Fleet(tenant="rival", name="shop"), devices="3", days="4", seed="9")
        run = walked(walk, Fleet(name="shop"), devices="60", days="14")
        yield Desk(app, run, sources, Questions(sources), corrections, memory, _scores(walk, run))


@pytest.fixture(autouse=True)
def _nothing_decided(desk: Desk) -> Iterator[None]:
    """Each test begins and ends without verdicts, rules and memories."""
    yield
    desk.corrections.clear()
    desk.memory.remembered, desk.memory.down = [], False


def _scores(walk: Walk, run: Run) -> pd.DataFrame:
    table = pq.read_table(walk.stages.scores(run)).to_pandas()
    members = walk.stages.members(run)
    table["device"] = [members.devices[code] for code in table["device"]]
    table["store"] = [members.stores[code] for code in table["store"]]
    table["cohort"] = [members.cohorts[code] for code in table["cohort"]]
    table["time"] = pd.to_datetime(table["time"], unit="us", utc=True)
    return table


@pytest.fixture
def who() -> Principal:
    """A person of the tenant."""
    return WHO
