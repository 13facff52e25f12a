"""The conformance suite of `CorrectionRecords`: verdicts, rules, suggestions, previews and the ledger, on every store."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from server.domain.audit import AuditEntry
from server.domain.baseline import Adjustment, BaselineVersion, Level
from server.domain.feedback import ExpectedRule, Feedback, FeedbackFilter, Verdict
from server.domain.suggestion import Effect, Preview, Suggestion, SuggestionKind, SuggestionStatus
from server.domain.telemetry import Fleet
from server.errors import ArtifactDamaged, InvalidInput, NotFound
from server.storage.base import CorrectionRecords
from server.storage.columns import baseline_rows
from server.storage.sql import SqlRecords
from server.storage.sql.database import Database

NOW = datetime(2026, 3, 1, 12, 30, 0, 123456, tzinfo=UTC)
HOUR = timedelta(hours=1)
FLEET = Fleet(tenant="acme", name="field")
DEPOT = Fleet(tenant="acme", name="depot")
OTHER = Fleet(tenant="rival", name="field")


def an_entry(action: str = "record", tenant: str = "acme") -> AuditEntry:
    return AuditEntry(tenant=tenant, time=NOW, actor="zoë", channel="cli", action=action, subject="s")


def a_verdict(number: int, act: str = "act-1", age: int = 0, **fields: object) -> Feedback:
    usual: dict[str, object] = {
        "id": f"{act}-{number:05d}",
        "act": act,
        "fleet": FLEET,
        "run": "run-1",
        "verdict": Verdict.FALSE_ALARM,
        "anomaly": f"anomaly-{number}",
        "device": f"dev-{number % 7}",
        "time": NOW + timedelta(minutes=number),
        "cohort": ("3", "ünï\n\"'code 🙂", ""),
        "metrics": ("Download", 'a "b"'),
        "signature": {"Download_mean": -4.25},
        "note": 'said "so",\n\\N, twice',
        "author": "zoë",
        "channel": "chat",
        "created": NOW - age * HOUR,
    }
    return Feedback.model_validate(usual | fields)


def a_rule(rule_id: str = "rule-1", fleet: Fleet = FLEET, until: datetime = NOW + 5 * HOUR) -> ExpectedRule:
    return ExpectedRule(
        id=rule_id,
        fleet=fleet,
        scope={"site": "7"},
        metrics=("Download",),
        start=NOW,
        until=until,
        ceiling=40,
        note="stocktaking",
        author="zoë",
        created=NOW,
    )


def a_suggestion(suggestion_id: str = "s-1", fleet: Fleet = FLEET, **fields: object) -> Suggestion:
    move = Adjustment(
        level=Level.COHORT, group="B", feature="x_mean", amount=0.1, full=0.3, base_median=1.25, scale=0.1, since=NOW
    )
    usual: dict[str, object] = {
        "id": suggestion_id,
        "fleet": fleet,
        "run": "run-1",
        "kind": SuggestionKind.BASELINE_ADJUSTMENT,
        "base_version": 1,
        "adjustments": (move,),
        "reason": "ünï",
        "proposer": "agent",
        "created": NOW,
        "expires": NOW + 24 * HOUR,
    }
    return Suggestion.model_validate(usual | fields)


def a_preview(digest: str = "p1", suggestion: str = "s-1", **fields: object) -> Preview:
    usual: dict[str, object] = {
        "suggestion": suggestion,
        "digest": digest,
        "run": "run-1",
        "base_version": 1,
        "start": NOW,
        "end": NOW,
        "rows": 10,
        "rows_rescored": 5,
        "devices": 2,
        "alarms_before": 4,
        "alarms_after": 2,
        "removed": {"unlabelled": 2},
        "added": {},
    }
    return Preview.model_validate(usual | fields)


def a_version(digest: str = "d1", fleet: Fleet = FLEET, **fields: object) -> BaselineVersion:
    usual = {"fleet": fleet, "version": 1, "run": "run-1", "digest": digest, "artifact": "a", "created": NOW}
    return BaselineVersion.model_validate(usual | fields)


@pytest.fixture
def corrections(records: SqlRecords) -> CorrectionRecords:
    """Corrections of a store whose fleets have baseline version 1 in force."""
    for fleet in (FLEET, OTHER):
        records.add_baseline_version(a_version(fleet=fleet), baseline_rows([]))
    return records.corrections


def test_verdicts_come_back_equal_newest_first_page_by_page(corrections: CorrectionRecords) -> None:
    """Every field survives, whatever signs are in it; pages and their total fit together."""
    rows = [a_verdict(number) for number in range(5)]
    assert corrections.add_feedback(rows, an_entry()) == 0
    newer = [a_verdict(9, "act-2", age=-1)]
    corrections.add_feedback(newer, an_entry())
    everything = [*newer, *rows[::-1]]
    assert corrections.feedback("acme", FeedbackFilter(), limit=4) == (everything[:4], 6)
    assert corrections.feedback("acme", FeedbackFilter(), limit=4, offset=4) == (everything[4:], 6)


def test_a_later_verdict_on_the_same_row_supersedes_and_the_earlier_is_kept(corrections: CorrectionRecords) -> None:
    """History stays; exactly one verdict of a row is current, whoever gave it, and only of the same fleet, device and time."""
    corrections.add_feedback([a_verdict(number) for number in range(4)], an_entry())
    elsewhere = [a_verdict(1, "act-2", fleet=DEPOT)]
    assert corrections.add_feedback(elsewhere, an_entry()) == 0
    revised = [a_verdict(n, "act-3", age=-n, verdict=Verdict.TRUE, anomaly="", author="ben") for n in (1, 2, 8)]
    assert corrections.add_feedback(revised, an_entry()) == 2
    found, total = corrections.feedback("acme", FeedbackFilter(fleet="field"))
    assert ({row.id for row in found}, total) == ({"act-1-00000", "act-1-00003", *(row.id for row in revised)}, 5)
    history, total = corrections.feedback("acme", FeedbackFilter(act="act-1", current=False))
    assert total == 4
    assert {row.id: row.superseded for row in history if row.superseded} == {
        "act-1-00001": revised[0].created,
        "act-1-00002": revised[1].created,
    }
    assert corrections.add_feedback([a_verdict(1, "act-4", age=-9)], an_entry()) == 1


def test_the_same_act_again_stores_nothing(records: SqlRecords, corrections: CorrectionRecords) -> None:
    """A re-sent request changes neither verdicts nor the audit trail."""
    rows = [a_verdict(number) for number in range(3)]
    corrections.add_feedback(rows, an_entry())
    assert corrections.add_feedback(rows, an_entry()) == 0
    assert corrections.feedback("acme", FeedbackFilter(current=False))[1] == 3
    assert records.verify_audit("acme") == 1


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (FeedbackFilter(fleet="field"), {0, 1, 2, 3, 4, 5}),
        (FeedbackFilter(fleet="depot"), set()),
        (FeedbackFilter(run="run-2"), {5}),
        (FeedbackFilter(verdict=Verdict.TRUE), {4}),
        (FeedbackFilter(device="dev-3"), {3}),
        (FeedbackFilter(metric="Download"), {0, 1, 2}),
        (FeedbackFilter(metric='a "b"'), {0, 1, 2, 3}),
        (FeedbackFilter(metric="down%"), set()),
        (FeedbackFilter(metric="DOWNLOAD"), {4}),
        (FeedbackFilter(metric=","), set()),
        (FeedbackFilter(anomaly="anomaly-2"), {2}),
        (FeedbackFilter(act="act-9"), set()),
        (FeedbackFilter(author="ben", verdict=Verdict.TRUE), {4}),
        (FeedbackFilter(author="ben", device="dev-0"), set()),
    ],
)
def test_a_filter_narrows_verdicts_and_total_alike(
    corrections: CorrectionRecords, wanted: FeedbackFilter, numbers: set[int]
) -> None:
    """Each field of the filter, exactly and with regard to case; a metric matches wherever it stands among a verdict's."""
    rows = [
        *(a_verdict(number) for number in range(3)),
        a_verdict(3, metrics=("x", 'a "b"')),
        a_verdict(4, verdict=Verdict.TRUE, metrics=("DOWNLOAD", "y"), author="ben"),
        a_verdict(5, run="run-2", metrics=()),
    ]
    corrections.add_feedback(rows, an_entry())
    found, total = corrections.feedback("acme", wanted)
    assert {int(row.id[-5:]) for row in found} == numbers
    assert total == len(numbers)


