"""Deciding and applying: one person's word, one new version, all of it or nothing (P4), on every store."""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from sqlalchemy import text

from server.domain.audit import AuditEntry
from server.domain.baseline import Adjustment, Baseline, BaselineVersion, Level
from server.domain.run import Run, SourceSpec
from server.domain.settings import WalkSettings
from server.domain.suggestion import Decision, Effect, Preview, Suggestion, SuggestionKind, SuggestionStatus
from server.domain.telemetry import Fleet
from server.errors import ApprovalMissing, ApprovalStale, InvalidInput, NotAllowed, NotFound, Unavailable
from server.storage.base import Application, CorrectionRecords
from server.storage.columns import baseline_rows
from server.storage.sql import SqlRecords
from server.storage.sql.database import Database

NOW = datetime(2026, 3, 1, 12, 30, 0, 123456, tzinfo=UTC)
HOUR = timedelta(hours=1)
FLEET = Fleet(tenant="acme", name="field")
OTHER = Fleet(tenant="rival", name="field")
MOVE = Adjustment(level=Level.COHORT, group="B", feature="x_mean", amount=0.1, full=0.3, base_median=1.25, scale=0.1, since=NOW)
STATISTICS = [Baseline(feature="x_mean", level=Level.COHORT, group="B", median=1.25, scale=0.1, n=30)]


def an_entry(action: str, tenant: str = "acme") -> AuditEntry:
    return AuditEntry(tenant=tenant, time=NOW, actor="ben", channel="cli", action=action, subject="s-1")


def a_suggestion(suggestion_id: str = "s-1", **fields: object) -> Suggestion:
    usual: dict[str, object] = {
        "id": suggestion_id,
        "fleet": FLEET,
        "run": "run-1",
        "kind": SuggestionKind.BASELINE_ADJUSTMENT,
        "base_version": 1,
        "adjustments": (MOVE,),
        "reason": "26 verdicts",
        "proposer": "agent",
        "created": NOW,
        "expires": NOW + 24 * HOUR,
    }
    return Suggestion.model_validate(usual | fields)


def a_decision(suggestion: Suggestion, /, **fields: object) -> Decision:
    usual: dict[str, object] = {
        "suggestion": suggestion.id,
        "digest": suggestion.digest,
        "approved": True,
        "by": "ben",
        "channel": "cli",
        "time": NOW,
        "expires": NOW + 2 * HOUR,
        "override": ("tail",),
    }
    return Decision.model_validate(usual | fields)


def a_version(digest: str, *moves: Adjustment, fleet: Fleet = FLEET) -> BaselineVersion:
    return BaselineVersion(fleet=fleet, version=1, run="run-1", digest=digest, artifact="a", created=NOW, adjustments=moves)


def an_application(records: SqlRecords, suggestion: Suggestion, digest: str = "d2") -> Application:
    promised = Preview(
        suggestion=suggestion.id,
        digest="p1",
        run="run-1",
        base_version=1,
        start=NOW,
        end=NOW,
        rows=10,
        rows_rescored=5,
        devices=2,
        alarms_before=4,
        alarms_after=2,
        removed={"unlabelled": 2},
        added={},
    )
    effect = Effect(
        suggestion=suggestion.id,
        fleet=suggestion.fleet,
        run="run-1",
        kind=suggestion.kind,
        version_before=suggestion.base_version,
        version_after=suggestion.base_version,
        feedback=("act-1-00001",),
        approver="ben",
        applied=NOW + HOUR,
        promised=promised,
        alarms_before=4,
    )
    return Application(
        suggestion=suggestion,
        run=records.run("acme", "run-1"),
        version=a_version(digest, MOVE),
        statistics=baseline_rows(STATISTICS),
        effect=effect,
        audit=an_entry("apply"),
    )


@pytest.fixture
def corrections(records: SqlRecords) -> CorrectionRecords:
    """Corrections of a store with run-1, baseline version 1 in force and suggestion s-1 pending."""
    source = SourceSpec(connector="files", location="x.csv")
    records.add_run(Run(id="run-1", fleet=FLEET, settings=WalkSettings(), created=NOW, source=source))
    records.add_baseline_version(a_version("d1"), baseline_rows(STATISTICS))
    records.corrections.add_suggestion(a_suggestion(), an_entry("suggest"))
    return records.corrections


def approve(corrections: CorrectionRecords, suggestion: Suggestion) -> None:
    corrections.decide("acme", a_decision(suggestion), an_entry("decide"))


