"""The walk over MCP, in both eras: guarded, watched, stoppable, and going on when nobody listens."""

import asyncio
from datetime import timedelta

import pytest
from mcp import MCPError

from server.domain.run import Stage
from server.domain.settings import BaselineSettings, DetectorSettings, FeatureSettings, WalkSettings
from server.tools.policy import Policy
from server.tools.server import build_server

pytestmark = pytest.mark.anyio


async def until_walked(client, run: str) -> dict:
    """The run's answer once no walk is under way, as a client that polls gets it."""
    for _ in range(600):
        answer = await client.ok("get_run", run=run)
        if answer["walking"] is None:
            return answer
        await asyncio.sleep(0.05)
    raise AssertionError("the walk does not end")


async def test_verbs_in_every_wrong_order_are_refused_and_the_scores_stay_the_same(local, start, scores, unbroken) -> None:
    """At every point each verb that is too early names the one that is due; then the walk ends as if nobody had tried."""
    run = start()
    async with local() as client:
        for due in Stage:
            for early in list(Stage)[list(Stage).index(due) + 1 :]:
                said = await client.refused(early.value, run=run)
                assert f"Call {due.value} next." in said
            answer = await client.ok(due.value, run=run)
        assert (answer["complete"], answer["next_tool"]) == (True, None)
        again = await client.ok(Stage.BASELINES.value, run=run)
        assert again["complete"], "the same baselines again leave nothing stale"
    assert scores(run) == unbroken


async def test_advance_reports_progress_that_only_grows_and_answers_with_the_end(local, start) -> None:
    """A client that asks for progress gets it, up to the last stage."""
    seen: list[tuple[float, float | None]] = []

    async def watch(progress: float, total: float | None, _: str | None) -> None:
        seen.append((progress, total))

    run = start()
    async with local() as client:
        answer = await client.client.call_tool("advance_run", {"run": run}, progress_callback=watch)
        assert answer.structured_content["complete"]
    values = [value for value, _ in seen]
    assert values == sorted(set(values))
    assert {total for _, total in seen} == {len(Stage)}
    assert values[-1] >= len(Stage) - 1


async def test_a_walk_goes_on_when_its_client_hangs_up(local, start, held, scores, unbroken) -> None:
    """A call that is given up mid-stage: the next client sees the walk under way, joins it, and gets its end."""
    run = start()
    async with local() as client:
        with pytest.raises(MCPError, match=r"[Tt]imed out"):
            await client.client.call_tool("advance_run", {"run": run}, read_timeout_seconds=0.5)
    assert held.inside.is_set()
    async with local() as client:
        answer = await client.ok("get_run", run=run)
        assert (answer["walking"]["stage"], answer["next_tool"]) == (Stage.FEATURES.value, None)
        rejoined = asyncio.create_task(client.ok("advance_run", run=run))
        await asyncio.sleep(0.1)
        held.go_on.set()
        assert (await rejoined)["complete"]
    assert scores(run) == unbroken


async def test_a_client_that_vanishes_altogether_stops_nothing(local, start, held) -> None:
    """Start without waiting, disconnect, come back: the run is complete."""
    run = start()
    async with local() as client:
        answer = await client.ok("advance_run", run=run, wait=False)
        assert answer["walking"]["asked"] == "advance_run to persist_anomalies"
    held.go_on.set()
    async with local() as client:
        assert (await until_walked(client, run))["complete"]


async def test_another_verb_on_a_run_being_walked_is_told_so_and_other_runs_walk_on(local, start, held) -> None:
    """One walk at a time a run, several runs side by side."""
    run, other = start(), start(fleet="depot")
    async with local() as client:
        await client.ok("advance_run", run=run, wait=False)
        await asyncio.to_thread(held.inside.wait, 30)
        said = await client.refused("ingest_telemetry", run=run)
        assert "is being walked (advance_run to persist_anomalies, engineer_features" in said
        assert "cancel_run" in said
        assert (await client.ok("ingest_telemetry", run=other))["next_tool"] == Stage.FEATURES.value
        held.go_on.set()
        assert (await until_walked(client, run))["complete"]


async def test_a_walk_that_is_cancelled_says_so_keeps_what_was_done_and_can_go_on(
    local, start, held, app, scores, unbroken
) -> None:
    """cancel_run ends it at the next block of rows; the waiting call and the run say who stopped it."""
    run = start()
    async with local() as client:
        waiting = asyncio.create_task(client.refused("advance_run", run=run))
        await asyncio.to_thread(held.inside.wait, 30)
        assert (await client.ok("cancel_run", run=run))["was_walking"]
        held.go_on.set()
        assert "stopped by" in await waiting
        answer = await until_walked(client, run)
        states = {stage["stage"]: stage["state"] for stage in answer["stages"]}
        assert states["ingest_telemetry"] == "done"
        assert states["engineer_features"] == "failed"
        assert not (await client.ok("cancel_run", run=run))["was_walking"]
        assert (await client.ok("advance_run", run=run))["complete"]
    assert scores(run) == unbroken
    outcomes = [(entry.action, entry.outcome) for entry in reversed(app.records.audit("default"))]
    assert outcomes == [
        ("cancel_run", "ok"),
        ("advance_run", "Unavailable"),
        ("cancel_run", "ok"),
        ("advance_run", "ok"),
    ]


