"""Runs over HTTP: started, walked in the background, looked at, stopped."""

from datetime import timedelta
from threading import Event
from time import sleep

import pytest

from server.domain.identity import Principal
from server.domain.run import Stage
from server.tools.caller import Caller


def _ended(client, run: str) -> dict:
    for _ in range(600):
        answer = client.get(f"/api/v1/runs/{run}").json()
        if answer["walking"] is None:
            return answer
        sleep(0.05)
    raise AssertionError("the walk did not end")


@pytest.fixture
def asked() -> dict:
    """A small run of the synthetic connector, which reads no file."""
    return {"location": "demo", "connector": "synthetic", "options": {"devices": "6", "days": "3"}, "fleet": "made"}


def test_a_run_is_started_walked_and_polled(changing, asked):
    """Each answer names what comes next; at the end there are anomalies to ask for."""
    client = changing.client("runner")
    begun = client.post("/api/v1/runs", json=asked)
    assert begun.status_code == 201, begun.json()
    run = begun.json()["run"]
    assert begun.headers["location"] == f"/api/v1/runs/{run}"
    assert begun.json()["next_tool"] == "ingest_telemetry"

    early = client.post(f"/api/v1/runs/{run}/stages/score_telemetry")
    assert (early.status_code, early.json()["next_tool"]) == (409, "ingest_telemetry")

    walking = client.post(f"/api/v1/runs/{run}/advance", json={"to": "compute_baselines"})
    assert walking.status_code == 202, walking.json()
    assert walking.json()["walking"]["asked"] == "advance_run to compute_baselines"
    assert _ended(client, run)["next_tool"] == "train_detector"
    assert client.post(f"/api/v1/runs/{run}/stages/train_detector").status_code == 202
    assert _ended(client, run)["next_tool"] == "score_telemetry"
    assert client.post(f"/api/v1/runs/{run}/advance").status_code == 202
    assert _ended(client, run)["complete"] is True
    assert client.get("/api/v1/anomalies", params={"fleet": "made"}).status_code == 200
    assert client.get("/api/v1/anomalies").status_code == 422, "with two fleets one has to be named"
    acts = {each["action"] for each in client.get("/api/v1/audit").json()["entries"]}
    assert {"start_run", "advance_run", "train_detector"} <= acts


def test_the_same_request_starts_one_run(changing, asked):
    """Sent again it gives the run that there is; with other content it is refused."""
    client = changing.client("runner")
    first, second = (client.post("/api/v1/runs", json={**asked, "request_id": "r1"}).json()["run"] for _ in range(2))
    assert first == second
    other = client.post("/api/v1/runs", json={**asked, "request_id": "r1", "options": {"devices": "7", "days": "3"}})
    assert other.status_code == 422


def test_a_run_is_started_with_settings(changing, asked):
    """They land in the run; one that is wrong is named, and no run is started."""
    client = changing.client("runner")
    told = {"contamination": 0.1, "keep_baselines": "7d"}
    run = client.post("/api/v1/runs", json={**asked, "settings": told}).json()["run"]
    settings = changing.desk.app.records.run("default", run).settings
    assert (settings.detector.contamination, settings.baselines.keep_for) == (0.1, timedelta(days=7))
    for wrong, said in (
        ({"contamination": 2}, "contamination"),
        ({"window": "soon"}, "`settings.window`"),
        ({"lags": "1h"}, "lags"),
    ):
        refused = client.post("/api/v1/runs", json={**asked, "settings": wrong})
        assert (refused.status_code, said in refused.text) == (422, True), refused.text


def test_files_are_closed_to_bearers_until_folders_are_named(changing, local, walked_home):
    """A token does not open the server's disk; the user whose machine it is may read what they can."""
    body = {"location": str(walked_home.parent / "fleet.parquet"), "fleet": "again"}
    refused = changing.client("runner").post("/api/v1/runs", json=body)
    assert (refused.status_code, refused.json()["error"]) == (422, "PathNotAllowed")
    assert local.client().post("/api/v1/runs", json=body).status_code == 201


def test_only_the_local_user_sees_where_a_file_is(changing, local, walked_home):
    """A bearer reads the file's name, not the path on the server."""
    assert changing.client("reader").get("/api/v1/runs/shop-1").json()["source"] == "files: fleet.parquet"
    assert str(walked_home.parent) in local.client().get("/api/v1/runs/shop-1").json()["source"]


def test_stopping_what_is_not_walked_says_so(changing):
    """It is answered, and on record."""
    client = changing.client("runner")
    assert client.post("/api/v1/runs/shop-1/cancel").json()["was_walking"] is False
    assert client.get("/api/v1/audit").json()["entries"][0]["action"] == "cancel_run"


def test_runs_are_listed_in_pages(changing, asked):
    """Newest first; a total only where it is known."""
    client = changing.client("runner")
    client.post("/api/v1/runs", json=asked)
    first = client.get("/api/v1/runs", params={"limit": 1}).json()
    assert (first["truncated"], first["total"]) == (True, None)
    last = client.get("/api/v1/runs", params={"limit": 1, "offset": 1}).json()
    assert (last["truncated"], last["total"], last["runs"][0]["run"]) == (False, 2, "shop-1")


def test_a_run_that_is_being_walked_is_a_conflict_to_wait_for_or_to_stop(changing):
    """The same call joins; another one is told what is under way; a stop ends it at its next block."""
    client, jobs, go = changing.client("runner"), changing.desk.jobs, Event()
    by = Caller(Principal(name="runner", channel="http"))

    def slow(report) -> None:
        while not go.wait(0.01):
            report(Stage.SCORE, 1, 10)

    job = jobs.start(by, "shop-1", "advance_run to score_telemetry", slow)
    try:
        joined = client.post("/api/v1/runs/shop-1/advance", json={"to": "score_telemetry"})
        assert (joined.status_code, joined.json()["walking"]["rows_in_all"] in {10, None}) == (202, True)
        told = client.post("/api/v1/runs/shop-1/stages/train_detector")
        assert (told.status_code, told.json()["error"]) == (409, "RunBusy")
        assert client.post("/api/v1/runs/shop-1/cancel").json()["was_walking"] is True
        job.ended.result(timeout=20)
        assert "stopped by runner" in str(job.error)
    finally:
        go.set()
