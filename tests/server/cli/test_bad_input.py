"""P13 and P14: whatever the file, a clear error with its exit code or a stated outcome, never a traceback, and no row lost."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from server.errors import InvalidInput, NotEnoughData, PathNotAllowed

ROWS, DEVICES = 72, 4
QUICK = ("--n-estimators", "20")
Write = Callable[[Path], None]


def fleet() -> pd.DataFrame:
    """Four devices of three days with a fault in the first."""
    chance = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "device": np.repeat([f"d{n}" for n in range(DEVICES)], ROWS),
            "time": np.tile(pd.date_range("2025-01-01", periods=ROWS, freq="h", tz="UTC"), DEVICES),
            "load": 50 + chance.normal(0, 2, ROWS * DEVICES),
            "heat": 40 + chance.normal(0, 1, ROWS * DEVICES),
        }
    )
    frame.loc[40:43, "load"] = 500.0
    return frame


def with_cells(column: str, **cells: Any) -> pd.DataFrame:
    """The fleet with some cells of a column replaced, by row number."""
    frame = fleet()
    for row, value in cells.items():
        frame.loc[int(row.strip("r")), column] = value
    return frame


def with_zones() -> pd.DataFrame:
    """The fleet with times as text, every second one in another zone."""
    frame = fleet()
    frame["time"] = [(time.tz_convert("Asia/Tokyo") if row % 2 else time).isoformat() for row, time in enumerate(frame["time"])]
    return frame


def wide() -> pd.DataFrame:
    """Forty rows of 2,000 metrics."""
    chance = np.random.default_rng(1)
    values = pd.DataFrame(chance.normal(0, 1, (40, 2000)), columns=[f"metric_{n}" for n in range(2000)])
    return pd.concat([fleet().loc[:39, ["device", "time"]], values], axis=1)


def table(frame: pd.DataFrame, suffix: str = ".csv") -> tuple[str, Write]:
    """A file with the frame's rows."""
    write = frame.to_csv if suffix == ".csv" else frame.to_parquet
    return f"telemetry{suffix}", lambda path: write(path, index=False)


@dataclass(frozen=True)
class Refused:
    """The command ends with a code and says this; `advance` would be told the same."""

    file: tuple[str, Write]
    code: int
    says: str


@dataclass(frozen=True)
class Walked:
    """The run is complete; so many rows were rejected, by reason, and values made missing, by metric."""

    file: tuple[str, Write]
    rows: int
    rejected: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    devices: int = DEVICES