def nothing_was_applied(records: SqlRecords, *, version: int = 1, rows: int = 2) -> bool:
    in_force = records.baseline_version(FLEET)
    return (
        in_force is not None
        and (in_force.version, in_force.expired) == (version, None)
        and records.baselines(FLEET, version + 1) == []
        and records.run("acme", "run-1").revision == 0
        and records.corrections.effects("acme") == []
        and records.verify_audit("acme") == rows
    )


def at_once(calls: list[Callable[[], object]]) -> list[object]:
    """What each call returned, or the error that it raised, all started together."""
    gate, outcomes = threading.Barrier(len(calls)), list[object]()

    def go(call: Callable[[], object]) -> None:
        gate.wait()
        try:
            outcomes.append(call())
        except NotAllowed as error:
            outcomes.append(error)

    threads = [threading.Thread(target=go, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


@pytest.mark.parametrize(("approved", "status"), [(True, "approved"), (False, "rejected")])
def test_a_decision_is_kept_with_its_suggestion(
    records: SqlRecords, corrections: CorrectionRecords, approved: bool, status: str
) -> None:
    """Who, where, when and why come back; a second decision is refused and changes nothing."""
    decision = a_decision(a_suggestion(), approved=approved)
    standing = corrections.decide("acme", decision, an_entry("decide"))
    assert (standing.status, standing.decision) == (status, decision)
    assert corrections.suggestion("acme", "s-1", now=NOW) == standing
    with pytest.raises(ApprovalStale, match=f"is {status} by ben"):
        corrections.decide("acme", a_decision(a_suggestion(), approved=not approved, by="eve"), an_entry("decide"))
    assert corrections.suggestion("acme", "s-1", now=NOW) == standing
    assert [entry.action for entry in records.audit("acme")] == ["decide", "suggest"]


def test_of_many_deciders_one_wins(records: SqlRecords, corrections: CorrectionRecords) -> None:
    """The check and the write are one statement; the others are told who was first."""
    decisions = [a_decision(a_suggestion(), by=f"person {n}", approved=n % 2 == 0) for n in range(4)]
    outcomes = at_once([lambda one=one: corrections.decide("acme", one, an_entry("decide")) for one in decisions])
    won = [each for each in outcomes if not isinstance(each, ApprovalStale)]
    assert won == [corrections.suggestion("acme", "s-1", now=NOW)]
    assert len(outcomes) == 4
    assert records.verify_audit("acme") == 2


def test_what_is_over_or_other_than_was_looked_at_cannot_be_decided(
    records: SqlRecords, corrections: CorrectionRecords
) -> None:
    """Another digest, another tenant's, expired, stale: refused, with no trace."""
    refused = (
        ("acme", {"digest": "0" * 32}, ApprovalStale, "digest"),
        ("acme", {"time": NOW + 25 * HOUR}, ApprovalStale, "expired on 2026-03-02T12:30"),
        ("acme", {"suggestion": "s1"}, NotFound, "Did you mean s-1"),
        ("rival", {}, NotFound, "no suggestion"),
    )
    for tenant, fields, error, why in refused:
        with pytest.raises(error, match=why):
            corrections.decide(tenant, a_decision(a_suggestion(), **fields), an_entry("decide", tenant))
    records.add_baseline_version(a_version("d2"), baseline_rows([]))
    with pytest.raises(ApprovalStale, match="version 1, which is no longer in force"):
        corrections.decide("acme", a_decision(a_suggestion()), an_entry("decide"))
    assert corrections.suggestion("acme", "s-1", now=NOW).decision is None
    assert (records.verify_audit("acme"), records.verify_audit("rival")) == (1, 0)


def test_applying_stores_version_run_effect_and_audit_together(records: SqlRecords, corrections: CorrectionRecords) -> None:
    """The version's number is the store's; the one before is expired; the suggestion says where it ended."""
    approve(corrections, a_suggestion())
    application = an_application(records, a_suggestion())
    settings = application.run.model_copy(update={"source": SourceSpec(connector="files", location="y.csv")})
    effect = corrections.apply(replace(application, run=settings), now=NOW + HOUR)
    assert effect == application.effect.model_copy(update={"version_after": 2})
    assert corrections.effect("acme", "s-1") == effect
    assert corrections.effects("acme", fleet="field") == [effect]
    assert records.baseline_version(FLEET) == a_version("d2", MOVE).model_copy(update={"version": 2})
    assert records.baselines(FLEET, 2) == STATISTICS
    assert records.run("acme", "run-1") == settings.model_copy(update={"revision": 1})
    standing = corrections.suggestion("acme", "s-1", now=NOW + 99 * HOUR)
    assert (standing.status, standing.applied_version) == (SuggestionStatus.APPLIED, 2)
    assert [entry.action for entry in records.audit("acme")] == ["apply", "decide", "suggest"]
    assert records.verify_audit("acme") == 3


def test_applying_again_changes_nothing_and_gives_the_effect_as_stored(
    records: SqlRecords, corrections: CorrectionRecords
) -> None:
    """P4: a re-sent request is answered as the first one, completions since included, however late and with what digest."""
    approve(corrections, a_suggestion())
    first = corrections.apply(an_application(records, a_suggestion()), now=NOW)
    again = an_application(records, a_suggestion(), "d9")
    assert corrections.apply(again, now=NOW + 99 * HOUR) == first
    corrections.save_effect(completed := first.model_copy(update={"alarms_after": 2, "removed": {"unlabelled": 2}}))
    assert corrections.apply(again, now=NOW) == completed
    assert records.baseline_version(FLEET, 3) is None
    assert records.run("acme", "run-1").revision == 1
    assert records.verify_audit("acme") == 3
    with pytest.raises(ApprovalStale, match="applied by ben"):
        approve(corrections, a_suggestion())


def test_settings_alone_make_no_version(records: SqlRecords, corrections: CorrectionRecords) -> None:
    """Only the run changes, and the effect names the version in force twice."""
    approve(corrections, a_suggestion())
    application = replace(an_application(records, a_suggestion()), version=None, statistics=None)
    effect = corrections.apply(application, now=NOW)
    assert (effect.version_before, effect.version_after) == (1, 1)
    assert records.baseline_version(FLEET, 2) is None
    assert records.run("acme", "run-1").revision == 1
    assert corrections.suggestion("acme", "s-1", now=NOW).applied_version == 1


def test_going_back_to_an_older_digest_is_a_new_version(records: SqlRecords, corrections: CorrectionRecords) -> None:
    """A rollback rolls forward: version 3 has what version 1 had."""
    records.add_baseline_version(a_version("d2", MOVE), baseline_rows(STATISTICS))
    back = a_suggestion("s-2", kind=SuggestionKind.ROLLBACK, base_version=2, rollback_to=1, adjustments=())
    corrections.add_suggestion(back, an_entry("suggest"))
    approve(corrections, back)
    application = replace(an_application(records, back), version=a_version("d1"))
    assert corrections.apply(application, now=NOW).version_after == 3
    in_force = records.baseline_version(FLEET)
    assert in_force is not None
    assert (in_force.version, in_force.digest, in_force.adjustments) == (3, "d1", ())


def test_without_a_standing_approval_nothing_is_applied(records: SqlRecords, corrections: CorrectionRecords) -> None:
    """Pending, expired while pending, rejected: a person has to decide. Refusals consume nothing and store nothing."""
    application = an_application(records, a_suggestion())
    for now in (NOW, NOW + 25 * HOUR):
        with pytest.raises(ApprovalMissing, match="has not been decided"):
            corrections.apply(application, now=now)
    corrections.decide("acme", a_decision(a_suggestion(), approved=False), an_entry("decide"))
    with pytest.raises(ApprovalMissing, match="was rejected"):
        corrections.apply(application, now=NOW)
    assert nothing_was_applied(records)


def test_an_approval_that_is_over_or_of_something_else_is_refused(records: SqlRecords, corrections: CorrectionRecords) -> None:
    """Expired, of another digest, or for baselines no longer in force; within its time it can still be applied after."""
    approve(corrections, a_suggestion())
    application = an_application(records, a_suggestion())
    with pytest.raises(ApprovalStale, match="expired on 2026-03-01T14:30"):
        corrections.apply(application, now=NOW + 2 * HOUR + timedelta(microseconds=1))
    assert corrections.suggestion("acme", "s-1", now=NOW + 3 * HOUR).status is SuggestionStatus.EXPIRED
    with pytest.raises(ApprovalStale, match="digest"):
        corrections.apply(replace(application, suggestion=a_suggestion(reason="another")), now=NOW)
    assert nothing_was_applied(records)
    records.add_baseline_version(a_version("d7"), baseline_rows([]))
    with pytest.raises(ApprovalStale, match="version 1, which is no longer in force"):
        corrections.apply(application, now=NOW)
    assert corrections.suggestion("acme", "s-1", now=NOW).status is SuggestionStatus.STALE
    assert nothing_was_applied(records, version=2)


def test_a_suggestion_edited_after_its_approval_is_refused(
    records: SqlRecords, corrections: CorrectionRecords, url: str
) -> None:
    """The approval is bound to the digest, so an edit in the store itself does not borrow a person's word."""
    approve(corrections, a_suggestion())
    database = Database(url)
    with database.writing() as connection:
        connection.execute(text("UPDATE suggestion SET body = replace(body, '26 verdicts', '99 verdicts')"))
    database.close()
    edited = corrections.suggestion("acme", "s-1", now=NOW).suggestion
    assert edited.reason == "99 verdicts"
    with pytest.raises(ApprovalStale, match="digest"):
        corrections.apply(an_application(records, edited), now=NOW)
    assert nothing_was_applied(records)


def test_an_approval_holds_to_its_last_moment(records: SqlRecords, corrections: CorrectionRecords) -> None:
    """The approval's own end counts, not that of the suggestion, which may be earlier."""
    corrections.add_suggestion(short := a_suggestion("s-2", expires=NOW), an_entry("suggest"))
    approve(corrections, short)
    assert corrections.apply(an_application(records, short), now=NOW + 2 * HOUR).version_after == 2


def _breaks_off() -> Iterator[pa.RecordBatch]:
    yield from baseline_rows(STATISTICS).to_batches()
    raise OSError("the statistics could not be read on")


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda it: replace(it, statistics=_breaks_off()), OSError),
        (lambda it: replace(it, statistics=None), InvalidInput),
        (lambda it: replace(it, run=it.run.model_copy(update={"revision": 5})), Unavailable),
        (lambda it: replace(it, run=it.run.model_copy(update={"id": "run-9"})), NotFound),
        (lambda it: replace(it, run=it.run.model_copy(update={"fleet": OTHER})), InvalidInput),
        (lambda it: replace(it, version=a_version("d2", MOVE, fleet=OTHER)), InvalidInput),
        (lambda it: replace(it, version=a_version("d1", MOVE)), InvalidInput),
        (lambda it: replace(it, effect=it.effect.model_copy(update={"suggestion": "s-9"})), InvalidInput),
        (lambda it: replace(it, effect=it.effect.model_copy(update={"applied": NOW.replace(tzinfo=None)})), InvalidInput),
        (lambda it: replace(it, audit=it.audit.model_copy(update={"time": NOW.replace(tzinfo=None)})), InvalidInput),
        (lambda it: replace(it, audit=an_entry("apply", "rival")), InvalidInput),
    ],
)
def test_a_failure_on_the_way_leaves_nothing_and_the_approval_unused(
    records: SqlRecords, corrections: CorrectionRecords, spoil: Callable[[Application], Application], error: type[Exception]
) -> None:
    """Whatever step fails, first or last, all is as before, and the same approval can then be applied."""
    approve(corrections, a_suggestion())
    application = an_application(records, a_suggestion())
    with pytest.raises(error):
        corrections.apply(spoil(application), now=NOW)
    assert nothing_was_applied(records)
    assert corrections.suggestion("acme", "s-1", now=NOW).status is SuggestionStatus.APPROVED
    assert corrections.apply(application, now=NOW).version_after == 2