@pytest.mark.parametrize(
    ("rows", "tenant", "why"),
    [
        ([], "acme", "at least one"),
        ([a_verdict(1), a_verdict(2, "act-2")], "acme", "one act"),
        ([a_verdict(1), a_verdict(2, fleet=DEPOT)], "acme", "one fleet"),
        ([a_verdict(1), a_verdict(1, id="twice")], "acme", "twice"),
        ([a_verdict(1)], "rival", "tenant rival"),
        ([a_verdict(1, created=NOW.replace(tzinfo=None))], "acme", "zone"),
        ([a_verdict(1), a_verdict(2, id="act-1-00001")], "acme", "refuse"),
    ],
)
def test_rows_that_are_no_act_are_refused_whole(
    records: SqlRecords, corrections: CorrectionRecords, rows: list[Feedback], tenant: str, why: str
) -> None:
    """Nothing of them is stored, what they would have superseded stays current, and no audit entry tells of them."""
    corrections.add_feedback([a_verdict(1, "before")], an_entry())
    with pytest.raises(InvalidInput, match=why):
        corrections.add_feedback(rows, an_entry(tenant=tenant))
    assert [row.act for row in corrections.feedback("acme", FeedbackFilter())[0]] == ["before"]
    assert (records.verify_audit("acme"), records.verify_audit("rival")) == (1, 0)


