"""Saved anomalies are what the other surfaces read: the flagged rows, their incidents, one run, one line in the trail."""

from pathlib import Path

import pandas as pd
import pytest

from server.app import App
from server.domain.anomaly import AnomalyFilter
from server.errors import InvalidInput
from server.library import (
    AnomalyDetectorConfig,
    HybridAnomalyDetector,
    apply_baselines,
    compute_baselines,
    save_anomaly_results,
)
from server.settings import Settings, StoreSettings


@pytest.fixture(scope="module")
def scored(features: pd.DataFrame) -> pd.DataFrame:
    baselines = compute_baselines(features)
    z = apply_baselines(features, baselines)
    return HybridAnomalyDetector(AnomalyDetectorConfig(n_estimators=20)).fit(z).score_dataframe(z, baselines)


def stored_in(home: Path) -> App:
    return App(Settings(home=home, store=StoreSettings(url=None)))


def test_saved_anomalies_equal_the_flagged_rows(scored: pd.DataFrame, tmp_path: Path) -> None:
    """Device, time, cohort, store, score, severity and causes, whatever order the frame was in."""
    run_id = save_anomaly_results(scored.sample(frac=1, random_state=3), tmp_path, fleet="shops", tenant="acme")
    with stored_in(tmp_path) as app:
        found, count = app.records.anomalies("acme", AnomalyFilter(fleet="shops"), limit=10_000)
        run = app.records.run("acme", run_id)
        others = app.records.anomalies("default", AnomalyFilter())
    flagged = scored[scored["is_anomaly"]].set_index(["DeviceId", "Timestamp"])
    assert count == len(flagged) == len(found)
    for each in found:
        row = flagged.loc[(each.device, pd.Timestamp(each.time))]
        assert each.cohort == (row["ManufacturerId"], row["ModelId"], row["OsVersionId"])
        assert (each.site, each.score, each.severity) == (row["StoreId"], row["anomaly_score"], row["severity"])
        assert [part.model_dump(mode="json") for part in each.contributions] == row["contributions"]
        assert (each.top_metric, each.run, each.confidence) == (row["top_metric"], run_id, row["confidence"])
    assert (run.source.connector, others) == ("library", ([], 0))
    assert f"{count} anomalies" in run.stages[max(run.stages)].summary


def test_incidents_count_devices_of_the_whole_frame(scored: pd.DataFrame, tmp_path: Path) -> None:
    """Each anomaly in an incident is one of that incident's, and no scope holds more devices than there are."""
    save_anomaly_results(scored, tmp_path)
    with stored_in(tmp_path) as app:
        incidents, count = app.records.incidents("default", limit=1000)
        anomalies, _ = app.records.anomalies("default", AnomalyFilter(), limit=10_000)
    assert count
    assert {each.incident for each in anomalies} - {""} <= {incident.id for incident in incidents}
    assert all(1 <= incident.devices_in_scope <= scored["DeviceId"].nunique() for incident in incidents)


def test_each_save_is_a_run_and_a_line_in_the_audit_trail(scored: pd.DataFrame, tmp_path: Path) -> None:
    """The newest run is the one that is shown; the trail is whole."""
    runs = [save_anomaly_results(scored, f"sqlite:///{tmp_path / 'facts.sqlite'}") for _ in range(2)]
    with App(Settings(home=tmp_path, store=StoreSettings(url=f"sqlite:///{tmp_path / 'facts.sqlite'}"))) as app:
        trail = app.records.audit("default")
        found, _ = app.records.anomalies("default", AnomalyFilter())
        assert app.records.verify_audit("default") == 2
    assert runs[0] != runs[1]
    assert [(entry.channel, entry.subject) for entry in trail] == [("library", run) for run in reversed(runs)]
    assert {each.run for each in found} <= set(runs)


def test_a_frame_without_anomalies_is_saved_as_such(scored: pd.DataFrame, tmp_path: Path) -> None:
    """A run with none says so, and replaces what was shown before."""
    save_anomaly_results(scored, tmp_path)
    save_anomaly_results(scored[~scored["is_anomaly"]], tmp_path)
    with stored_in(tmp_path) as app:
        assert app.records.anomalies("default", AnomalyFilter())[1] == 0


def test_a_named_home_wins_over_the_environment(scored: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With neither, the configured store is used."""
    monkeypatch.setenv("ANOMALYST_STORE__URL", f"sqlite:///{tmp_path / 'other.sqlite'}")
    monkeypatch.setenv("ANOMALYST_HOME", str(tmp_path))
    save_anomaly_results(scored, tmp_path / "home")
    assert not (tmp_path / "other.sqlite").exists()
    save_anomaly_results(scored)
    assert (tmp_path / "other.sqlite").exists()


def test_what_cannot_be_stored_is_refused(scored: pd.DataFrame, tmp_path: Path) -> None:
    """A fleet's name, a kind of store."""
    with pytest.raises(InvalidInput, match="name 'My shops': write 1 to 32 small letters"):
        save_anomaly_results(scored, tmp_path, fleet="My shops")
    with pytest.raises(InvalidInput, match="nosuch"):
        save_anomaly_results(scored, "nosuch://here/facts")
