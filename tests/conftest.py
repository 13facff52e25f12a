"""What the tests of several areas build on: a made-up fleet with a new normal and a real fault, and a way to walk it."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from server.app import App
from server.domain.run import SourceSpec
from server.domain.settings import DetectorSettings, WalkSettings
from server.domain.telemetry import Fleet
from server.settings import Settings

_START = datetime(2025, 3, 3, tzinfo=UTC)


@dataclass(frozen=True)
class MadeUp:
    """A fleet of two models: all of A drain more from a day on, and nothing is wrong; some of B run hot for a day."""

    name_of: Callable[[int], str]
    stores: int
    shift: float
    faulty: Collection[int]
    devices: int = 16
    days: int = 20
    start: datetime = _START

    @property
    def new_normal(self) -> datetime:
        """From when on all of A drain more."""
        return self.start + timedelta(days=14)

    def telemetry(self) -> pd.DataFrame:
        """Hourly rows, device after device."""
        chance = np.random.default_rng(5)
        times = pd.date_range(self.start, periods=24 * self.days, freq="h")
        rhythm = 1.0 + 0.3 * np.sin(2 * np.pi * times.hour.to_numpy() / 24)
        hot = (times >= self.start + timedelta(days=11)) & (times < self.start + timedelta(days=12))
        parts: list[pd.DataFrame] = []
        for number in range(self.devices):
            of_a = number < self.devices // 2
            frame = pd.DataFrame(
                {
                    "device": self.name_of(number),
                    "time": times,
                    "model": "A" if of_a else "B",
                    "store": f"s{number % self.stores}",
                    "drain": 10 * rhythm + chance.normal(0, 1.0, len(times)) + 0.2 * number,
                    "heat": 30 + chance.normal(0, 0.5, len(times)),
                }
            )
            if of_a:
                frame.loc[times >= self.new_normal, "drain"] += self.shift
            if number in self.faulty:
                frame.loc[hot, "heat"] += 15.0
            parts.append(frame)
        return pd.concat(parts, ignore_index=True)

    def walked(self, folder: Path) -> Path:
        """A home folder below `folder` with the fleet walked, closed; the file beside it."""
        self.telemetry().to_parquet(folder / "fleet.parquet", index=False)
        columns = {"cohort": "model", "store": "store"}
        source = SourceSpec(connector="files", location=str(folder / "fleet.parquet"), options=columns)
        quick = WalkSettings(detector=DetectorSettings(n_estimators=20, contamination=0.05))
        settings = Settings(home=folder / "home", threads=1, _env_file=None)  # pyright: ignore[reportCallIssue]
        with App(settings) as app:
            app.walk.advance("default", app.walk.start(Fleet(name="shop"), source, quick, run_id="shop-1").id)
        return folder / "home"


@pytest.fixture(scope="session")
def made_up() -> type[MadeUp]:
    """Describes such a fleet."""
    return MadeUp
