"""What people say of anomalies: recorded with who and when, revisable with its history, remembered. It changes no score."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial

from server.domain.anomaly import Anomaly, AnomalyFilter
from server.domain.audit import AuditEntry
from server.domain.feedback import MOST_VERDICTS, ExpectedRule, Feedback, FeedbackFilter, Verdict
from server.domain.identity import Principal, Scope
from server.domain.memory import Recalled, RecallQuery
from server.domain.run import Run
from server.domain.telemetry import Fleet, Frozen
from server.errors import InvalidInput, NotFound
from server.services.acts import Act, act_id, require_storable
from server.services.expectations import Expectation, expected_rule
from server.services.fleets import fleet_named, shown_run
from server.services.missed import Trouble
from server.services.reading.words import at, counted
from server.services.recollection import Recollection
from server.services.remembering import conflicts, of_act
from server.storage.base import CorrectionRecords, Records, TelemetryStore


class FeedbackReceipt(Frozen):
    """What one act of feedback did."""

    act: str
    verdict: Verdict
    anomalies: int
    devices: int
    superseded: int
    rule: ExpectedRule | None = None
    summary: str
    next_tool: str | None = None


class MissedReceipt(Frozen):
    """A report of trouble that was not flagged, tied to the rows of its window."""

    act: str
    rows: int
    devices: int
    flagged: int
    summary: str


class RecallAnswer(Frozen):
    """Earlier decisions on like cases, best first, and what they amount to."""

    recalled: tuple[Recalled, ...]
    summary: str


class FeedbackPage(Frozen):
    """Verdicts, newest first."""

    feedback: tuple[Feedback, ...]
    total: int
    truncated: bool


class Verdicts:
    """Records and recalls what people said. Every change appends its own audit entry in the same transaction."""

    def __init__(
        self,
        records: Records,
        corrections: CorrectionRecords,
        telemetry: Callable[[], TelemetryStore],
        recollection: Recollection,
        clock: Callable[[], datetime],
    ) -> None:
        self._records, self._corrections, self._clock = records, corrections, clock
        self._telemetry, self._recollection = telemetry, recollection

    def record(  # noqa: PLR0913 - the ways to say which anomalies are meant, and what of them
        self,
        who: Principal,
        verdict: Verdict,
        *,
        anomaly: str | None = None,
        incident: str | None = None,
        wanted: AnomalyFilter | None = None,
        note: str = "",
        until: datetime | None = None,
        scope: Mapping[str, str] | None = None,
        metrics: Sequence[str] = (),
        request_id: str = "",
    ) -> FeedbackReceipt:
        """Store a verdict on one anomaly, on all of an incident, or on all that a filter finds.

        `expected` also makes a rule for `scope` (the incident's or the device, unless given) that ends at `until`. The same
        `request_id` of the same author again stores nothing.

        Raises:
            InvalidInput: not exactly one of the three is named, a rule has no end or covers nothing of what was judged, or
                the request id was used for another act.
            NotFound: there is no such anomaly or incident, or the filter finds none.
        """
        who.require(Scope.FEEDBACK)
        now = self._clock()
        if verdict is Verdict.MISSED:
            raise InvalidInput("a missed anomaly has no id. Call report_missed with device or store, and the time.")
        require_storable(note, request_id)
        found, title = self._judged(who, anomaly, incident, wanted)
        act = act_id(who, request_id)
        if request_id:
            self._require_same_act(who, act, verdict, found)
        rule = None
        if verdict is Verdict.EXPECTED:
            of_incident = self._records.incident(who.tenant, incident).scope if incident else None
            stated = Expectation(until, scope, metrics, note)
            columns = partial(self._cohort_columns, found[0].fleet)
            rule = expected_rule(stated, found, of_incident, columns, act=act, who=who, now=now)
        elif until is not None:
            raise InvalidInput(f"only `expected` ends at a time, not `{verdict.value}`. Leave the end out.")
        said = Act(act, verdict, who, now, note, rule.id if rule else "")
        rows = [said.on(each) for each in found]
        if rule is not None:
            self._corrections.add_rule(rule, self._audit(who, "add_rule", rule.id, rule.model_dump(mode="json")))
        subject = anomaly or incident or act
        superseded = self._corrections.add_feedback(
            rows, self._audit(who, "record_feedback", subject, {"verdict": verdict.value, "note": note, "rows": len(rows)})
        )
        self._recollection.act(rows, title)
        return _receipt(said, rows, rule, superseded)

    def report_missed(  # noqa: PLR0913 - as above
        self,
        who: Principal,
        *,
        fleet: str | None = None,
        device: str | None = None,
        store: str | None = None,
        start: datetime,
        end: datetime,
        note: str = "",
        metrics: Sequence[str] = (),
    ) -> MissedReceipt:
        """Store that there was trouble which was not flagged, on the telemetry rows of a device or store in [start, end].

        Rows that are flagged already are left alone. Without telemetry there, nothing is stored, and it says so.

        Raises:
            InvalidInput: neither or both of device and store, or a window that ends before it starts.
            NotFound: no such device or store, with near matches.
        """
        who.require(Scope.FEEDBACK)
        require_storable(note)
        trouble = Trouble(device, store, start, end)
        trouble.require_sound()
        chosen = fleet_named(self._records, who.tenant, fleet)
        run = shown_run(self._records, chosen)
        rows = trouble.rows(self._telemetry(), chosen)
        if not rows:
            told = f"No telemetry of {trouble.whom} in {trouble.window}: nothing to tie a report to."
            return MissedReceipt(act="", rows=0, devices=0, flagged=0, summary=told)
        known = self._flagged(who, run, {name for name, _ in rows}, (start, end))
        act = Act(act_id(who), Verdict.MISSED, who, self._clock(), note)
        unflagged = [(name, time) for name, time in rows if (name, time) not in known][:MOST_VERDICTS]
        missed = [act.on_row(run, name, time, metrics) for name, time in unflagged]
        if missed:
            audit = self._audit(who, "report_missed", trouble.whom, {"note": note, "rows": len(missed)})
            self._corrections.add_feedback(missed, audit)
            self._recollection.act(missed, f"missed: {trouble.whom}, {trouble.window}")
        devices = len({name for name, _ in rows})
        already = f"; {len(known):,} rows were flagged already" if known else ""
        return MissedReceipt(
            act=act.id if missed else "",
            rows=len(missed),
            devices=devices,
            flagged=len(known),
            summary=f"{len(missed):,} rows of {devices:,} devices in {trouble.window} noted as missed{already}.",
        )

    def recall(
        self,
        who: Principal,
        *,
        anomaly: str | None = None,
        incident: str | None = None,
        words: str = "",
        fleet: str | None = None,
        limit: int = 5,
    ) -> RecallAnswer:
        """Earlier decisions most like an anomaly, an incident or some words. Raises `InvalidInput` if none of them is given."""
        who.require(Scope.READ)
        if not (anomaly or incident or words.strip()):
            raise InvalidInput("say what to recall: an anomaly, an incident, or words.")
        query = RecallQuery(tenant=who.tenant, fleet=fleet, words=words)
        if anomaly or incident:
            found, title = self._judged(who, anomaly, incident, None)
            any_act = Act("a", Verdict.TRUE, who, self._clock())
            sample = of_act([any_act.on(each) for each in found], {}, title)
            cohort = sample.cohort[0] if sample.cohort else ""
            query = query.model_copy(update={"signature": sample.signature, "words": f"{words} {title} {cohort}".strip()})
        recalled = tuple(self._recollection.recall(query, limit=limit))
        return RecallAnswer(
            recalled=recalled, summary=conflicts(recalled) if recalled else "No earlier decision on a like case."
        )

    def given(self, who: Principal, wanted: FeedbackFilter, *, limit: int = 50, offset: int = 0) -> FeedbackPage:
        """Verdicts that pass the filter, newest first."""
        who.require(Scope.READ)
        found, total = self._corrections.feedback(who.tenant, wanted, limit=limit, offset=offset)
        return FeedbackPage(feedback=tuple(found), total=total, truncated=offset + len(found) < total)

    def rules(self, who: Principal, *, fleet: str | None = None) -> Sequence[ExpectedRule]:
        """Expected rules, newest first, ended ones too."""
        who.require(Scope.READ)
        return self._corrections.rules(who.tenant, fleet=fleet)

    def end_rule(self, who: Principal, rule_id: str) -> ExpectedRule:
        """End a rule now. Raises `NotFound` with near matches."""
        who.require(Scope.FEEDBACK)
        return self._corrections.end_rule(who.tenant, rule_id, self._clock(), self._audit(who, "end_rule", rule_id, {}))

    def _judged(
        self, who: Principal, anomaly: str | None, incident: str | None, wanted: AnomalyFilter | None
    ) -> tuple[Sequence[Anomaly], str]:
        """The anomalies that are meant, and what to call them."""
        if sum(each is not None for each in (anomaly, incident, wanted)) != 1:
            raise InvalidInput("name exactly one of: an anomaly, an incident, or a filter such as a device and a time.")
        if anomaly is not None:
            one = self._records.anomaly(who.tenant, anomaly)
            return [one], f"{one.device}: {one.top_metric}"
        title = "a filtered batch"
        if incident is not None:
            about = self._records.incident(who.tenant, incident)
            wanted, title = AnomalyFilter(run=about.run, incident=incident), about.title
        found, total = self._records.anomalies(who.tenant, wanted or AnomalyFilter(), limit=MOST_VERDICTS)
        if total > MOST_VERDICTS:
            raise InvalidInput(f"{total:,} anomalies are meant; at most {MOST_VERDICTS:,} at once. Narrow the filter.")
        if not found:
            raise NotFound("anomaly", incident or "of that filter", listed_by="list_anomalies")
        if len({each.fleet.name for each in found}) > 1:
            raise InvalidInput("the filter finds anomalies of several fleets. Say which one with `fleet`.")
        return found, title

    def _require_same_act(self, who: Principal, act: str, verdict: Verdict, found: Sequence[Anomaly]) -> None:
        """Return if nothing is stored of the act, or the same: memory and receipt would tell of what SQL does not have."""
        stored, _ = self._corrections.feedback(who.tenant, FeedbackFilter(act=act, current=False), limit=MOST_VERDICTS)
        meant = {(each.device, each.time, verdict) for each in found}
        if stored and {(each.device, each.time, each.verdict) for each in stored} != meant:
            raise InvalidInput("this request id was used for another act of feedback. Give each act an id of its own.")

    def _cohort_columns(self, fleet: Fleet) -> Sequence[str]:
        return self._telemetry().snapshot(fleet).cohort_columns

    def _flagged(
        self, who: Principal, run: Run, devices: set[str], window: tuple[datetime, datetime]
    ) -> set[tuple[str, datetime]]:
        wanted = AnomalyFilter(
            run=run.id, start=window[0], end=window[1], device=next(iter(devices)) if len(devices) == 1 else None
        )
        found, _ = self._records.anomalies(who.tenant, wanted, limit=MOST_VERDICTS)
        return {(each.device, each.time) for each in found if each.device in devices}

    def _audit(self, who: Principal, action: str, subject: str, arguments: Mapping[str, object]) -> AuditEntry:
        return AuditEntry.of(who, action, subject, arguments, self._clock())


def _receipt(act: Act, rows: Sequence[Feedback], rule: ExpectedRule | None, superseded: int) -> FeedbackReceipt:
    devices = len({each.device for each in rows})
    muted = f"; rule {rule.id} mutes the like until {at(rule.until)} unless worse" if rule else ""
    whom = f"{counted(len(rows), 'anomaly')} of {counted(devices, 'device')}"
    return FeedbackReceipt(
        act=act.id,
        verdict=act.verdict,
        anomalies=len(rows),
        devices=devices,
        superseded=superseded,
        rule=rule,
        summary=f"{whom} marked {act.verdict.value}{muted}. No baseline has changed.",
        next_tool="suggest_baseline_adjustments" if act.verdict is Verdict.FALSE_ALARM else None,
    )
