"""What people say of anomalies: rows 10 to 13 of the acceptance list, against what is stored."""

from datetime import UTC, datetime

import pytest

from server.domain.anomaly import AnomalyFilter
from server.domain.feedback import FeedbackFilter, Verdict
from server.domain.identity import Principal

pytestmark = pytest.mark.anyio
ANN = Principal(name="ann")


def given(app, verdict):
    """Current verdicts of a kind."""
    return app.verdicts.given(ANN, FeedbackFilter(verdict=verdict), limit=1000).feedback


def version(app):
    """Number of the baseline version in force."""
    return app.records.baseline_version(app.records.runs("default")[0].fleet).version


@pytest.mark.parametrize(
    "said", ["That one is a false alarm, those are docked kiosks", "false positive, they sit in the dock all day"]
)
async def test_a_false_alarm_is_stored_with_who_and_why(mine, analyst, made, said):
    """Row 10: on the anomaly spoken of, with the person's words; no baseline changes, and how far it reaches is asked."""
    before = version(mine)
    async with analyst(mine) as talk:
        explained = made(await talk.ask("Why was D-1042 flagged?"), "explain_anomaly")
        reply = await talk.ask(said)
    (stored,) = given(mine, Verdict.FALSE_ALARM)
    assert (stored.anomaly, stored.note) == (explained["anomaly"], said)
    assert stored.author
    assert version(mine) == before
    assert "whole incident" in reply.text


async def test_a_false_alarm_of_several_things_asks_which(mine, analyst):
    """Row 10 after a list: nothing is stored until it is clear what is meant."""
    async with analyst(mine) as talk:
        await talk.ask("What needs my attention?")
        reply = await talk.ask("That one is a false alarm, those are docked kiosks")
    assert not given(mine, Verdict.FALSE_ALARM)
    assert not [each for each in reply.calls if each.tool == "record_feedback"]


@pytest.mark.parametrize(
    "said",
    [
        "It's real but we expected it: stock-take until Friday",
        "we knew about this one, it is the stock-take and it ends on Friday",
    ],
)
async def test_what_was_expected_becomes_a_rule_that_ends(mine, analyst, made, said):
    """Row 11: `expected`, a rule for that store alone that ends with Friday, and no baseline change."""
    before = version(mine)
    async with analyst(mine) as talk:
        listed = made(await talk.ask("What needs my attention?"), "list_incidents")["incidents"]
        await talk.ask("tell me more about the first one")
        await talk.ask(said)
    (rule,) = mine.verdicts.rules(ANN)
    assert list(rule.scope.values()) == ["store-004"]
    assert rule.until == datetime(2025, 3, 28, 23, tzinfo=UTC)
    assert {each.incident for each in given(mine, Verdict.EXPECTED)} == {listed[0]["id"]}
    assert version(mine) == before


@pytest.mark.parametrize(
    "said",
    [
        "You missed one: store 4 was offline Tuesday 14:00",
        "nothing was flagged for store 4 on Tuesday at 14:00, it was offline",
    ],
)
async def test_a_miss_is_tied_to_rows(mine, analyst, made, said):
    """Row 12: to the rows of that store in that hour, in the person's zone."""
    async with analyst(mine) as talk:
        reply = await talk.ask(said)
    stored = given(mine, Verdict.MISSED)
    told = made(reply, "report_missed")
    assert len(stored) == told["rows"] > 0
    assert {each.device for each in stored} <= {f"D-{number}" for number in range(1060, 1075)}
    assert all(datetime(2025, 3, 18, 13, tzinfo=UTC) <= each.time <= datetime(2025, 3, 18, 14, tzinfo=UTC) for each in stored)
    assert "(Europe/Berlin)" in reply.text


async def test_a_miss_without_telemetry_stores_nothing(mine, analyst):
    """Row 12 for a time from which there are no rows: it says so."""
    async with analyst(mine) as talk:
        reply = await talk.ask("You missed one: store 4 was offline on 2025-01-07 at 14:00")
    assert not given(mine, Verdict.MISSED)
    assert "No telemetry" in reply.text


async def test_a_miss_in_a_store_that_there_is_not_offers_those_that_there_are(mine, analyst):
    """Row 12 word for word: this fleet has no store 17."""
    async with analyst(mine) as talk:
        reply = await talk.ask("You missed one: store 17 was offline Tuesday 14:00")
    assert not given(mine, Verdict.MISSED)
    assert "store-007" in reply.text


@pytest.mark.parametrize(
    "question", ["Have we seen this before? What did we decide?", "was there a case like this, and what was the call?"]
)
async def test_an_earlier_decision_is_recalled(mine, analyst, made, question):
    """Row 13: with its date, person and outcome; before it, that there is none."""
    worst = mine.records.anomalies("default", AnomalyFilter(device="D-1042"), limit=2)[0]
    async with analyst(mine) as talk:
        await talk.ask(f"explain {worst[0].id}")
        none = await talk.ask(question)
        assert made(none, "recall_feedback")["recalled"] == []
        assert "Nobody has decided" in none.text
        mine.verdicts.record(ANN, Verdict.FALSE_ALARM, anomaly=worst[1].id, note="the disk is being imaged")
        reply = await talk.ask(question)
    (recalled,) = made(reply, "recall_feedback")["recalled"]
    assert (recalled["decision"]["by"], recalled["decision"]["outcome"]) == ("ann", "false_alarm")
    assert "ann" in reply.text
    assert "2025-03-24" in reply.text
    assert "false_alarm" in reply.text
