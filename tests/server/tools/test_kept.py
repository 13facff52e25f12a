"""Answers that are given again: only while all that they were read from stands, and never to another tenant."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from threading import Event
from time import sleep
from typing import Any

import pytest

from server.app import App
from server.domain.anomaly import AnomalyFilter
from server.domain.feedback import Verdict
from server.domain.identity import Principal, Scope
from server.domain.run import Stage
from server.tools import kept
from server.tools.caller import Caller
from server.tools.desk import Desk
from server.tools.jobs import Jobs
from server.tools.kept import CLOCK_STEP, KeptAnswers, RestsOn
from server.tools.policy import Policy
from server.tools.server import build_server, offered_tools

pytestmark = pytest.mark.anyio
ANN = Principal(name="ann")


class Counted:
    """The app's questions, which remember what they were asked."""

    def __init__(self, questions: Any) -> None:
        self._questions = questions
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.asked.append(name)
        return getattr(self._questions, name)


@pytest.fixture
def counted(mine: App) -> Counted:
    """The questions of the changeable app, counted."""
    mine.questions = counted = Counted(mine.questions)  # pyright: ignore[reportAttributeAccessIssue]
    return counted


@pytest.fixture
def client(mine: App, era: dict[str, Any], connect: Any) -> Any:
    """A client of the local user over the changeable app, in one era."""
    return connect(build_server(mine, Policy.stdio(mine.settings)), **era)


async def test_a_question_asked_again_is_not_made_anew(client, counted: Counted) -> None:
    """The very same answer; other arguments, and the same in another order, are told apart."""
    async with client as told:
        first = await told.client.call_tool("list_anomalies", {"limit": 5, "min_severity": 10})
        again = await told.client.call_tool("list_anomalies", {"min_severity": 10, "limit": 5})
        other = await told.ok("list_anomalies", limit=2, min_severity=10)
    assert counted.asked == ["list_anomalies"] * 2
    assert again == first
    assert len(other["anomalies"]) == 2


async def test_a_verdict_and_the_end_of_its_rule_are_seen_by_the_next_read(client, mine: App, counted: Counted) -> None:
    """Given through a tool or, as the command line does, past the server."""
    anomaly = mine.records.anomalies("default", AnomalyFilter())[0][0].id
    until = datetime.now(UTC) + timedelta(days=3)
    async with client as told:
        assert (await told.ok("get_anomaly", anomaly=anomaly))["verdict"] is None
        await told.ok("record_feedback", verdict="true", anomaly=anomaly)
        assert (await told.ok("get_anomaly", anomaly=anomaly))["verdict"]["verdict"] == "true"
        mine.verdicts.record(ANN, Verdict.EXPECTED, anomaly=anomaly, until=until)
        assert (await told.ok("get_anomaly", anomaly=anomaly))["verdict"]["verdict"] == "expected"
        overview = await told.ok("get_overview")
        assert overview["rules_in_force"] == 1
        mine.verdicts.end_rule(ANN, overview["rules"][0]["id"])
        assert (await told.ok("get_overview"))["rules_in_force"] == 0
    assert counted.asked == ["get_anomaly"] * 3 + ["overview"] * 2


async def test_an_applied_suggestion_is_seen_by_the_next_read(client, mine: App) -> None:
    """The detector and the suggestions after it are not those of before."""
    async with client as told:
        suggestion = (await told.ok("suggest_detector_settings", direction="fewer"))["suggestions"][0]["suggestion"]["id"]
        before = await told.ok("get_detector")
        assert (await told.ok("list_suggestions"))["suggestions"][0]["status"] == "pending"
        digest = mine.corrections.get(ANN, suggestion).suggestion.digest
        mine.corrections.decide(ANN, suggestion, approved=True, digest=digest)
        assert (await told.ok("list_suggestions"))["suggestions"][0]["status"] == "approved"
        await told.ok("apply_feedback", suggestion=suggestion)
        assert (await told.ok("list_suggestions"))["suggestions"][0]["status"] == "applied"
        assert (await told.ok("get_detector"))["flagged"] != before["flagged"]


async def test_each_stage_and_each_ingest_is_seen_by_the_next_read(local, app: App, start) -> None:
    """A run grows stage by stage; telemetry that came meanwhile is counted."""
    run = start()
    async with local() as told:
        for number, stage in enumerate(Stage):
            stages = (await told.ok("get_run", run=run))["stages"]
            assert [each["state"] for each in stages] == ["done"] * number + ["missing"] * (len(stages) - number)
            app.walk.run_stage("default", run, stage)
        assert (await told.ok("check_data_health"))["stale"] is False
        rows = app.telemetry.writes
        app.walk.run_stage("default", start(), Stage.INGEST)
        assert app.telemetry.writes > rows
        assert (await told.ok("check_data_health"))["stale"] is True


async def test_what_another_process_writes_is_seen_by_the_next_read(client, mine: App) -> None:
    """The command line adds a run to the same records."""
    known = mine.records.runs("default")[0]
    told_run = known.model_copy(update={"id": "from-elsewhere", "created": datetime.now(UTC)}).model_dump_json()
    code = (
        "import sys; from server.domain.run import Run; from server.storage.sql import SqlRecords;"
        "SqlRecords(sys.argv[1]).add_run(Run.model_validate_json(sys.argv[2]))"
    )
    async with client as told:
        assert len((await told.ok("list_runs"))["runs"]) == 1
        subprocess.run([sys.executable, "-c", code, mine.settings.store_url, told_run], check=True)
        assert (await told.ok("list_runs"))["runs"][0]["run"] == "from-elsewhere"


