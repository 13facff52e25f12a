"""What is wrong, why, since when, and for whom: rows 1 to 9, 19 and 20 of the acceptance list, against the stores."""

from datetime import UTC, datetime, timedelta

import pytest

from agent.narration.words import figure
from server.domain.anomaly import AnomalyFilter
from server.domain.identity import Principal

pytestmark = pytest.mark.anyio
ANN = Principal(name="ann")
STORE_INCIDENT = "store-004"
START, END = datetime(2025, 3, 3, tzinfo=UTC), datetime(2025, 3, 24, tzinfo=UTC)


def newest(app):
    """The run that is shown."""
    return app.records.runs("default")[0].id


def incidents(app):
    """All incidents of the run, by severity times devices."""
    return app.records.incidents("default", run_id=newest(app), limit=500)[0]


def select(app, sql):
    """Rows of a SELECT over the telemetry."""
    return app.questions.query_telemetry(ANN, sql).rows


@pytest.mark.parametrize("question", ["What needs my attention this morning?", "anything urgent I should look at?"])
async def test_at_most_five_incidents_are_ranked_and_counted_as_stored(app, analyst, made, question):
    """Row 1: by impact, with the stores' device counts, the window and how fresh the telemetry is."""
    async with analyst(app) as talk:
        reply = await talk.ask(question)
    cards = made(reply, "list_incidents")["incidents"]
    stored = incidents(app)
    assert [(card["id"], card["devices"]) for card in cards] == [(each.id, len(each.devices)) for each in stored[:5]]
    assert [each.severity * len(each.devices) for each in stored] == sorted(
        (each.severity * len(each.devices) for each in stored), reverse=True
    )
    assert all(card["id"] in reply.text and f"{card['devices']} of {card['devices_in_scope']}" in reply.text for card in cards)
    assert "Window: Mon 2025-03-03 01:00 to Mon 2025-03-24 00:00" in reply.text
    assert "telemetry until Mon 2025-03-24 00:00 (Europe/Berlin)" in reply.text


@pytest.mark.parametrize(
    ("now", "question"),
    [
        (datetime(2025, 3, 20, 22, tzinfo=UTC), "Why was device D-1042 flagged last night?"),
        (datetime(2025, 3, 24, 6, tzinfo=UTC), "what is the reason D-1042 was flagged on 20 March?"),
    ],
)
async def test_a_flag_is_explained_with_what_is_stored(app, analyst, made, now, question):
    """Row 2: score, threshold, and the strongest metrics with value, typical, level and version."""
    async with analyst(app, now) as talk:
        reply = await talk.ask(question)
    told = made(reply, "explain_anomaly")
    stored = app.records.anomaly("default", told["anomaly"])
    assert stored.device == "D-1042"
    assert (told["score"], told["threshold"], told["severity"]) == (stored.score, stored.threshold, stored.severity)
    assert f"Score {figure(stored.score)}, threshold {figure(stored.threshold)}" in reply.text
    for metric, part in zip(told["metrics"], stored.contributions, strict=True):
        assert (metric["metric"], metric["value"], metric["typical"]) == (part.metric, part.value, part.typical)
        assert (metric["level"], metric["n"], metric["version"]) == (part.level, part.n, stored.baseline_version)
        assert figure(part.value, metric["unit"]) in reply.text
        assert figure(part.typical, metric["unit"]) in reply.text


async def test_a_night_without_an_anomaly_is_said_and_the_worst_one_told(app, analyst, made):
    """Row 2 where there is nothing: the device's worst anomaly, and that it is of another time."""
    async with analyst(app) as talk:
        reply = await talk.ask("Why was device D-1042 flagged last night?")
    worst = app.records.anomalies("default", AnomalyFilter(run=newest(app), device="D-1042"), limit=1)[0][0]
    assert made(reply, "explain_anomaly")["anomaly"] == worst.id
    assert "no anomaly within a day of Mon 2025-03-24 00:00 (Europe/Berlin)" in reply.text


@pytest.mark.parametrize("follow_up", ["Compared to what?", "what is that measured against?"])
async def test_what_it_is_compared_with_is_the_stored_baseline(app, analyst, made, follow_up):
    """Row 3: the same anomaly, and its baseline's level, rows, median and MAD."""
    async with analyst(app) as talk:
        first = made(await talk.ask("Why was D-1042 flagged?"), "explain_anomaly")
        reply = await talk.ask(follow_up)
    assert made(reply, "explain_anomaly")["anomaly"] == first["anomaly"]
    top = first["metrics"][0]
    page = app.questions.list_baselines(ANN, level=top["level"], group=top["group"], feature=top["feature"])
    baseline = page.baselines[0]
    assert f"{baseline.n:,} rows" in reply.text
    assert f"Median {figure(baseline.median)}, MAD {figure(baseline.scale / 1.4826)}" in reply.text
    assert f"level {top['level']}" in reply.text


