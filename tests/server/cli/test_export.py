"""Exports hold what the stores hold, and no cell that a spreadsheet would run."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.cli.tabular import neutralised, write_rows
from server.errors import InvalidInput, Unavailable


def test_anomalies_are_exported_whole(anomalyst, ok, walked: tuple[Path, str], tmp_path: Path) -> None:
    """As many rows as there are anomalies, worst first, in both formats."""
    home, run = walked
    total = ok(anomalyst("anomalies", "--run", run, "--limit", 1, "--json", "--home", home))["total"]
    for name in ("a.parquet", "a.csv"):
        printed = ok(anomalyst("export", "anomalies", "--run", run, "--out", tmp_path / name, "--json", "--home", home))
        assert printed["rows"] == total
    table, text = pd.read_parquet(tmp_path / "a.parquet"), pd.read_csv(tmp_path / "a.csv")
    assert table.anomaly.tolist() == text.anomaly.tolist()
    assert table.severity.is_monotonic_decreasing
    assert set(table.run) == {run}


def test_scores_are_exported_for_every_row(anomalyst, ok, walked: tuple[Path, str], tmp_path: Path) -> None:
    """The newest run's, with names for codes; flagged rows are as many as anomalies."""
    home, run = walked
    stages = ok(anomalyst("show", run, "--json", "--home", home))["stages"]
    rows = ok(anomalyst("export", "scores", "--fleet", "shop", "--out", tmp_path / "s.parquet", "--json", "--home", home))[
        "rows"
    ]
    table = pd.read_parquet(tmp_path / "s.parquet")
    assert rows == len(table) == stages["score_telemetry"]["rows"]
    assert table.is_anomaly.sum() == stages["persist_anomalies"]["rows"]
    assert table.device.str.startswith("D-").all()
    assert str(table.time.dt.tz) == "UTC"


def test_a_fleet_without_anomalies_exports_an_empty_table(anomalyst, tmp_path: Path) -> None:
    """A header is better than a refusal."""
    assert anomalyst("export", "anomalies", "--out", tmp_path / "a.csv", "--home", tmp_path).exit_code == 0
    assert pd.read_csv(tmp_path / "a.csv").empty


@given(st.text(max_size=12), st.sampled_from("=+-@\t\r＝＋－＠"))  # noqa: RUF001 - full-width signs count as formulas too
def test_no_cell_of_a_csv_is_a_formula(text: str, sign: str) -> None:
    """What begins like a formula, also behind blanks, gets an apostrophe; nothing else of it changes."""
    batch = pa.RecordBatch.from_pydict({"device": [sign + text, "  " + sign + text, "plain", None], "n": [-1, 2, 3, 4]})
    cells = neutralised(batch).to_pydict()
    assert cells["device"] == [f"'{sign}{text}", f"'  {sign}{text}", "plain", None]
    assert cells["n"] == [-1, 2, 3, 4]


def test_a_formula_in_a_device_name_is_harmless_in_csv_and_kept_in_parquet(anomalyst, tmp_path: Path) -> None:
    """From file to file."""
    lines = [f"=cmd|x,2025-01-{1 + i // 24:02d}T{i % 24:02d}:00:00,{i % 5}" for i in range(96)]
    (tmp_path / "t.csv").write_text("\n".join(["device,time,load", *lines]))
    for name, shown in (("s.csv", "'=cmd|x"), ("s.parquet", "=cmd|x")):
        assert anomalyst("score", "t.csv", "--out", tmp_path / name).exit_code == 0
        table = pd.read_csv(tmp_path / name) if name.endswith("csv") else pd.read_parquet(tmp_path / name)
        assert set(table.device_id) == {shown}


def test_a_write_that_fails_leaves_the_older_file(tmp_path: Path) -> None:
    """Half a file is no file: the one before stays."""
    path = tmp_path / "s.csv"
    path.write_text("before")

    def rows():
        yield pa.RecordBatch.from_pydict({"a": [1]})
        raise InvalidInput("the source broke off")

    with pytest.raises(InvalidInput):
        write_rows(path, rows())
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("s.csv", "before")]


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    """The system's reason reaches the caller as `Unavailable`."""
    with pytest.raises(Unavailable, match="cannot write"):
        write_rows(tmp_path / "gone" / "s.csv", iter([pa.RecordBatch.from_pydict({"a": [1]})]))