BAD = InvalidInput.exit_code
REFUSED = {
    "an empty file": Refused(("t.csv", lambda path: path.touch()), BAD, "t.csv is empty. Give a file with a header and rows."),
    "an empty Parquet file": Refused(("t.parquet", lambda path: path.touch()), BAD, "t.parquet is"),
    "a header only": Refused(table(fleet().head(0)), BAD, "telemetry.csv has a header but no rows."),
    "no rows in Parquet": Refused(table(fleet().head(0), ".parquet"), BAD, "telemetry.parquet"),
    "a binary file": Refused(
        ("t.csv", lambda path: path.write_bytes(bytes(range(256)) * 40) and None), BAD, "is binary, not text"
    ),
    "a binary file called Parquet": Refused(
        ("t.parquet", lambda path: path.write_bytes(bytes(range(256)) * 40) and None), BAD, "is no readable Parquet file"
    ),
    "one row": Refused(table(fleet().head(1)), NotEnoughData.exit_code, "training: 1 usable rows, at least 50 are needed"),
    "too few rows": Refused(table(fleet().head(49)), NotEnoughData.exit_code, "at least 50 are needed"),
    "every metric constant": Refused(table(fleet().assign(load=1.0, heat=7.0)), BAD, "no usable feature: of"),
    "every metric all-NaN": Refused(table(fleet().assign(load=np.nan, heat=np.nan), ".parquet"), BAD, "no usable feature: of"),
    "no metric": Refused(table(fleet()[["device", "time"]]), BAD, "no column is a metric"),
    "no device column": Refused(table(fleet().drop(columns="device")), BAD, "no column is known to be the device"),
    "no row with a time": Refused(
        table(fleet().assign(time="soon")), BAD, "telemetry.csv: no row can be kept (288 malformed_time). Say which columns"
    ),
}
WALKED = {
    "a fleet": Walked(table(fleet()), 288),
    "one device": Walked(table(fleet().head(ROWS)), ROWS, devices=1),
    "a metric all-NaN": Walked(table(fleet().assign(heat=np.nan), ".parquet"), 288),
    "a metric constant": Walked(table(fleet().assign(heat=7.0)), 288),
    "infinite values": Walked(table(with_cells("heat", r5=np.inf, r9=-np.inf), ".parquet"), 288, dropped={"heat": 2}),
    "infinite values as text": Walked(table(with_cells("heat", r5=np.inf, r9=-np.inf)), 288, dropped={"heat": 2}),
    "values too large to be squared": Walked(
        table(with_cells("load", r5=1e300, r9=-1e300, r200=1.7e308)), 288, dropped={"load": 3}
    ),
    "values that are only large": Walked(table(with_cells("load", r5=1e29)), 288),
    "mixed time zones": Walked(table(with_zones()), 288),
    "naive times": Walked(table(fleet().assign(time=fleet()["time"].dt.tz_localize(None)), ".parquet"), 288),
    "duplicate and shuffled rows": Walked(
        table(pd.concat([fleet(), fleet().head(50)]).sample(frac=1, random_state=1)), 338, {"duplicate": 50}
    ),
    "rows that contradict each other": Walked(
        table(pd.concat([fleet(), with_cells("heat", r3=99.0).iloc[[3]]])), 289, {"conflict": 1}
    ),
    "emoji ids": Walked(table(fleet().replace({"device": {"d0": "📱", "d1": "🧯🔥", "d2": "é", "d3": "'; --"}})), 288),
    "metrics named like SQL": Walked(
        table(fleet().rename(columns={"load": "select", "heat": 'a"b; DROP TABLE runs; --'})), 288
    ),
    "ids, times and values missing": Walked(
        table(fleet().assign(device=with_cells("device", r1=None)["device"], time=with_cells("time", r2=None)["time"])),
        288,
        {"no_device": 1, "no_time": 1},
    ),
    "times out of this world": Walked(
        table(with_cells("time", r1=pd.Timestamp("1970-01-02", tz="UTC"), r2=pd.Timestamp("2199-01-02", tz="UTC"))),
        288,
        {"before_2000": 1, "future": 1},
    ),
    "cells that are no number": Walked(
        table(fleet().astype({"load": object}).assign(load=lambda f: f["load"].where(f.index != 7, "broken"))),
        288,
        {"malformed_value": 1},
    ),
}


def put(folder: Path, file: tuple[str, Write]) -> str:
    """Write a case's file; its name."""
    name, write = file
    write(folder / name)
    return name


def first_line(text: str) -> str:
    """What a refused command says first, which is all of the error."""
    assert "Traceback" not in text
    assert "fault of anomalyst" not in text
    return text.splitlines()[0]


@pytest.mark.parametrize("case", REFUSED)
def test_run_refuses_with_a_reason(anomalyst, tmp_path: Path, case: str) -> None:
    """One line says what is wrong; the next one says how to go on with the run, which knows that it failed."""
    wanted = REFUSED[case]
    result = anomalyst("run", put(tmp_path, wanted.file), *QUICK, "--home", tmp_path / "home")
    assert result.exit_code == wanted.code, result.output
    assert wanted.says in first_line(result.stderr)
    run = result.stderr.split("anomalyst advance ")[1].split("`")[0]
    assert "failed" in anomalyst("show", run, "--home", tmp_path / "home").stdout


@pytest.mark.parametrize("case", ["an empty file", "a binary file", "one row", "every metric constant"])
def test_score_refuses_as_run_does_and_writes_nothing(anomalyst, tmp_path: Path, case: str) -> None:
    """The same code and words, and no file that looks like scores."""
    wanted = REFUSED[case]
    result = anomalyst("score", put(tmp_path, wanted.file), "--out", "scores.csv", *QUICK)
    assert result.exit_code == wanted.code, result.output
    assert wanted.says in first_line(result.stderr)
    assert not (tmp_path / "scores.csv").exists()


