"""Backing up and pruning a server that runs: whole, restorable, and only by who may."""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pandas as pd
import pytest
from starlette.testclient import TestClient

from server.api.app import build_api
from server.app import App
from server.domain.anomaly import AnomalyFilter
from server.domain.feedback import FeedbackFilter, Verdict
from server.domain.identity import Principal
from server.domain.run import SourceSpec
from server.domain.settings import DetectorSettings, WalkSettings
from server.domain.telemetry import Fleet
from server.services.backup import restore, verify
from server.settings import Settings, TokenSettings
from server.tools.caller import Caller
from server.tools.desk import Desk
from server.tools.jobs import Jobs
from server.tools.tokens import Verifier, digest_of
from server.tools.web import transport_security

URL = "http://127.0.0.1:8800"
SCOPES = {"keeper": "maintain", "owner": "maintain+approve", "boss": "read+run+feedback+approve"}
Call = Callable[[str], TestClient]


def settings_in(home: Path) -> Settings:
    listed = [f"{name}:{scopes}:default:{digest_of(f'anomalyst_{name}')}" for name, scopes in SCOPES.items()]
    listed.append(f"rival:maintain+approve:rival:{digest_of('anomalyst_rival')}")
    tokens = TokenSettings(listed=" ".join(listed))
    return Settings(home=home, threads=1, tokens=tokens, _env_file=None)  # pyright: ignore[reportCallIssue]


@pytest.fixture
def app(walked_home: Path, tmp_path: Path) -> Iterator[App]:
    """The parts of a server over a copy of the walked fleet."""
    shutil.copytree(walked_home, tmp_path / "home")
    with App(settings_in(tmp_path / "home")) as found:
        yield found


@pytest.fixture
def call(app: App) -> Iterator[Call]:
    """A client for each bearer of a token."""
    with Desk(app) as desk:
        api = build_api(desk, transport_security(app.settings, URL), Verifier(app.settings.tokens, "default"))

        def client(who: str) -> TestClient:
            headers = {"Authorization": f"Bearer anomalyst_{who}"}
            return TestClient(api, base_url=URL, headers=headers, raise_server_exceptions=False)

        yield client


def test_a_backup_of_a_running_server_restores_to_the_same_answers(app: App, call: Call, tmp_path: Path) -> None:
    """With a checksum for every byte, and nothing left beside the stores."""
    answer = call("keeper").post("/api/v1/backup")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-tar")
    file = tmp_path / "backup.tar"
    file.write_bytes(answer.content)
    assert len(verify(file).members) > 4
    assert not list(app.settings.home.glob(".backup-*"))
    assert app.records.audit("default")[0].action == "backup"
    with App(settings_in(tmp_path / "new")) as other:
        restore(file, other.places, tmp_path / "aside", force=False)
        found = [each.records.anomalies("default", AnomalyFilter(), limit=500) for each in (app, other)]
        assert found[0] == found[1]
        assert other.records.verify_audit("default") == app.records.verify_audit("default") - 1
        run = app.records.run("default", "shop-1")
        assert app.telemetry.snapshot(run.fleet) == other.telemetry.snapshot(run.fleet)


def test_a_backup_under_load_holds_one_state(app: App, call: Call, tmp_path: Path) -> None:
    """Verdicts come in all the while; each is in it whole or not at all, and the trail of what is in it holds."""
    ids = [each.id for each in app.records.anomalies("default", AnomalyFilter(), limit=60)[0]]
    begun, who = Event(), Principal(name="ann")

    def judge() -> None:
        for each in ids:
            app.verdicts.record(who, Verdict.FALSE_ALARM, anomaly=each)
            begun.set()

    with ThreadPoolExecutor(1) as beside:
        judging = beside.submit(judge)
        begun.wait(30)
        answer = call("keeper").post("/api/v1/backup")
        judging.result()
    (tmp_path / "backup.tar").write_bytes(answer.content)
    with App(settings_in(tmp_path / "new")) as other:
        restore(tmp_path / "backup.tar", other.places, tmp_path / "aside", force=False)
        judged = [entry for entry in other.records.audit("default", limit=500) if entry.action == "record_feedback"]
        assert other.records.verify_audit("default") > 0
        assert 0 < len(judged) == other.records.corrections.feedback("default", FeedbackFilter(), limit=1)[1] <= len(ids)


@pytest.mark.parametrize(
    ("who", "path", "body"),
    [
        ("boss", "backup", None),
        ("rival", "backup", None),
        ("boss", "prune", {"keep_runs": 1}),
        ("keeper", "prune", {"keep_runs": 1, "dry_run": False}),
    ],
)
def test_only_who_may_keeps_the_stores(app: App, call: Call, who: str, path: str, body: object) -> None:
    """The right to approve is none to carry everything away, nor is another tenant's; and pruning for real needs both."""
    answer = call(who).post(f"/api/v1/{path}", json=body)
    assert (answer.status_code, answer.json()["error"]) == (403, "NotAllowed")
    assert app.records.run("default", "shop-1")


@pytest.mark.parametrize(
    "body",
    [{"keep_runs": True}, {"keep_runs": "1"}, {"keep_runs": 1, "dry_run": "false"}, {"telemetry_older_than_days": 1e-300}],
)
def test_bounds_that_are_not_meant_as_such_prune_nothing(app: App, call: Call, body: object) -> None:
    """True is no number of runs, a text is no order to remove, and less than a microsecond is no age."""
    answer = call("owner").post("/api/v1/prune", json=body)
    assert (answer.status_code, answer.json()["error"]) == (422, "InvalidInput")
    assert app.records.run("default", "shop-1")


def test_pruning_a_running_server_removes_what_the_dry_run_said(app: App, call: Call, tmp_path: Path) -> None:
    """Which is the default, and leaves alone what is being walked. Asked for nothing it follows the settings, which say
    nothing, and is refused.
    """
    source = app.records.run("default", "shop-1").source
    quick = WalkSettings(detector=DetectorSettings(n_estimators=10, contamination=0.05))
    later = pd.read_parquet(source.location).assign(time=lambda frame: frame["time"] + pd.Timedelta(days=1))
    later.to_parquet(tmp_path / "later.parquet", index=False)
    again = SourceSpec(connector="files", location=str(tmp_path / "later.parquet"), options=source.options)
    app.walk.advance("default", app.walk.start(Fleet(name="shop"), again, quick, run_id="shop-2").id)
    owner, body = call("owner"), {"keep_runs": 1}
    go_on = Event()
    jobs: Jobs = owner.app.state.desk.jobs  # pyright: ignore[reportAttributeAccessIssue, reportFunctionMemberAccess]

    def held(_: object) -> bool:
        return go_on.wait(60)

    walk = jobs.start(Caller(Principal(name="ann")), "shop-1", "advance_run", held)
    busy = owner.post("/api/v1/prune", json={**body, "dry_run": False}).json()
    go_on.set()
    walk.ended.result(60)
    assert (busy["runs"], [(each["run"], each["why"]) for each in busy["kept"]]) == ([], [("shop-1", "it is being walked")])
    told = owner.post("/api/v1/prune", json=body).json()
    assert [each["run"] for each in told["runs"]] == ["shop-1"]
    assert app.records.run("default", "shop-1")
    done = owner.post("/api/v1/prune", json={**body, "dry_run": False}).json()
    assert done == told | {"dry_run": False}
    assert [run.id for run in app.records.runs("default")] == ["shop-2"]
    refused = owner.post("/api/v1/prune", json={})
    assert (refused.status_code, refused.json()["error"]) == (422, "InvalidInput")