def test_an_act_of_the_greatest_size_is_revised_whole(corrections: CorrectionRecords) -> None:
    """20,000 verdicts go in and are superseded by as many."""
    assert corrections.add_feedback([a_verdict(number) for number in range(20_000)], an_entry()) == 0
    assert corrections.add_feedback([a_verdict(number, "act-2") for number in range(20_000)], an_entry()) == 20_000
    assert corrections.feedback("acme", FeedbackFilter(), limit=1) == ([a_verdict(19_999, "act-2")], 20_000)
    assert corrections.feedback("acme", FeedbackFilter(current=False), limit=0)[1] == 40_000


def test_a_rule_is_in_force_until_it_is_over_or_ended(records: SqlRecords, corrections: CorrectionRecords) -> None:
    """Ended early it keeps when; the same id again and a second end change nothing, and the trail tells of acts only."""
    corrections.add_rule(a_rule(), an_entry())
    corrections.add_rule(a_rule().model_copy(update={"note": "another"}), an_entry())
    corrections.add_rule(a_rule("rule-2", DEPOT, until=NOW + HOUR), an_entry())
    assert corrections.rules("acme") == [a_rule("rule-2", DEPOT, until=NOW + HOUR), a_rule()]
    assert corrections.rules("acme", fleet="field") == [a_rule()]
    assert [rule.id for rule in corrections.rules("acme", active_at=NOW + HOUR)] == ["rule-2", "rule-1"]
    assert [rule.id for rule in corrections.rules("acme", active_at=NOW + 2 * HOUR)] == ["rule-1"]
    ended = a_rule().model_copy(update={"ended": NOW + 3 * HOUR})
    assert corrections.end_rule("acme", "rule-1", NOW + 3 * HOUR, an_entry()) == ended
    assert corrections.end_rule("acme", "rule-1", NOW + 4 * HOUR, an_entry()) == ended
    assert corrections.end_rule("acme", "rule-2", NOW + 4 * HOUR, an_entry()).ended is None
    assert corrections.rules("acme", active_at=NOW + 3 * HOUR) == []
    assert records.verify_audit("acme") == 3
    with pytest.raises(NotFound, match=r"Did you mean rule-\d"):
        corrections.end_rule("acme", "rule1", NOW, an_entry())


def test_suggestions_stand_as_their_time_and_baselines_say(records: SqlRecords, corrections: CorrectionRecords) -> None:
    """Pending until they expire, stale once another version is in force; narrowing by status uses the status now."""
    soon, later = a_suggestion("s-1", expires=NOW + HOUR), a_suggestion("s-2", created=NOW + HOUR)
    for each in (soon, later, a_suggestion("s-3", DEPOT, base_version=0, settings=None, created=NOW + 2 * HOUR)):
        corrections.add_suggestion(each, an_entry())
    assert corrections.suggestion("acme", "s-1", now=NOW + HOUR).status is SuggestionStatus.PENDING
    now = NOW + 2 * HOUR
    found, total = corrections.suggestions("acme", now=now)
    assert [(each.suggestion.id, each.status) for each in found] == [("s-3", "pending"), ("s-2", "pending"), ("s-1", "expired")]
    assert total == 3
    assert corrections.suggestion("acme", "s-1", now=now).suggestion == soon
    page, total = corrections.suggestions("acme", now=now, status=SuggestionStatus.PENDING, limit=1, offset=1)
    assert ([each.suggestion for each in page], total) == ([later], 2)
    assert corrections.suggestions("acme", now=now, fleet="depot", status=SuggestionStatus.EXPIRED) == ([], 0)
    records.add_baseline_version(a_version("d2"), baseline_rows([]))
    assert corrections.suggestion("acme", "s-2", now=now).status is SuggestionStatus.STALE
    assert corrections.suggestions("acme", now=now, status=SuggestionStatus.STALE, limit=0)[1] == 2
    with pytest.raises(NotFound, match=r"Did you mean s-"):
        corrections.suggestion("acme", "s1", now=NOW)
    with pytest.raises(InvalidInput, match="s-1"):
        corrections.add_suggestion(soon, an_entry())