@pytest.mark.parametrize("follow_up", ["Is it only this device or the whole model?", "do its peers have the same problem?"])
async def test_the_cohort_is_held_against_the_rest(app, analyst, made, follow_up):
    """Row 4: both rates with their denominators, and the device's own."""
    async with analyst(app) as talk:
        await talk.ask("Why was D-1042 flagged?")
        reply = await talk.ask(follow_up)
    found = made(reply, "compare_device_with_peers")
    assert found["device"] == "D-1042"
    own, total = app.records.anomalies("default", AnomalyFilter(run=newest(app), device="D-1042"), limit=1000)
    assert found["device_rate"]["count"] == total == len(own)
    for side in (found["device_rate"], found["contrast"]["inside"], found["contrast"]["outside"]):
        assert f"{side['count']:,} of {side['of']:,} rows" in reply.text


@pytest.mark.parametrize("follow_up", ["What changed before this started?", "was anything rolled out just before that?"])
async def test_changes_are_rows_of_the_log(app, analyst, made, follow_up):
    """Row 5: each with before and after, as the change log has it."""
    async with analyst(app) as talk:
        await talk.ask("Why was D-1042 flagged?")
        reply = await talk.ask(follow_up)
    found = made(reply, "what_changed")
    assert found["incident"] == next(each.id for each in incidents(app) if each.scope == {"device": "D-1042"})
    log = {each.description: each for each in app.telemetry.changes(app.records.runs("default")[0].fleet, start=START, end=END)}
    for row in (each["change"] for each in found["changes"][:8]):
        assert (row["before"], row["after"]) == (log[row["description"]].before, log[row["description"]].after)
        assert f"{row['before']} → {row['after']}" in reply.text


@pytest.mark.parametrize(
    "question", ["Did the 13.4 update hurt battery on the TC57s?", "has battery on the TC57 got worse with version 13.4?"]
)
async def test_updated_devices_are_held_against_those_that_are_not(app, analyst, made, question):
    """Row 6: both sides with their devices, the size of the difference, and no claim of a cause."""
    async with analyst(app) as talk:
        reply = await talk.ask(question)
    answer = made(reply, "query_telemetry")
    sides = dict(zip(answer["columns"], answer["rows"][0], strict=True))
    for side, sign in (("updated", "="), ("other", "<>")):
        ((devices, middle),) = select(
            app,
            "SELECT count(*), median(m) FROM (SELECT device, median(TotalBatteryLevelDrop) AS m FROM telemetry "
            f"WHERE ModelId = 'TC57' AND OsVersionId {sign} '13.4' AND TotalBatteryLevelDrop IS NOT NULL GROUP BY device)",
        )
        assert (sides[f"{side}_devices"], sides[f"{side}_median"]) == (devices, middle)
        assert f"| {devices} |" in reply.text
        assert figure(middle) in reply.text
    assert figure(sides["difference"]) in reply.text
    assert "not proof" in reply.text


async def test_too_few_updated_devices_lead_to_no_claim(app, analyst, made):
    """Row 6 with a model of few devices: it is said, and nothing is concluded."""
    async with analyst(app) as talk:
        reply = await talk.ask("Did the 11.0 update hurt battery on the CT45s?")
    assert made(reply, "query_telemetry")["rows"][0][0] < 10
    assert "Too few devices" in reply.text


@pytest.mark.parametrize("follow_up", ["Which devices will hit this next?", "who else is at risk of this?"])
async def test_who_is_exposed_and_not_yet_affected_is_listed(app, analyst, made, follow_up):
    """Row 7: devices on that version that have no anomaly since."""
    async with analyst(app) as talk:
        await talk.ask("Did the 13.4 update hurt battery on the TC57s?")
        reply = await talk.ask(follow_up)
    found = made(reply, "list_at_risk_devices")
    assert found["devices"]
    assert all(each["device"] in reply.text for each in found["devices"][:20])
    on_it = {
        name for (name,) in select(app, "SELECT DISTINCT device FROM telemetry WHERE ModelId='TC57' AND OsVersionId='13.4'")
    }
    assert {each["device"] for each in found["devices"]} <= on_it
    for each in found["devices"]:
        since = datetime.fromisoformat(each["exposed_since"])
        wanted = AnomalyFilter(run=newest(app), device=each["device"], start=since)
        assert app.records.anomalies("default", wanted, limit=1)[1] == 0


