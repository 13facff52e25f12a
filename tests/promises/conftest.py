"""A small fleet of rows with one fault, as a file; and processes that work on it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="session")
def fleet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six devices, four days, one that ran hot for ten hours."""
    chance, rows, devices = np.random.default_rng(17), 96, 6
    frame = pd.DataFrame(
        {
            "device": np.repeat([f"d{number}" for number in range(devices)], rows),
            "time": np.tile(pd.date_range("2025-03-01", periods=rows, freq="h", tz="UTC"), devices),
            "load": 50 + chance.normal(0, 2, rows * devices),
            "heat": 40 + np.repeat(np.arange(devices), rows) + chance.normal(0, 1, rows * devices),
        }
    )
    frame.loc[4 * rows + 70 : 4 * rows + 80, "heat"] += 30
    path = tmp_path_factory.mktemp("telemetry") / "fleet.parquet"
    frame.to_parquet(path, index=False)
    return path