def test_of_two_approved_on_one_base_one_is_applied(records: SqlRecords, corrections: CorrectionRecords) -> None:
    """The first new version makes the other approval stale, at whatever moment they meet."""
    corrections.add_suggestion(second := a_suggestion("s-2"), an_entry("suggest"))
    both = (a_suggestion(), second)
    for each in both:
        approve(corrections, each)
    applications = [an_application(records, each, f"d-{each.id}") for each in both]
    outcomes = at_once([lambda one=one: corrections.apply(one, now=NOW) for one in applications])
    assert sorted(type(each).__name__ for each in outcomes) == ["ApprovalStale", "Effect"]
    assert len(corrections.effects("acme")) == 1
    assert records.baseline_version(FLEET, 3) is None


def test_walks_and_corrections_at_once_do_not_wait_for_each_other_forever(
    records: SqlRecords, corrections: CorrectionRecords
) -> None:
    """Locks are taken in one order: new estimates, audit rows, applications and run changes all end."""
    approve(corrections, a_suggestion())
    application = an_application(records, a_suggestion())

    def save() -> None:
        with contextlib.suppress(Unavailable):
            records.save_run(application.run)

    def apply() -> None:
        with contextlib.suppress(Unavailable):
            corrections.apply(application, now=NOW)

    at_once(
        [
            apply,
            save,
            lambda: records.add_baseline_version(a_version("d5"), baseline_rows(STATISTICS)),
            lambda: records.append_audit(an_entry("other")),
            lambda: corrections.add_suggestion(a_suggestion("s-3"), an_entry("suggest")),
            apply,
        ]
    )
    assert records.run("acme", "run-1").revision == 1
    applied = len(corrections.effects("acme"))
    assert records.verify_audit("acme") == 4 + applied


