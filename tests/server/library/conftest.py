"""A small fleet as a frame, and its features; read-only for all tests."""

from pathlib import Path

import pandas as pd
import pytest

from server.connectors.synthetic import SyntheticConnector, export_fleet
from server.library import DeviceFeatureBuilder

_FLEET = {"devices": "30", "days": "9", "faults": "off"}


@pytest.fixture(autouse=True)
def _home_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test does not place elsewhere is kept with it, and not with the user's own stores."""
    monkeypatch.setenv("ANOMALYST_HOME", str(tmp_path / "default"))


@pytest.fixture(scope="session")
def telemetry_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fleet")
    export_fleet(SyntheticConnector().open("demo", _FLEET), folder)
    return folder / "telemetry.parquet"


@pytest.fixture(scope="session")
def telemetry(telemetry_file: Path) -> pd.DataFrame:
    return pd.read_parquet(telemetry_file)


@pytest.fixture(scope="session")
def features(telemetry: pd.DataFrame) -> pd.DataFrame:
    return DeviceFeatureBuilder(window=12).transform(telemetry)
