"""`score`: one row out for every row in, from any file, with nothing left behind."""

from pathlib import Path

import pandas as pd
import pytest

COLUMNS = ["device_id", "timestamp", "severity", "score", "is_anomaly", "top_metric"]


def _frame(devices: int = 3, rows: int = 120) -> pd.DataFrame:
    times = pd.date_range("2025-01-01", periods=rows, freq="h", tz="UTC")
    parts = [
        pd.DataFrame(
            {
                "device_id": f"d{n}",
                "timestamp": times,
                "split": ["train"] * (rows // 2) + ["test"] * (rows - rows // 2),
                "load": [n + i % 7 + 0.1 * (i % 11) for i in range(rows)],
                "heat": [40 + i % 5 for i in range(rows)],
                "label": 0,
            }
        )
        for n in range(devices)
    ]
    frame = pd.concat(parts, ignore_index=True)
    frame.loc[rows - 10 : rows - 5, "load"] = 500.0
    return frame


@pytest.fixture
def scored(anomalyst, tmp_path: Path):
    """Scores a frame and gives the scores back."""

    def score(frame: pd.DataFrame, *words: object) -> pd.DataFrame:
        frame.to_parquet(tmp_path / "in.parquet", index=False)
        result = anomalyst("score", tmp_path / "in.parquet", "--out", tmp_path / "out.parquet", *words)
        assert result.exit_code == 0, result.output
        return pd.read_parquet(tmp_path / "out.parquet")

    return score


def test_each_row_has_its_scores_in_the_file_s_order(scored) -> None:
    """Devices and times are those of the input, whatever its order; the injected fault is found and named."""
    frame = _frame().sample(frac=1, random_state=3)
    out = scored(frame, "--fit-split", "train")
    assert list(out.columns) == COLUMNS
    assert out.device_id.tolist() == frame.device_id.tolist()
    assert out.timestamp.tolist() == frame.timestamp.tolist()
    worst = out.loc[out.severity.idxmax()]
    assert (worst.device_id, worst.is_anomaly, worst.top_metric) == ("d0", True, "load")
    assert out[["severity", "score"]].notna().all().all()


def test_rows_that_cannot_be_scored_are_there_all_the_same(scored) -> None:
    """No device, no time, before 2000, in the future: severity 0, no anomaly, no metric. Repeated rows share a score."""
    frame = _frame()
    frame.loc[3, "device_id"] = None
    frame.loc[4, "timestamp"] = pd.NaT
    frame.loc[5, "timestamp"] = pd.Timestamp("1970-01-02", tz="UTC")
    frame.loc[6, "timestamp"] = pd.Timestamp("2199-01-02", tz="UTC")
    frame = pd.concat([frame, frame.iloc[[113]]], ignore_index=True)
    out = scored(frame, "--causes")
    assert len(out) == len(frame)
    apart = out.iloc[3:7]
    assert (apart.severity == 0).all()
    assert not apart.is_anomaly.any()
    assert apart.top_metric.isna().all()
    assert out[["severity", "score", "is_anomaly"]].notna().all().all()
    assert out.iloc[-1].to_dict() == out.iloc[113].to_dict()
    assert out.iloc[113].severity > 0


def test_the_label_is_never_read(scored, anomalyst, tmp_path: Path) -> None:
    """Other labels, or none, give the same scores; naming the label as a metric is refused."""
    frame = _frame()
    one = scored(frame, "--fit-split", "train")
    frame["label"] = (frame.load > 100).astype(int) * 7
    pd.testing.assert_frame_equal(one, scored(frame, "--fit-split", "train"))
    pd.testing.assert_frame_equal(one, scored(frame.drop(columns="label"), "--fit-split", "train"))
    refused = anomalyst("score", tmp_path / "in.parquet", "--out", tmp_path / "o.parquet", "--option", "metrics=load,heat")
    assert refused.exit_code == 0
    frame.to_parquet(tmp_path / "in.parquet")
    refused = anomalyst("score", tmp_path / "in.parquet", "--out", tmp_path / "o.parquet", "--metric-column", "label")
    assert refused.exit_code == 64


def test_fit_split_decides_what_is_normal(scored) -> None:
    """Learning only from the clean half makes the fault in the other half stand out more."""
    frame = _frame()
    frame.loc[frame.split == "test", "load"] += 30
    learnt_clean = scored(frame, "--fit-split", "train")
    learnt_all = scored(frame)
    test = (frame.split == "test").to_numpy()
    assert learnt_clean.severity[test].median() > learnt_all.severity[test].median()


def test_causes_names_a_metric_for_every_scored_row(scored) -> None:
    """Without it only anomalies have one."""
    assert scored(_frame(), "--causes").top_metric.notna().all()
    plain = scored(_frame())
    assert (plain.top_metric.notna() == plain.is_anomaly).all()


def test_nothing_but_the_scores_is_left(scored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the temporary folder nor in the user's; with --home the run stays."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    scored(_frame())
    assert list(scratch.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.parquet", "out.parquet", "scratch"]
    scored(_frame(), "--home", tmp_path / "kept")
    assert (tmp_path / "kept" / "anomalyst.sqlite").exists()


def test_csv_with_names_of_its_own_is_read_and_written(anomalyst, tmp_path: Path) -> None:
    """Columns by option, one device by name, scores as CSV."""
    frame = _frame(devices=1).rename(columns={"timestamp": "when it was"}).drop(columns=["device_id"])
    frame.to_csv(tmp_path / "in.csv", index=False)
    words = ("--time-column", "when it was", "--device-name", "pump", "--out", tmp_path / "out.csv")
    assert anomalyst("score", tmp_path / "in.csv", *words).exit_code == 0
    out = pd.read_csv(tmp_path / "out.csv")
    assert list(out.columns) == COLUMNS
    assert (len(out), set(out.device_id)) == (len(frame), {"pump"})
    assert out.timestamp.tolist() == frame["when it was"].astype(str).tolist()


def test_a_row_of_text_without_a_time_is_not_scored(anomalyst, tmp_path: Path) -> None:
    """An empty cell in a CSV is no time, even where the device has been seen."""
    frame = _frame(devices=1)
    frame["timestamp"] = frame.timestamp.astype(str)
    frame.loc[20, "timestamp"] = ""
    frame.to_csv(tmp_path / "in.csv", index=False)
    assert anomalyst("score", "in.csv", "--out", "out.parquet", "--causes").exit_code == 0
    out = pd.read_parquet(tmp_path / "out.parquet")
    assert out.index[out.top_metric.isna()].tolist() == [20]