def test_an_entry_is_completed_and_undone_in_any_order(records: SqlRecords, corrections: CorrectionRecords) -> None:
    """What one call noted, another that read the entry before does not forget."""
    approve(corrections, a_suggestion())
    effect = corrections.apply(an_application(records, a_suggestion()), now=NOW)
    counted = {"alarms_after": 2, "removed": {"unlabelled": 2}}
    corrections.save_effect(effect.model_copy(update={"undone_by": "s-2"}))
    corrections.save_effect(effect.model_copy(update=counted))
    whole = effect.model_copy(update={**counted, "undone_by": "s-2"})
    assert corrections.effect("acme", "s-1") == whole
    corrections.save_effect(effect.model_copy(update={"undone_by": "s-2"}))
    assert corrections.effects("acme") == [whole]
    assert corrections.effects("acme", fleet="depot") == []
    assert (corrections.effects("rival"), corrections.effect("rival", "s-1")) == ([], None)
    with pytest.raises(NotFound, match="Did you mean s-1"):
        corrections.save_effect(effect.model_copy(update={"suggestion": "s-11"}))
    with pytest.raises(NotFound, match="s-1"):
        corrections.save_effect(effect.model_copy(update={"fleet": Fleet(tenant="acme", name="depot")}))


APPLIER = """
import sys
from datetime import datetime
from server.domain.audit import AuditEntry
from server.domain.baseline import BaselineVersion
from server.domain.run import Run
from server.domain.suggestion import Effect, Suggestion
from server.storage.base import Application
from server.storage.columns import baseline_rows
from server.storage.sql import SqlRecords
records = SqlRecords(sys.argv[1])
models = (Suggestion, Run, BaselineVersion, Effect, AuditEntry)
suggestion, run, version, effect, audit = (model.model_validate_json(each) for model, each in zip(models, sys.argv[3:]))
application = Application(suggestion, run, version, baseline_rows([]), effect, audit)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(3):
    print(records.corrections.apply(application, now=datetime.fromisoformat(sys.argv[2])).model_dump_json(), flush=True)
"""


