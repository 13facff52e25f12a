"""The command `scorecard` on a small labelled file, and on synthetic fleets."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score
from typer.testing import CliRunner, Result

from server.cli import app
from server.scorecard.card import Card
from server.scorecard.page import figure, tables, write_page
from server.scorecard.synthetic import SyntheticCard, TierReport
from server.services.evaluation import EvaluationReport

QUICK = ("--n-estimators", "20", "--seeds", "2", "--no-ablation")
EVENTS = {"a": (100, 130), "c": (60, 75)}


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A home that a measurement has to leave alone."""
    monkeypatch.setenv("ANOMALYST_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ANOMALYST_THREADS", "1")


def typed(*words: str) -> Result:
    return CliRunner().invoke(app, ["scorecard", *words])


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Three devices of 400 hours: 200 to fit on, then 200 with two events of one metric each."""
    chance, frames = np.random.default_rng(9), []
    for device in "abc":
        frame = pd.DataFrame(chance.normal(10, 1, (400, 3)), columns=["heat", "load", "noise"])
        frame.insert(0, "device_id", device)
        frame.insert(1, "timestamp", pd.date_range("2025-01-01", periods=400, freq="h", tz="UTC"))
        frame["split"], frame["label"] = ["train"] * 200 + ["test"] * 200, 0
        if device in EVENTS:
            rows = slice(200 + EVENTS[device][0], 199 + EVENTS[device][1])
            frame.loc[rows, "label"] = 1
            frame.loc[rows, "heat"] += 6
        frames.append(frame)
    path = tmp_path / "rows.parquet"
    pd.concat(frames).sample(frac=1, random_state=1).to_parquet(path)
    causes = [{"device_id": name, "test_start": a, "test_end": b, "metrics": ["heat"]} for name, (a, b) in EVENTS.items()]
    pd.DataFrame(causes).to_parquet(tmp_path / "causes.parquet")
    return path


def test_a_labelled_file_gets_its_card(labelled: Path, tmp_path: Path) -> None:
    """Every installed detector and reference method, with causes, costs and a page that needs no network; nothing is kept."""
    out = tmp_path / "out"
    done = typed(str(labelled), "--fit-split", "train", "--causes", str(tmp_path / "causes.parquet"), "--out", str(out), *QUICK)
    assert done.exit_code == 0, done.output
    card = json.loads((out / "scorecard-rows.json").read_text())
    lines = {line["name"]: line for line in card["lines"]}
    assert (card["judged"], card["devices"], card["events"], card["seeds"]) == (600, 3, 2, [42, 43])
    assert {"hybrid", "voting", "ecod", "scikit-learn forest", "PyOD PCA"} <= set(lines)
    assert lines["hybrid"]["mean"]["top1_cause"] == 1.0
    assert lines["hybrid"]["mean"]["auc_pr_pooled"] > 0.7
    assert (lines["hybrid"]["seeds"], lines["robust_z"]["seeds"]) == (2, 1)
    assert lines["isolation_forest"]["cost"] == 1.0
    page = (out / "scorecard-rows.html").read_text()
    assert "Plotly.newPlot" in page
    assert "<script src" not in page
    assert "hybrid" in done.output
    assert not (tmp_path / "home").exists()


def test_its_figures_are_those_of_the_rows_that_score_writes(labelled: Path, tmp_path: Path) -> None:
    """The card fits and scores as the walk does."""
    typed(str(labelled), "--fit-split", "train", "--out", str(tmp_path), *QUICK, "--seeds", "1")
    line = json.loads((tmp_path / "scorecard-rows.json").read_text())["lines"][0]
    words = ["score", str(labelled), "--out", str(tmp_path / "s.parquet"), "--fit-split", "train", *QUICK[:2]]
    assert CliRunner().invoke(app, words).exit_code == 0
    rows = pd.read_parquet(labelled).merge(pd.read_parquet(tmp_path / "s.parquet"), on=["device_id", "timestamp"])
    test = rows[rows["split"] == "test"]
    assert line["mean"]["auc_pr_pooled"] == pytest.approx(average_precision_score(test["label"], test["severity"]), abs=1e-9)


@pytest.mark.parametrize("words", [(), ("some.csv", "--synthetic")])
def test_a_file_or_the_synthetic_fleet_is_asked_for(words: tuple[str, ...]) -> None:
    """Neither and both are refused."""
    done = typed(*words)
    assert done.exit_code == 64
    assert "either" in done.output


def test_a_file_without_labels_is_refused(labelled: Path, tmp_path: Path) -> None:
    """It says which column is missing; one whose labels are all alike is no use either."""
    rows = pd.read_parquet(labelled)
    rows.drop(columns="label").to_parquet(tmp_path / "bare.parquet")
    rows.assign(label=0).to_parquet(tmp_path / "calm.parquet")
    for name, said in (("bare", "label"), ("calm", "nothing to tell apart")):
        done = typed(str(tmp_path / f"{name}.parquet"), "--out", str(tmp_path))
        assert done.exit_code == 64
        assert said in done.output


def test_causes_without_their_columns_are_refused(labelled: Path, tmp_path: Path) -> None:
    """The message lists what a file of causes has."""
    done = typed(str(labelled), "--causes", str(labelled), "--out", str(tmp_path))
    assert done.exit_code == 64
    assert "test_start" in done.output


def test_text_of_a_file_is_never_markup(tmp_path: Path) -> None:
    """A file can have any name."""
    card = Card("<b>x</b>", 1, 1, 1, 1, 0.5, 2, (42,), (), {})
    write_page(tmp_path / "p.html", card)
    assert "<b>x</b>" not in (tmp_path / "p.html").read_text()
    assert (figure(None), figure(0.5), figure(0.5, 0.02)) == ("", "0.500", "0.500 ± 0.010")


def test_a_fleet_without_trouble_is_rated_against_its_budget(tmp_path: Path) -> None:
    """What is flagged a day stands beside what was allowed."""
    report = EvaluationReport(
        rows=2400, device_days=100, anomalies=150, anomalies_per_1000_device_days=1500, alarms=30, precision=0.0, recall=None,
        false_alarms_per_1000_device_days=300, incidents=12,
    )  # fmt: skip
    card = SyntheticCard(10, 10, (TierReport("null", 20.0, 10.0, report),))
    rates = tables(card)[0][2]
    assert rates == [["null", "20 a day", "15.0", "3.0", "1.2", "0 %", "", "300.0"]]
    write_page(tmp_path / "p.html", card)
    card.write(tmp_path / "p.json")
    assert json.loads((tmp_path / "p.json").read_text())["tiers"][0]["budget"] == 20.0


@pytest.mark.slow
def test_synthetic_fleets_of_every_tier_are_walked(tmp_path: Path) -> None:
    """And the fleet without trouble twice: by contamination, and by an alert budget that it keeps."""
    done = typed("--synthetic", "--devices", "30", "--days", "10", "--n-estimators", "20", "--out", str(tmp_path))
    assert done.exit_code == 0, done.output
    tiers = json.loads((tmp_path / "scorecard-synthetic.json").read_text())["tiers"]
    assert [one["tier"] for one in tiers] == ["easy", "medium", "hard", "null", "null"]
    assert tiers[0]["report"]["recall"] > 0.4
    assert [one["report"]["recall"] for one in tiers[3:]] == [None, None]
    assert tiers[3]["report"]["anomalies"] > tiers[4]["report"]["anomalies"]
    assert tiers[-1]["report"]["anomalies"] / tiers[-1]["days"] <= 21