@pytest.mark.parametrize("case", WALKED)
def test_run_walks_to_the_end_and_loses_no_row(anomalyst, ok, tmp_path: Path, case: str) -> None:
    """Rows in are rows kept and rows rejected, by reason; every anomaly has a severity and a z-score that are numbers."""
    wanted, home = WALKED[case], tmp_path / "home"
    run = ok(anomalyst("run", put(tmp_path, wanted.file), *QUICK, "--json", "--home", home))
    assert run["complete"]
    made = home / "artifacts" / run["id"] / run["stages"]["ingest_telemetry"]["artifact"]
    report = json.loads(made.read_text())["report"]
    assert (report["rows_in"], report["rejected"], report["values_dropped"]) == (wanted.rows, wanted.rejected, wanted.dropped)
    assert report["rows_in"] == report["rows_kept"] + sum(report["rejected"].values())
    assert report["new_devices"] == wanted.devices
    assert run["stages"]["score_telemetry"]["rows"] == report["rows_kept"]
    found = ok(anomalyst("anomalies", "--json", "--home", home))
    assert found["total"] == run["stages"]["persist_anomalies"]["rows"] > 0
    for each in found["anomalies"]:
        assert 0 < each["severity"] <= 100
        assert all(abs(part["z"]) <= 1e6 for part in each["contributions"])


@pytest.mark.parametrize("case", [case for case, wanted in WALKED.items() if wanted.rejected or wanted.dropped])
def test_score_gives_a_row_for_every_row(anomalyst, tmp_path: Path, case: str) -> None:
    """No row is missing from the scores, none has a severity that is no number, and rejected ones are no anomalies."""
    wanted = WALKED[case]
    result = anomalyst("score", put(tmp_path, wanted.file), "--out", "scores.parquet", "--causes", *QUICK)
    assert result.exit_code == 0, result.output
    out = pd.read_parquet(tmp_path / "scores.parquet")
    assert len(out) == wanted.rows
    assert out["severity"].between(0, 100).all()
    assert np.isfinite(out["score"]).all()
    unusable = sum(count for reason, count in wanted.rejected.items() if reason not in {"duplicate", "conflict"})
    assert out["top_metric"].isna().sum() == unusable
    assert not out["is_anomaly"][out["top_metric"].isna()].any()


def test_two_thousand_columns_are_walked(anomalyst, ok, tmp_path: Path) -> None:
    """Each is a metric; that the rows are too few for training is said of rows, not of columns."""
    result = anomalyst("run", put(tmp_path, table(wide(), ".parquet")), *QUICK, "--home", tmp_path / "home")
    assert result.exit_code == NotEnoughData.exit_code, result.output
    assert "training: 40 usable rows, at least 50 are needed" in first_line(result.stderr)
    run = ok(anomalyst("runs", "--json", "--home", tmp_path / "home"))[0]
    assert run["stages"]["engineer_features"]["summary"].startswith("6000 features")


@pytest.mark.parametrize("route", ["straight", "by dots", "by a link", "a folder that holds a link"])
def test_a_file_outside_the_allowed_folders_is_not_read(
    anomalyst, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    """Whichever way the path goes there, the refusal names the folders that may be read, and nothing of the file."""
    allowed, outside = tmp_path / "allowed", tmp_path / "outside"
    allowed.mkdir(), outside.mkdir()
    secret = outside / put(outside, table(fleet().rename(columns={"load": "secret"})))
    (allowed / "link.csv").symlink_to(secret)
    monkeypatch.setenv("ANOMALYST_TELEMETRY__ROOTS", json.dumps([str(allowed)]))
    paths = {
        "straight": secret,
        "by dots": allowed / ".." / "outside" / secret.name,
        "by a link": allowed / "link.csv",
        "a folder that holds a link": allowed,
    }
    result = anomalyst("run", paths[route], *QUICK, "--home", tmp_path / "home")
    assert result.exit_code == PathNotAllowed.exit_code, result.output
    assert "is outside the folders that may be read" in first_line(result.stderr)
    assert "secret" not in result.output