def test_four_processes_applying_one_approval_make_one_version(
    records: SqlRecords, corrections: CorrectionRecords, url: str
) -> None:
    """P4: on a barrier, each three times; one new version, one effect, one audit row, and everyone is told the same."""
    approve(corrections, a_suggestion())
    it = an_application(records, a_suggestion())
    assert it.version is not None

    def start(number: int) -> subprocess.Popen[str]:
        effect = it.effect.model_copy(update={"alarms_before": number})
        version = a_version(f"d-{number}", MOVE)
        parts = [each.model_dump_json() for each in (it.suggestion, it.run, version, effect, it.audit)]
        arguments = [sys.executable, "-c", APPLIER, url, NOW.isoformat(), *parts]
        return subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    appliers = [start(number) for number in range(4)]
    for applier in appliers:
        assert applier.stdout is not None
        assert applier.stdout.readline() == "ready\n"
    for applier in appliers:
        assert applier.stdin is not None
        applier.stdin.write("go\n")
        applier.stdin.flush()
    answers = [answer for applier in appliers for answer in applier.communicate()[0].splitlines()]
    assert [applier.returncode for applier in appliers] == [0] * 4
    assert len(answers) == 12
    assert {Effect.model_validate_json(answer).model_dump_json() for answer in answers} == {
        effect.model_dump_json() for effect in corrections.effects("acme")
    }
    assert len(set(answers)) == 1
    assert records.baseline_version(FLEET, 2) == records.baseline_version(FLEET)
    assert records.baseline_version(FLEET, 3) is None
    assert records.run("acme", "run-1").revision == 1
    assert records.verify_audit("acme") == 3
