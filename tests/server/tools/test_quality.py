"""What /metrics says of how good the findings are: read from the records, so that a restart forgets nothing."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from server.app import App
from server.domain.anomaly import AnomalyFilter
from server.domain.feedback import Verdict
from server.domain.identity import Principal
from server.domain.run import SourceSpec
from server.domain.settings import WalkSettings
from server.domain.telemetry import Fleet
from server.errors import Unavailable
from server.settings import Settings
from server.tools.desk import Desk

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ANN = Principal(name="ann")


@pytest.fixture
def app(tmp_path: Any) -> Any:
    """A server over a small synthetic fleet, walked."""
    settings = Settings(home=tmp_path, threads=1, _env_file=None)  # pyright: ignore[reportCallIssue]
    with App(settings, lambda: NOW) as found:
        source = SourceSpec(connector="synthetic", location="demo", options={"devices": "12", "days": "6"})
        run = found.walk.start(Fleet(name="shop"), source, WalkSettings())
        found.walk.advance("default", run.id)
        yield found


def told(app: App) -> dict[str, float]:
    """Every sample of a server that has just been started over the app's stores."""
    with Desk(app) as desk:
        text = desk.meters.text().decode()
    return {name: float(value) for name, value in re.findall(r"^(anomalyst_\S+) (\S+)$", text, re.MULTILINE)}


def test_figures_of_the_shown_run_and_of_versions_in_force_outlive_a_restart(app: App) -> None:
    """Nothing was walked or asked in this process."""
    found = told(app)
    shown = app.records.anomalies("default", AnomalyFilter())[1]
    assert found['anomalyst_anomalies_shown{fleet="shop"}'] == shown > 0
    assert found['anomalyst_rows_scored{fleet="shop"}'] > shown
    assert found['anomalyst_baseline_version{fleet="shop"}'] == 1
    assert found['anomalyst_detector_version{detector="hybrid",fleet="shop"}'] == 1
    assert found['anomalyst_stage_seconds{fleet="shop",stage="score_telemetry"}'] >= 0
    assert found["anomalyst_records_answer"] == 1
    assert found["anomalyst_disk_free_bytes"] > 0


def test_precision_is_that_of_the_verdicts_that_stand(app: App) -> None:
    """Four true after one was revised, one false alarm; before the first verdict there is no precision at all."""
    before = told(app)
    assert 'anomalyst_precision{fleet="shop"}' not in before
    anomalies = app.records.anomalies("default", AnomalyFilter(), limit=5)[0]
    said = [Verdict.FALSE_ALARM, Verdict.TRUE, Verdict.TRUE, Verdict.TRUE, Verdict.FALSE_ALARM]
    for anomaly, verdict in zip(anomalies, said, strict=True):
        app.verdicts.record(ANN, verdict, anomaly=anomaly.id)
    app.verdicts.record(ANN, Verdict.TRUE, anomaly=anomalies[0].id)
    found = told(app)
    assert found['anomalyst_verdicts{fleet="shop",verdict="true"}'] == 4
    assert found['anomalyst_precision{fleet="shop"}'] == 0.8
    assert found['anomalyst_false_alarm_share{fleet="shop"}'] == pytest.approx(0.2)


def test_another_tenant_s_fleets_are_not_told(app: App) -> None:
    """Whoever may read the counters may not learn its names."""
    run = app.records.runs("default")[0]
    app.records.add_run(run.model_copy(update={"id": "r-2", "fleet": Fleet(tenant="rival", name="secret")}))
    assert not any("secret" in name for name in told(app))


def test_records_that_do_not_answer_are_one_gauge_and_no_fault(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """An alert can then say so; a scrape that failed would look like a server that is down."""

    def away(_: object) -> None:
        raise Unavailable("no answer")

    monkeypatch.setattr(app.records.retention, "fleets", away)
    assert told(app)["anomalyst_records_answer"] == 0
