"""A made-up fleet of six devices and four days as a Parquet file, small enough to be walked many times."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="session")
def frame() -> pd.DataFrame:
    """Rows in order of device and time, with a fault in one device and some values missing."""
    chance = np.random.default_rng(17)
    rows, devices = 96, 6
    times = pd.date_range("2025-03-01", periods=rows, freq="h", tz="UTC")
    fleet = pd.DataFrame(
        {
            "device": np.repeat([f"d{n}" for n in range(devices)], rows),
            "time": np.tile(times, devices),
            "model": np.repeat(["TC52", "TC57"], rows * devices // 2),
            "load": 50 + chance.normal(0, 2, rows * devices),
            "heat": 40 + np.repeat(np.arange(devices), rows) + chance.normal(0, 1, rows * devices),
        }
    )
    fleet.loc[4 * rows + 70 : 4 * rows + 80, "heat"] += 30
    fleet.loc[chance.random(len(fleet)) < 0.02, "load"] = np.nan
    return fleet


@pytest.fixture(scope="session")
def fleet_file(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fleet's rows as a file."""
    path = tmp_path_factory.mktemp("telemetry") / "fleet.parquet"
    frame.to_parquet(path, index=False)
    return path