def test_the_newest_preview_is_shown_with_its_suggestion_and_each_is_kept(corrections: CorrectionRecords) -> None:
    """A digest is stored once; computed again it is what its suggestion shows."""
    with pytest.raises(NotFound, match="s-1"):
        corrections.save_preview("acme", a_preview())
    corrections.add_suggestion(a_suggestion(), an_entry())
    assert corrections.suggestion("acme", "s-1", now=NOW).preview is None
    for digest in ("p1", "p2"):
        corrections.save_preview("acme", a_preview(digest))
    assert corrections.preview("acme", "p1") == a_preview("p1")
    assert corrections.preview("acme", "p3") is None
    assert corrections.suggestion("acme", "s-1", now=NOW).preview == a_preview("p2")
    corrections.save_preview("acme", a_preview("p1", rows=11))
    assert corrections.suggestions("acme", now=NOW)[0][0].preview == a_preview("p1")


def test_nothing_of_another_tenant_exists(records: SqlRecords, corrections: CorrectionRecords) -> None:
    """The same ids are free for another tenant, whose calls with them see and change only its own."""
    corrections.add_feedback([a_verdict(1)], an_entry())
    corrections.add_rule(a_rule(), an_entry())
    corrections.add_suggestion(a_suggestion(), an_entry())
    corrections.save_preview("acme", a_preview())
    missing = (
        lambda: corrections.end_rule("rival", "rule-1", NOW, an_entry(tenant="rival")),
        lambda: corrections.suggestion("rival", "s-1", now=NOW),
        lambda: corrections.save_preview("rival", a_preview()),
        lambda: corrections.save_effect(an_effect(fleet=OTHER)),
    )
    for call in missing:
        with pytest.raises(NotFound) as refused:
            call()
        assert refused.value.near == ()
    assert corrections.feedback("rival", FeedbackFilter(fleet="field", current=False)) == ([], 0)
    assert corrections.rules("rival") == []
    assert corrections.suggestions("rival", now=NOW) == ([], 0)
    assert corrections.preview("rival", "p1") is None
    assert corrections.add_feedback([a_verdict(1, fleet=OTHER)], an_entry(tenant="rival")) == 0
    corrections.add_rule(a_rule(fleet=OTHER), an_entry(tenant="rival"))
    corrections.add_suggestion(a_suggestion(fleet=OTHER), an_entry(tenant="rival"))
    corrections.end_rule("rival", "rule-1", NOW, an_entry(tenant="rival"))
    corrections.save_preview("rival", a_preview(rows=11))
    assert [each.preview for each in corrections.suggestions("acme", now=NOW)[0]] == [a_preview()]
    assert corrections.feedback("acme", FeedbackFilter()) == ([a_verdict(1)], 1)
    assert corrections.rules("acme") == [a_rule()]
    assert (records.verify_audit("acme"), records.verify_audit("rival")) == (3, 4)


def an_effect(suggestion: str = "s-1", fleet: Fleet = FLEET, **fields: object) -> Effect:
    usual: dict[str, object] = {
        "suggestion": suggestion,
        "fleet": fleet,
        "run": "run-1",
        "kind": SuggestionKind.BASELINE_ADJUSTMENT,
        "version_before": 1,
        "version_after": 1,
        "feedback": ("act-1-00001",),
        "approver": "ben",
        "applied": NOW + HOUR,
        "promised": a_preview(suggestion=suggestion),
        "alarms_before": 4,
    }
    return Effect.model_validate(usual | fields)


def test_a_version_keeps_its_adjustments(records: SqlRecords) -> None:
    """The overlay is part of the version, open ends included."""
    moves = (*a_suggestion().adjustments, a_suggestion().adjustments[0].model_copy(update={"group": "C", "since": None}))
    stored = records.add_baseline_version(a_version("d2", adjustments=moves), baseline_rows([]))
    assert stored.adjustments == moves
    assert records.baseline_version(FLEET) == stored


@pytest.mark.parametrize(
    "tampering",
    ["UPDATE audit SET actor = 'eve' WHERE number = 2 AND tenant = 'acme'", "DELETE FROM audit WHERE number = 3"],
)
def test_an_edit_of_what_was_done_shows(records: SqlRecords, corrections: CorrectionRecords, url: str, tampering: str) -> None:
    """What corrections append is part of the tenant's one chain."""
    corrections.add_feedback([a_verdict(1)], an_entry("record"))
    corrections.add_rule(a_rule(), an_entry("rule"))
    corrections.add_suggestion(a_suggestion(), an_entry("suggest"))
    assert [entry.action for entry in records.audit("acme")] == ["suggest", "rule", "record"]
    assert records.verify_audit("acme") == 3
    database = Database(url)
    with database.writing() as connection:
        connection.execute(text(tampering))
    database.close()
    with pytest.raises(ArtifactDamaged, match="row"):
        records.verify_audit("acme")