async def test_how_long_ago_something_was_follows_the_clock(client, mine: App, counted: Counted) -> None:
    """Within one step the answer is given again, in the next it is made anew."""
    now = datetime.fromtimestamp(CLOCK_STEP * 200_000_000, UTC)
    app: Any = mine
    async with client as told:
        app._clock = lambda: now
        first = await told.ok("check_data_health")
        app._clock = lambda: now + timedelta(seconds=CLOCK_STEP / 2)
        await told.ok("check_data_health")
        assert counted.asked == ["check_data_health"]
        app._clock = lambda: now + timedelta(hours=1)
        later = await told.ok("check_data_health")
    assert later["hours_since"] > first["hours_since"]


async def test_a_walk_under_way_is_seen_as_far_as_it_is(local, held, start) -> None:
    """Before it, in it, and after it."""
    run = start()
    async with local() as told:
        assert (await told.ok("get_run", run=run))["walking"] is None
        await told.ok("advance_run", run=run, to="engineer_features", wait=False)
        assert held.inside.wait(60)
        assert (await told.ok("get_run", run=run))["walking"]["stage"] == "engineer_features"
        held.go_on.set()
        await told.ok("advance_run", run=run, to="engineer_features")
        assert (await told.ok("get_run", run=run))["walking"] is None


def test_a_walk_that_was_asked_for_again_is_not_the_one_before() -> None:
    """Who asked and since when is told of it, so it is another sight, even if both wait at the same place."""
    jobs, sights = Jobs(lambda _: None, workers=1), list[Any]()
    for name in ("ann", "bob"):
        go_on = Event()
        walk = jobs.start(Caller(Principal(name=name)), "r", "advance_run", lambda _, go_on=go_on: go_on.wait(60))
        sights.append(jobs.seen("default"))
        go_on.set()
        walk.ended.result(60)
        while jobs.of("default", "r"):
            sleep(0.001)
    jobs.close()
    assert sights[0] != sights[1]


def caller(tenant: str = "default", scopes: frozenset[Scope] = frozenset({Scope.READ}), channel: str = "mcp") -> Caller:
    """Somebody of that tenant."""
    return Caller(Principal(name="eve", tenant=tenant, scopes=scopes, channel=channel))


@pytest.fixture
def answers(mine: App) -> KeptAnswers:
    """Of a tool that rests on the stores and of one of which nothing is kept."""
    return KeptAnswers(mine, lambda _: None, {"asks": RestsOn.STORES, "draws": None})


async def test_no_answer_of_one_tenant_has_the_place_of_anothers(answers: KeptAnswers) -> None:
    """Nor do callers with other scopes share one, nor the local user and a stranger, nor the protocols."""
    places = [
        await answers.place(caller(), "asks", {}, "2026-07-28"),
        await answers.place(caller("rival"), "asks", {}, "2026-07-28"),
        await answers.place(caller(scopes=frozenset(Scope)), "asks", {}, "2026-07-28"),
        await answers.place(caller(channel="stdio"), "asks", {}, "2026-07-28"),
        await answers.place(caller(), "asks", {}, "2025-11-25"),
        await answers.place(caller(), "asks", {"limit": 1}, "2026-07-28"),
        await answers.place(caller(), "asks", {"limit": True}, "2026-07-28"),
    ]
    assert None not in places
    assert len(set(places)) == len(places)
    assert await answers.place(caller(), "draws", {}, "2026-07-28") is None
    assert await answers.place(caller(), "asks", {"sql": "x" * 3_000}, "2026-07-28") is None


async def test_memory_is_bounded_by_what_was_asked_for_longest_ago(
    answers: KeptAnswers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest stay; one that would take much of the room alone is not kept at all."""
    monkeypatch.setattr(kept, "MOST_CHARACTERS", 800)
    places = [await answers.place(caller(), "asks", {"limit": number}, "2026-07-28") for number in range(12)]
    for place in places:
        answers.keep(place, {"content": [{"text": "x" * 90}]})
    answers.keep(places[0], {"content": [{"text": "x" * 101}]})
    assert [answers.get(place) is not None for place in places] == [False] * 4 + [True] * 8


def test_what_rests_on_more_than_the_stores_is_declared(mine: App) -> None:
    """The memory of decisions and foreign SQL have no state that can be asked for; hours and walks move by themselves."""
    with Desk(mine) as desk:
        resting = {each.tool.name: each.rests_on for each in offered_tools(desk) if each.scope is Scope.READ}
    never = {name for name, rests_on in resting.items() if rests_on is None}
    assert never == {"explain_anomaly", "recall_feedback", "query_telemetry", "preview_suggestion"}
    clock = {name for name, rests_on in resting.items() if rests_on and RestsOn.CLOCK in rests_on}
    assert clock == {"get_overview", "check_data_health", "list_suggestions"}
    assert {name for name, rests_on in resting.items() if rests_on and RestsOn.WALKS in rests_on} == {"get_run"}
