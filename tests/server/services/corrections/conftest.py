"""A made-up fleet with a new normal: all of model A drain more from a day on, and three of model B are really at fault."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from server.app import App
from server.domain.anomaly import Anomaly, AnomalyFilter
from server.domain.feedback import Verdict
from server.domain.identity import Principal
from server.domain.run import Run, SourceSpec, Stage
from server.domain.settings import DetectorSettings, WalkSettings
from server.domain.suggestion import StandingSuggestion
from server.domain.telemetry import Fleet
from server.settings import CorrectionSettings, Settings

DAYS, DEVICES = 24, 24
START = datetime(2025, 3, 3, tzinfo=UTC)
NEW_NORMAL = START + timedelta(days=17)
FAULT = START + timedelta(days=14), START + timedelta(days=15)
FAULTY = ("d13", "d15", "d17")
SETTINGS = WalkSettings(detector=DetectorSettings(n_estimators=30, contamination=0.04))

ANN, BOB, BOSS = (Principal(name=name) for name in ("ann", "bob", "boss"))


@dataclass
class Desk:
    """A server over a walked fleet of its own, with short words for what people do."""

    app: App
    run: Run

    def now(self) -> Run:
        """The run as it is stored."""
        return self.app.records.run("default", self.run.id)

    def scores(self) -> str:
        """Digest of the run's scores."""
        return self.now().stages[Stage.SCORE].digest

    def version(self) -> int:
        """Number of the baseline version in force."""
        found = self.app.records.baseline_version(self.run.fleet)
        assert found is not None
        return found.version

    def anomalies(self) -> list[Anomaly]:
        """All that is shown."""
        return list(self.app.records.anomalies("default", AnomalyFilter(run=self.run.id), limit=100_000)[0])

    def benign(self) -> list[Anomaly]:
        """Anomalies of the new normal."""
        return [each for each in self.anomalies() if each.cohort == ("A",) and each.time >= NEW_NORMAL]

    def real(self) -> list[Anomaly]:
        """Anomalies of the real fault."""
        return [each for each in self.anomalies() if each.device in FAULTY and FAULT[0] <= each.time < FAULT[1]]

    def mark(self, anomalies: list[Anomaly], verdict: Verdict = Verdict.FALSE_ALARM, who: Principal = ANN) -> None:
        """Judge each of the anomalies by itself."""
        for each in anomalies:
            self.app.verdicts.record(who, verdict, anomaly=each.id, note="new scanning app")

    def some(self, anomalies: list[Anomaly], count: int = 20) -> list[Anomaly]:
        """Evenly drawn anomalies, the same every time."""
        ordered = sorted(anomalies, key=lambda each: each.id)
        return [ordered[int(place)] for place in np.linspace(0, len(ordered) - 1, min(count, len(ordered)))]

    def suggestion(self) -> StandingSuggestion:
        """The one suggestion that the verdicts lead to."""
        suggested = self.app.corrections.suggest_adjustments(ANN)
        assert len(suggested.suggestions) == 1, suggested
        return suggested.suggestions[0]

    def approve(self, standing: StandingSuggestion, who: Principal = BOSS, override: tuple[str, ...] = ()) -> None:
        """Approve what is shown."""
        self.app.corrections.decide(
            who, standing.suggestion.id, approved=True, digest=standing.suggestion.digest, override=override
        )


def telemetry() -> pd.DataFrame:
    """Hourly rows of two models in four stores."""
    chance = np.random.default_rng(5)
    times = pd.date_range(START, periods=24 * DAYS, freq="h")
    parts: list[pd.DataFrame] = []
    for number in range(DEVICES):
        rhythm = 1.0 + 0.3 * np.sin(2 * np.pi * times.hour.to_numpy() / 24)
        frame = pd.DataFrame(
            {
                "device": f"d{number:02d}",
                "time": times,
                "model": "A" if number < DEVICES // 2 else "B",
                "store": f"s{number % 4}",
                "drain": 10 * rhythm + chance.normal(0, 1.0, len(times)) + 0.2 * number,
                "heat": 30 + chance.normal(0, 0.5, len(times)),
                "offline": chance.exponential(1.0, len(times)),
            }
        )
        if number < DEVICES // 2:
            frame.loc[times >= NEW_NORMAL, "drain"] += 4.0
        if f"d{number:02d}" in FAULTY:
            frame.loc[(times >= FAULT[0]) & (times < FAULT[1]), "heat"] += 15.0
        parts.append(frame)
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="session")
def walked_home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A home folder with the fleet walked, and the run's id."""
    folder = tmp_path_factory.mktemp("walked")
    telemetry().to_parquet(folder / "fleet.parquet", index=False)
    with opened(folder / "home") as app:
        source = SourceSpec(
            connector="files", location=str(folder / "fleet.parquet"), options={"cohort": "model", "store": "store"}
        )
        run = app.walk.start(Fleet(name="shop"), source, SETTINGS)
        app.walk.advance("default", run.id)
    return folder / "home", run.id


@pytest.fixture
def desk(walked_home: tuple[Path, str], tmp_path: Path) -> Iterator[Desk]:
    """A copy of the walked fleet that a test may change."""
    home, run_id = walked_home
    shutil.copytree(home, tmp_path / "home")
    with opened(tmp_path / "home") as app:
        yield Desk(app, app.records.run("default", run_id))


def opened(home: Path, **corrections: object) -> App:
    """The server over the stores of a folder."""
    chosen = CorrectionSettings.model_validate(corrections)
    return App(Settings(home=home, threads=1, corrections=chosen, _env_file=None))  # pyright: ignore[reportCallIssue]
