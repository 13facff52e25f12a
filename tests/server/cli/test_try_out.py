"""The commands of the first minutes: `fleet`, `demo` and `doctor`."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from server.cli import doctor
from server.storage.telemetry.store import DuckDBTelemetryStore


def test_fleet_exports_telemetry_and_truth(telemetry: Path) -> None:
    """The folder has the rows, the change log and the truth, and the file is one that `run` takes."""
    names = {path.name for path in telemetry.parent.iterdir()}
    assert {"telemetry.parquet", "changes.parquet", "truth_incidents.parquet", "truth_affected.parquet"} <= names
    assert pd.read_parquet(telemetry).shape[0] > 24 * 6 * 20


def test_demo_prints_what_was_found_and_what_to_do_next(anomalyst, tmp_path: Path) -> None:
    """Stages, incidents, anomalies, places and next steps; a second demo goes through as well."""
    for _ in range(2):
        result = anomalyst("demo", "--devices", 20, "--days", 4, "--home", tmp_path)
        assert result.exit_code == 0, result.output
        for words in ("persist_anomalies   done", "Incidents", "Anomalies, worst first", str(tmp_path), "Next: "):
            assert words in result.stdout


def test_demo_in_json_is_what_is_stored(anomalyst, ok, tmp_path: Path) -> None:
    """The totals are those that the reading commands tell."""
    shown = ok(anomalyst("demo", "--devices", 20, "--days", 4, "--json", "--home", tmp_path))
    listed = ok(anomalyst("anomalies", "--json", "--limit", 10, "--home", tmp_path))
    assert (shown["anomalies_in_all"], shown["anomalies"][0]["id"]) == (listed["total"], listed["anomalies"][0]["id"])


def test_doctor_finds_a_walked_home_well(anomalyst, ok, walked: tuple[Path, str]) -> None:
    """Every part is looked at, and each detector and connector that is installed."""
    rows = {row["part"]: row for row in ok(anomalyst("doctor", "--json", "--home", walked[0]))}
    parts = {"settings", "home folder", "disk", "records", "audit trail", "telemetry store", "clock", "metric catalogue"}
    assert parts | {"detector hybrid", "connector files", "connector synthetic"} <= set(rows)
    assert {row["state"] for row in rows.values()} == {"ok"}
    assert "Nothing is wrong." in anomalyst("doctor", "--home", walked[0]).stdout


def test_doctor_makes_nothing_in_a_home_that_is_not_there(anomalyst, tmp_path: Path) -> None:
    """Looking changes nothing."""
    assert anomalyst("doctor", "--home", tmp_path / "later").exit_code == 0
    assert not (tmp_path / "later").exists()


def test_doctor_says_what_to_do_about_a_home_that_is_a_file(anomalyst, tmp_path: Path) -> None:
    """Exit code 1, and advice."""
    (tmp_path / "file").write_text("")
    result = anomalyst("doctor", "--home", tmp_path / "file")
    assert result.exit_code == 1
    assert "Name a folder with --home" in result.stdout


def test_doctor_names_a_setting_that_is_wrong(
    anomalyst, walked: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A catalogue that cannot be read, and a setting that cannot be used at all."""
    monkeypatch.setenv("ANOMALYST_CATALOGUE", str(tmp_path / "none.toml"))
    result = anomalyst("doctor", "--home", walked[0])
    assert (result.exit_code, "none.toml is no readable metric catalogue" in result.stdout) == (1, True)
    monkeypatch.setenv("ANOMALYST_THREADS", "0")
    assert "ANOMALYST_THREADS" in anomalyst("doctor").stdout


def test_doctor_sees_a_clock_that_went_back(anomalyst, walked: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A run from the future means that the clock is wrong."""

    class Earlier(datetime):
        @classmethod
        def now(cls, tz=UTC):
            return datetime(2025, 6, 1, tzinfo=tz)

    monkeypatch.setattr(doctor, "datetime", Earlier)
    result = anomalyst("doctor", "--home", walked[0])
    assert result.exit_code == 1
    assert "Set the clock" in result.stdout


def test_a_busy_telemetry_store_is_a_warning(tmp_path: Path) -> None:
    """While a server holds the file, doctor says so and finds nothing wrong; the other process is a real one."""
    DuckDBTelemetryStore(tmp_path / "telemetry.duckdb").close()
    opens = f"import duckdb, sys; c = duckdb.connect({str(tmp_path / 'telemetry.duckdb')!r})"
    hold = f"{opens}; print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == "held"
        words = ["-c", "from server.cli import main; main()", "doctor", "--home", str(tmp_path)]
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=60, check=False)
        assert holder.stdin is not None
        holder.stdin.close()
    assert done.returncode == 0, done.stdout
    assert "warning" in done.stdout
