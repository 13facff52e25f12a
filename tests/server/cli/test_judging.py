"""`drift` and `evaluate`: what the walk is held against."""

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from server.app import App
from server.cli import app
from server.cli.evaluate import named_scores
from server.connectors.synthetic import SyntheticConnector
from server.settings import Settings


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a demo of 24 devices and 8 days."""
    home = tmp_path_factory.mktemp("demo")
    result = CliRunner().invoke(app, ["demo", "--devices", "24", "--days", "8", "--home", str(home)])
    assert result.exit_code == 0, result.output
    return home


def test_evaluate_counts_every_true_spell(anomalyst, ok, demo: Path) -> None:
    """As many incidents and device spells as the truth has; shares are shares; the words claim nothing about real fleets."""
    report = ok(anomalyst("evaluate", "--json", "--home", demo))
    truth = SyntheticConnector().open("demo", {"devices": "24", "days": "8"}).truth()
    in_all = next(one for one in report["types"] if one["type"] == "all")
    assert (in_all["incidents"], in_all["spells"]) == (truth.incidents.num_rows, truth.affected.num_rows)
    assert 0 <= report["recall"] <= 1
    stored = ok(anomalyst("anomalies", "--limit", 1, "--json", "--home", demo))["total"]
    assert report["anomalies"] == stored
    assert "claim nothing about real telemetry" in anomalyst("evaluate", "--home", demo).stdout


def test_evaluate_rates_look_alikes_of_a_site(anomalyst, ok, demo: Path) -> None:
    """Scores come with the columns that look-alikes are scoped by."""
    report = ok(anomalyst("evaluate", "--json", "--home", demo))
    rated = {one["type"]: one["rows"] for one in report["look_alikes"]}
    truth = SyntheticConnector().open("demo", {"devices": "24", "days": "8"}).truth()
    scoped = {one["type"] for one in truth.look_alikes.to_pylist() if "StoreId=" in one["scope"] and one["device"] is None}
    assert any(rated[kind] > 0 for kind in scoped)


def test_evaluated_scores_bear_the_names_that_truth_speaks_of(anomalyst, ok, demo: Path) -> None:
    """Each device has as many anomalies as are stored for it, and its store is the one in its telemetry."""
    stored = ok(anomalyst("anomalies", "--limit", 10_000, "--json", "--home", demo))["anomalies"]
    source = SyntheticConnector().open("demo", {"devices": "24", "days": "8"})
    with App(Settings(home=demo)) as parts:
        run = parts.records.run("default", stored[0]["run"])
        scores = named_scores(parts, run, source).to_pandas()
    flagged = scores[scores.is_anomaly].groupby("device").size().to_dict()
    assert flagged == Counter(each["device"] for each in stored)
    telemetry = pa.Table.from_batches(list(source.batches())).to_pandas()
    stores = telemetry.dropna(subset="StoreId").drop_duplicates(["DeviceId", "StoreId"])
    known = set(zip(stores.DeviceId, stores.StoreId, strict=True))
    assert {*zip(scores.device, scores.StoreId, strict=True)} <= known | {(name, None) for name in scores.device}


def test_evaluate_refuses_telemetry_without_truth(anomalyst, walked: tuple[Path, str]) -> None:
    """A file has none."""
    result = anomalyst("evaluate", "--run", walked[1], "--home", walked[0])
    assert result.exit_code == 64
    assert "anomalyst demo" in result.stderr


def test_drift_compares_late_rows_with_early_ones(anomalyst, ok, demo: Path) -> None:
    """Largest first, from a time on; the whole fleet has a row for each feature."""
    found = ok(anomalyst("drift", "--since", "2025-03-08", "--at-least", 0, "--limit", 10_000, "--json", "--home", demo))
    assert found["since"].startswith("2025-03-08 00:00")
    indices = [each["psi"] for each in found["features"]]
    assert indices == sorted(indices, reverse=True)
    assert len([each for each in found["features"] if each["level"] == "global"]) == 24
    assert 0 < found["scores"]["n"] < 24 * 8 * 24
    assert "median shift" in anomalyst("drift", "--home", demo).stdout


def test_drift_needs_rows_on_both_sides(anomalyst, demo: Path) -> None:
    """A time outside the rows is refused with the span that there is."""
    result = anomalyst("drift", "--since", "2031-01-01", "--home", demo)
    assert result.exit_code == 64
    assert "2025-03-03" in result.stderr


def test_demos_of_different_size_are_fleets_of_their_own(anomalyst, ok, demo: Path) -> None:
    """They share device names, so one fleet would mix their rows."""
    run = ok(anomalyst("runs", "--json", "--home", demo))[0]
    assert run["fleet"]["name"] == "demo-24x8-4"
