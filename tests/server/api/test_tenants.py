"""A tenant cannot reach another's: whatever ids it learned or guessed, each is as unknown as one that never was."""

import pytest


@pytest.fixture(scope="module")
def known(reading):
    """Ids of everything that the walked fleet's tenant has."""
    with reading.client("all") as client:
        listed = {
            name: client.get(f"/api/v1/{name}", params={"limit": 500}).json()[name]
            for name in ("anomalies", "incidents", "runs")
        }
        device = client.get("/api/v1/devices").json()["devices"][1]["device"]
        metric = client.get("/api/v1/metrics").json()["metrics"][0]["name"]
        fleet = client.get("/api/v1/overview").json()["fleet"]
    return {
        "anomaly": listed["anomalies"][0]["id"],
        "incident": listed["incidents"][0]["id"],
        "run": listed["runs"][0]["run"],
        "device": device,
        "metric": metric,
        "fleet": fleet,
    }


READ = (
    "runs/{run}", "anomalies/{anomaly}", "incidents/{incident}", "explanations?anomaly={anomaly}", "overview?fleet={fleet}",
    "devices/{device}/timeline?metric={metric}", "devices/{device}/peers",
    "devices/{device}/telemetry", "devices?fleet={fleet}", "metrics?fleet={fleet}", "baselines?fleet={fleet}",
    "detector?fleet={fleet}", "scores?fleet={fleet}&run={run}", "scores?run={run}", "drift?fleet={fleet}",
    "health?fleet={fleet}",
    "groups?fleet={fleet}&by=model", "changes?fleet={fleet}", "feedback/recall?anomaly={anomaly}",
    "feedback/recall?incident={incident}",
)  # fmt: skip
LISTED = (
    "at-risk?fleet={fleet}",
    "runs", "runs?fleet={fleet}", "anomalies?fleet={fleet}", "anomalies?incident={incident}", "anomalies?run={run}",
    "incidents?fleet={fleet}", "feedback?fleet={fleet}", "feedback?anomaly={anomaly}", "rules?fleet={fleet}",
    "suggestions?fleet={fleet}", "effects?fleet={fleet}", "exports/anomalies.csv?fleet={fleet}",
    "exports/incidents.csv?fleet={fleet}", "audit",
)  # fmt: skip
CHANGED = {
    "runs/{run}/advance": {},
    "runs/{run}/stages/score_telemetry": None,
    "runs/{run}/cancel": None,
    "feedback": {"verdict": "false_alarm", "anomaly": "{anomaly}"},
    "feedback/missed": {"device": "{device}", "since": "2025-01-01", "until": "2025-01-02", "fleet": "{fleet}"},
    "suggestions/adjustments": {"fleet": "{fleet}"},
    "suggestions/settings": {"fleet": "{fleet}", "direction": "fewer"},
    "suggestions/rollback": {"fleet": "{fleet}"},
    "telemetry/query": {"sql": "SELECT * FROM telemetry", "fleet": "{fleet}"},
}


def filled(body, known):
    """The body with what is known put in."""
    return body and {name: value.format(**known) for name, value in body.items()}


@pytest.mark.parametrize("path", READ)
def test_what_is_asked_for_by_a_foreign_id_is_not_there(reading, known, path):
    """The owner is answered by the same address, so it is the tenant that makes the difference."""
    url = f"/api/v1/{path.format(**known)}"
    foreign = reading.client("rival").get(url)
    assert foreign.status_code in {404, 409}, (url, foreign.text[:300])
    assert reading.client("all").get(url).status_code == 200, url


@pytest.mark.parametrize("path", LISTED)
def test_a_list_holds_nothing_foreign(reading, known, path):
    """It is empty, or there is no such thing."""
    answer = reading.client("rival").get(f"/api/v1/{path.format(**known)}")
    assert answer.status_code in {200, 404, 409}, answer.text[:300]
    for kind in ("anomaly", "incident", "run", "device"):
        assert answer.status_code != 200 or known[kind] not in answer.text, kind


@pytest.mark.parametrize("path", CHANGED)
def test_nothing_foreign_is_changed(reading, known, path):
    """Neither walked nor judged nor queried."""
    answer = reading.client("rival").post(f"/api/v1/{path.format(**known)}", json=filled(CHANGED[path], known))
    assert answer.status_code in {404, 409}, answer.text[:300]
