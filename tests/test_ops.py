"""The dashboard and the alert rules ask only for what /metrics has."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from server import errors
from server.app import App
from server.domain.anomaly import AnomalyFilter
from server.domain.feedback import Verdict
from server.domain.identity import Principal
from server.domain.run import SourceSpec, Stage
from server.domain.settings import WalkSettings
from server.domain.telemetry import Fleet
from server.settings import Settings
from server.tools.desk import Desk
from server.tools.meters import Meters

OPS = Path(__file__).parents[1] / "ops"
ALERTS = [rule for group in yaml.safe_load((OPS / "prometheus/alerts.yml").read_text())["groups"] for rule in group["rules"]]
BOARD = json.loads((OPS / "grafana/anomalyst.json").read_text())
_JUDGED = (Verdict.TRUE, Verdict.FALSE_ALARM)
_OWN_LABELS = {"job", "instance", "le"}


def asked() -> Iterator[str]:
    """Every expression of both."""
    yield from (rule["expr"] for rule in ALERTS)
    yield from (target["expr"] for panel in BOARD["panels"] for target in panel["targets"])
    yield from (choice["definition"] for choice in BOARD["templating"]["list"] if "definition" in choice)


@pytest.fixture(scope="session")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A server over a small fleet that was walked, with a verdict of each kind that makes a share."""
    settings = Settings(home=tmp_path_factory.mktemp("ops"), threads=1, _env_file=None)  # pyright: ignore[reportCallIssue]
    with App(settings) as app:
        source = SourceSpec(connector="synthetic", location="demo", options={"devices": "12", "days": "6"})
        app.walk.advance("default", app.walk.start(Fleet(name="shop"), source, WalkSettings()).id)
        for anomaly, verdict in zip(app.records.anomalies("default", AnomalyFilter(), limit=2)[0], _JUDGED, strict=True):
            app.verdicts.record(Principal(name="ann"), verdict, anomaly=anomaly.id)
        yield app


@pytest.fixture(scope="session")
def known(walked: App) -> dict[str, set[str]]:
    """The names of all series of the server, with their labels, once each was counted."""
    with Desk(walked) as desk:
        return offered(desk.meters)


def offered(meters: Meters) -> dict[str, set[str]]:
    """The names of all its series, with their labels, once each was counted."""
    meters.called("get_run", "ok", 0.1)
    meters.drifted("shop", 0.1)
    meters._anomalies.labels("shop").set(1)
    meters._walks.labels("advance_run", "ok").inc()
    meters._walked.labels("advance_run").observe(1)
    found: dict[str, set[str]] = {"up": set()}
    for family in text_string_to_metric_families(meters.text().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.mark.parametrize("expression", [*asked()])
def test_an_expression_names_only_series_and_labels_that_there_are(expression: str, known: dict[str, set[str]]) -> None:
    """A renamed counter would leave an empty panel, or an alert that never comes."""
    names = set(re.findall(r"\b(anomalyst_\w+|up)\b", expression))
    assert names
    assert names <= set(known)
    labels = {label for name in names for label in known[name]} | _OWN_LABELS
    told = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", expression)
    told += [label.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(",")]
    assert set(told) <= labels


def test_values_that_are_asked_for_are_values_that_there_are() -> None:
    """An outcome or a verb that nothing ever has would never match."""
    outcomes = {"ok", "error", "refused", "vanished"}
    outcomes |= {name for name, each in vars(errors).items() if isinstance(each, type)}
    for expression in asked():
        for told in re.findall(r'outcome[=!~]+"([^"]+)"', expression):
            assert set(told.split("|")) <= outcomes
        assert set(re.findall(r'asked="([^"]+)"', expression)) <= {"advance_run", *(stage.value for stage in Stage)}


def test_what_the_dashboard_promises_is_on_it(known: dict[str, set[str]]) -> None:
    """Active versions, anomalies over time, precision, scoring latency, false-alarm share, drift and the queue."""
    shown = " ".join(target["expr"] for panel in BOARD["panels"] for target in panel["targets"])
    for name in (
        "detector_version",
        "baseline_version",
        "anomalies_shown",
        "precision",
        "stage_seconds",
        "false_alarm_share",
        "drift_psi",
        "walks_waiting",
    ):
        assert f"anomalyst_{name}" in known
        assert f"anomalyst_{name}" in shown


def test_every_alert_says_what_to_do() -> None:
    """In an annotation, and how urgent it is."""
    for rule in ALERTS:
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["action"]
        assert rule["labels"]["severity"] in {"page", "ticket"}


def test_panels_of_the_dashboard_lie_side_by_side() -> None:
    """None covers another, and each has a title."""
    cells: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        place: dict[str, Any] = panel["gridPos"]
        own = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert panel["title"]
        assert place["x"] + place["w"] <= 24
        assert not own & cells
        cells |= own