@pytest.mark.parametrize(
    "question", ["Show me the worst 10 stores for Wi-Fi this week", "rank the stores by wifi trouble for the last 7 days"]
)
async def test_the_worst_stores_are_those_of_a_select(app, analyst, made, question):
    """Row 8: sorted by rate, with the counts of the stores' rows and anomalies."""
    async with analyst(app) as talk:
        reply = await talk.ask(question)
    ranked = made(reply, "rank_groups")
    first, last = ranked["window"]["first"], ranked["window"]["last"]
    rows = dict(select(app, f"SELECT store, count(*) FROM telemetry WHERE time BETWEEN '{first}' AND '{last}' GROUP BY store"))
    span = {"start": datetime.fromisoformat(first), "end": datetime.fromisoformat(last) + timedelta(seconds=1)}
    wanted = AnomalyFilter(run=newest(app), metric="WiFiSignalStrength", **span)
    flagged = app.records.anomalies("default", wanted, limit=5000)[0]
    rates = [group["anomalies"] / group["rows"] for group in ranked["groups"]]
    assert rates == sorted(rates, reverse=True)
    for group in ranked["groups"]:
        assert group["rows"] == rows[group["group"]]
        mine = sum(each.site == group["group"] and each.top_metric == "WiFiSignalStrength" for each in flagged)
        assert group["anomalies"] == mine
        assert f"| {group['group']} |" in reply.text


@pytest.mark.parametrize(
    "question",
    ["Chart discharge rate for D-1042 against its peers, last 14 days", "plot the battery of D-1042 over the past 14 days"],
)
async def test_a_chart_has_a_band_and_its_gaps_are_gaps(app, analyst, made, question):
    """Row 9: steps without a measured value have none, and the peers' band is there."""
    async with analyst(app) as talk:
        reply = await talk.ask(question)
    found = made(reply, "get_device_timeline")
    assert (found["device"], found["metric"]) == ("D-1042", "TotalBatteryLevelDrop")
    first, last = found["window"]["first"], found["window"]["last"]
    ((rows, values),) = select(
        app,
        "SELECT count(*), count(TotalBatteryLevelDrop) FROM telemetry "
        f"WHERE device='D-1042' AND time BETWEEN '{first}' AND '{last}'",
    )
    assert (found["rows"], found["values"]) == (rows, values)
    assert any(point["peers_low"] is not None for point in found["points"])
    gaps = sum(point["value"] is None for point in found["points"])
    assert f"gaps: {gaps:,} of {len(found['points']):,} steps" in reply.text


@pytest.mark.parametrize("question", ["Can I trust today's numbers?", "how reliable is the telemetry right now?"])
async def test_trust_states_lateness_gaps_the_last_run_and_drift(app, analyst, made, question):
    """Row 19: as the stores have them."""
    async with analyst(app) as talk:
        reply = await talk.ask(question)
    health, stored = made(reply, "check_data_health"), app.questions.check_data_health(ANN)
    assert health["health"]["rows"] == stored.health.rows
    assert f"late {figure(100 * stored.health.late_share)} %" in reply.text
    worst = max(stored.health.missing_share.values())
    assert figure(100 * worst) in reply.text
    assert str(made(reply, "check_drift")["drifted"]) in reply.text
    assert "Every stage is done and fresh." in reply.text


async def test_stale_telemetry_leads_other_answers(mine, analyst):
    """Row 19: a year later, every answer begins with how old the telemetry is."""
    later = datetime(2026, 3, 24, 6, 30, tzinfo=UTC)
    mine.__dict__["_clock"] = lambda: later
    async with analyst(mine, later) as talk:
        reply = await talk.ask("What needs my attention this morning?")
    assert reply.text.startswith("**Careful:**")
    assert "365 days old" in reply.text


@pytest.mark.parametrize("question", ["Write two lines for the store manager", "draft a short note to the shop manager"])
async def test_a_store_manager_gets_two_plain_lines(app, analyst, question):
    """Row 20: the worst incident's count, one thing to do, and none of our words."""
    async with analyst(app) as talk:
        reply = await talk.ask(question)
    worst = incidents(app)[0]
    assert worst.scope == {"store": STORE_INCIDENT}
    assert len(reply.text.split("\n")) == 2
    assert f"{len(worst.devices)} handhelds" in reply.text
    jargon = ("anomal", "cohort", "baseline", "z-score", "threshold", "severity", *worst.metrics)
    assert not [word for word in jargon if word.casefold() in reply.text.casefold()]
    assert reply.text.count("Please") == 1