async def test_a_request_sent_again_starts_no_second_run(local, fleet_file, app) -> None:
    """The same request_id gives the same run, also side by side; another source under it is refused."""
    asked = {"location": str(fleet_file), "fleet": "shop", "request_id": "monday"}
    async with local() as client:
        first, second = await asyncio.gather(client.ok("ingest_telemetry", **asked), client.ok("ingest_telemetry", **asked))
        third = await client.ok("ingest_telemetry", **asked)
        assert first["run"] == second["run"] == third["run"]
        assert third["next_tool"] == Stage.FEATURES.value
        assert "was used for another run" in await client.refused("ingest_telemetry", **{**asked, "connector": "synthetic"})
    assert len(app.records.runs("default")) == 1
    starts = [entry for entry in app.records.audit("default") if entry.action == "start_run"]
    assert len(starts) == 1
    assert starts[0].channel.startswith("stdio:mcp")
    assert str(fleet_file) not in starts[0].model_dump_json()


async def test_a_run_is_started_with_settings_and_keeps_them(local, start, fleet_file, app) -> None:
    """What is asked for lands in the run, null is what is left out, and the same request with others is refused."""
    told = {
        "detector": "robust_z", "contamination": 0.1, "domain_weights": {"other": 2}, "min_rows": 30, "window": "6h",
        "lag": "1d", "keep_baselines": "7d", "fit_split": None,
    }  # fmt: skip
    asked = {"location": str(fleet_file), "fleet": "shop", "request_id": "tuesday", "settings": told}
    async with local() as client:
        run = (await client.ok("ingest_telemetry", **asked))["run"]
        assert (await client.ok("ingest_telemetry", **asked))["run"] == run
        others = {**asked, "settings": {**told, "contamination": 0.2}}
        assert "was used for another run" in await client.refused("ingest_telemetry", **others)
        again = await client.refused("ingest_telemetry", run=start(fleet="depot"), settings=told)
        assert "keeps the settings that it was started with" in again
    settings = app.records.run("default", run).settings
    assert settings == WalkSettings(
        features=FeatureSettings(window=timedelta(hours=6), lag=timedelta(days=1)),
        baselines=BaselineSettings(min_rows=30, keep_for=timedelta(days=7)),
        detector=DetectorSettings(name="robust_z", contamination=0.1, domain_weights={"other": 2.0}),
    )


async def test_what_to_ingest_is_either_a_place_or_a_run(local, start, fleet_file) -> None:
    """Neither and both are refused, and so is a place that there is not; the run then says what failed."""
    run = start()
    async with local() as client:
        assert "either `location`" in await client.refused("ingest_telemetry")
        assert "either `location`" in await client.refused("ingest_telemetry", run=run, location=str(fleet_file))
        assert "no file or folder" in await client.refused("ingest_telemetry", location=str(fleet_file) + ".gone")
        assert "Did you mean files?" in await client.refused("ingest_telemetry", location="x", connector="flies")
        newest = (await client.ok("list_runs", limit=1))["runs"][0]["run"]
        answer = await client.ok("get_run", run=newest)
        assert answer["stages"][0]["state"] == "failed"
        assert "no file or folder" in answer["summary"]


async def test_runs_are_listed_in_pages(local, start) -> None:
    """A page says that there is more, and its cursor leads there."""
    runs = [start() for _ in range(5)]
    async with local() as client:
        first = await client.ok("list_runs", limit=3)
        rest = await client.ok("list_runs", limit=3, cursor=first["cursor"])
    assert (first["truncated"], rest["truncated"], rest["cursor"]) == (True, False, None)
    assert {line["run"] for page in (first, rest) for line in page["runs"]} == set(runs)


async def test_who_subscribed_to_a_run_hears_when_its_walk_ends(desk, start, connect) -> None:
    """On today's protocol, through subscriptions/listen."""
    run = start()
    server = build_server(desk.app, Policy.stdio(desk.app.settings), desk)
    async with connect(server) as client, client.client.listen(resource_subscriptions=[f"anomalyst://runs/{run}"]) as changes:
        await client.ok("ingest_telemetry", run=run)
        async with asyncio.timeout(10):
            async for change in changes:
                assert change.uri == f"anomalyst://runs/{run}"
                break
