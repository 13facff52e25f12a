"""docs/library.md: every fenced Python block runs, and what it says of the outcome holds."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from server.app import App
from server.domain.anomaly import AnomalyFilter
from server.settings import Settings, StoreSettings

_PAGE = Path(__file__).parents[3] / "docs" / "library.md"


def test_the_documented_flow_ends_with_its_anomalies_where_the_other_surfaces_show_them(
    telemetry_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page's blocks, run one after the other, save a run whose anomalies are the scored frame's flagged rows."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "telemetry.parquet").symlink_to(telemetry_file)
    names: dict[str, Any] = {}
    blocks = re.findall(r"```python\n(.*?)```", _PAGE.read_text(), re.DOTALL)
    for block in blocks:
        exec(compile(block, _PAGE.name, "exec"), names)
    scored: pd.DataFrame = names["scored"]
    with App(Settings(home=tmp_path / "home", store=StoreSettings(url=None))) as app:
        found, count = app.records.anomalies("default", AnomalyFilter(fleet="shops"), limit=1000)
    assert count == scored["is_anomaly"].sum() > 0
    assert {each.run for each in found} == {names["run_id"]}
    assert len(blocks) == 2
    assert len(names["worst"]) == 10


def test_every_column_that_the_page_names_is_made(
    telemetry_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table's column names are those of the frames."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "telemetry.parquet").symlink_to(telemetry_file)
    names: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", _PAGE.read_text(), re.DOTALL)[0].split("detector =")[0], names)
    for suffix in ("_mean", "_std", "_change", "_vs_cohort"):
        assert f"Download{suffix}" in names["features"].columns
    shown = names["apply_baselines"](names["features"], names["baselines"], show_levels=True)
    assert {"Download_std_z", "Download_std_level", "Download_std_n", "Download_mean_vs_cohort_z"} <= set(shown.columns)
