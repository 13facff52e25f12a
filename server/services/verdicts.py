"""What people say of anomalies: recorded with who and when, revisable with its history, remembered. It changes no score."""

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

from server.domain.anomaly import Anomaly, AnomalyFilter
from server.domain.audit import AuditEntry
from server.domain.feedback import MOST_VERDICTS, NOTE_LENGTH, ExpectedRule, Feedback, FeedbackFilter, Verdict
from server.domain.identity import Principal, Scope
from server.domain.memory import Recalled, RecallQuery
from server.domain.run import Run
from server.domain.telemetry import Fleet, Frozen
from server.errors import InvalidInput, NotFound
from server.services.expectations import Expectation, expected_rule
from server.services.fleets import fleet_named, shown_run
from server.services.recollection import Recollection
from server.services.remembering import conflicts, of_act
from server.storage.base import CorrectionRecords, Records, TelemetryStore

_SIGNATURE_METRICS = 5


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
        _check_text(note, request_id)
        found, title = self._judged(who, anomaly, incident, wanted)
        act = _act_id(who, request_id)
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
        rows = [_feedback(each, act, verdict, who, now, note, rule.id if rule else "") for each in found]
        if rule is not None:
            self._corrections.add_rule(rule, self._audit(who, "add_rule", rule.id, rule.model_dump(mode="json")))
        subject = anomaly or incident or act
        superseded = self._corrections.add_feedback(
            rows, self._audit(who, "record_feedback", subject, {"verdict": verdict.value, "note": note, "rows": len(rows)})
        )
        self._recollection.act(rows, title)
        devices = len({each.device for each in found})
        said = (
            f"{_counted(len(found), 'anomaly', 'anomalies')} of {_counted(devices, 'device', 'devices')} marked {verdict.value}"
        )
        muted = f"; rule {rule.id} mutes the like until {_utc(rule.until)} unless worse" if rule else ""
        return FeedbackReceipt(
            act=act,
            verdict=verdict,
            anomalies=len(found),
            devices=devices,
            superseded=superseded,
            rule=rule,
            summary=f"{said}{muted}. No baseline has changed.",
            next_tool="suggest_baseline_adjustments" if verdict is Verdict.FALSE_ALARM else None,
        )

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
        _check_text(note)
        if (device is None) == (store is None):
            raise InvalidInput("say either which device or which store was in trouble.")
        if start.utcoffset() is None or end.utcoffset() is None:
            raise InvalidInput("the window's start or end has no time zone. Give both one, such as +00:00 for UTC.")
        if end < start:
            raise InvalidInput(f"the window ends at {end.isoformat()}, before it starts at {start.isoformat()}.")
        chosen = fleet_named(self._records, who.tenant, fleet)
        run = shown_run(self._records, chosen)
        rows = self._rows(chosen, device, store, start, end)
        window = f"{_utc(start)} to {_utc(end)}"
        whom = device or f"store {store}"
        if not rows:
            return MissedReceipt(
                act="", rows=0, devices=0, flagged=0, summary=f"No telemetry of {whom} in {window}: nothing to tie a report to."
            )
        known = self._flagged(who, run, {name for name, _ in rows}, (start, end))
        now, act = self._clock(), _act_id(who, "")
        missed = [
            Feedback(
                id=_feedback_id(act, name, time),
                act=act,
                fleet=chosen,
                run=run.id,
                verdict=Verdict.MISSED,
                device=name,
                time=time,
                metrics=tuple(metrics),
                note=note,
                author=who.name,
                channel=who.channel,
                created=now,
            )
            for name, time in rows
            if (name, time) not in known
        ][:MOST_VERDICTS]
        if missed:
            self._corrections.add_feedback(missed, self._audit(who, "report_missed", whom, {"note": note, "rows": len(missed)}))
            self._recollection.act(missed, f"missed: {whom}, {window}")
        devices = len({name for name, _ in rows})
        already = f"; {len(known):,} rows were flagged already" if known else ""
        return MissedReceipt(
            act=act if missed else "",
            rows=len(missed),
            devices=devices,
            flagged=len(known),
            summary=f"{len(missed):,} rows of {devices:,} devices in {window} noted as missed{already}.",
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
            sample = of_act([_feedback(each, "a", Verdict.TRUE, who, self._clock(), "", "") for each in found], {}, title)
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

    def _rows(
        self, fleet: Fleet, device: str | None, store: str | None, start: datetime, end: datetime
    ) -> list[tuple[str, datetime]]:
        """Devices and times of the telemetry rows meant. Raises `NotFound` for a device or store that there is none of."""
        telemetry = self._telemetry()
        whole = telemetry.snapshot(fleet)
        members = telemetry.members(whole)
        known = members.devices if device is not None else members.stores
        name = device if device is not None else store or ""
        if name not in known:
            raise NotFound("device" if device is not None else "store", name, known, listed_by="rank_groups")
        try:
            window = telemetry.snapshot(fleet, start=start, end=end)
        except NotFound:
            return []
        inside = telemetry.members(window)
        if device is not None and device not in inside.devices:
            return []
        codes = [inside.devices.index(device)] if device is not None else None
        place = inside.stores.index(name) if device is None and name in inside.stores else -2
        rows: list[tuple[str, datetime]] = []
        for block in telemetry.blocks(window, rows=100_000, devices=codes):
            stores = block.column("store").to_pylist()
            for code, at, where in zip(
                block.column("device").to_pylist(), block.column("time").to_pylist(), stores, strict=True
            ):
                if device is not None or where == place:
                    rows.append((inside.devices[code], _moment(at)))
        return rows

    def _flagged(
        self, who: Principal, run: Run, devices: set[str], window: tuple[datetime, datetime]
    ) -> set[tuple[str, datetime]]:
        wanted = AnomalyFilter(
            run=run.id, start=window[0], end=window[1], device=next(iter(devices)) if len(devices) == 1 else None
        )
        found, _ = self._records.anomalies(who.tenant, wanted, limit=MOST_VERDICTS)
        return {(each.device, each.time) for each in found if each.device in devices}

    def _audit(self, who: Principal, action: str, subject: str, arguments: Mapping[str, object]) -> AuditEntry:
        return audit_entry(who, action, subject, arguments, self._clock())


def audit_entry(who: Principal, action: str, subject: str, arguments: Mapping[str, object], time: datetime) -> AuditEntry:
    """An act of a principal for the audit trail, its arguments as a digest."""
    told = json.dumps(arguments, sort_keys=True, default=str)
    return AuditEntry(
        tenant=who.tenant,
        time=time,
        actor=who.name,
        channel=who.channel,
        action=action,
        subject=subject,
        arguments=hashlib.sha256(told.encode()).hexdigest(),
    )


def _feedback(anomaly: Anomaly, act: str, verdict: Verdict, who: Principal, now: datetime, note: str, rule: str) -> Feedback:
    strongest = anomaly.contributions[:_SIGNATURE_METRICS]
    return Feedback(
        id=_feedback_id(act, anomaly.device, anomaly.time),
        act=act,
        fleet=anomaly.fleet,
        run=anomaly.run,
        verdict=verdict,
        anomaly=anomaly.id,
        device=anomaly.device,
        time=anomaly.time,
        cohort=anomaly.cohort,
        site=anomaly.site,
        incident=anomaly.incident,
        metrics=tuple(dict.fromkeys(each.metric for each in strongest)),
        signature={each.feature: each.z for each in strongest},
        rule=rule,
        note=note,
        author=who.name,
        channel=who.channel,
        created=now,
    )


def _act_id(who: Principal, request_id: str) -> str:
    """The same for a request that is sent again, so that it stores nothing twice; otherwise new."""
    if not request_id:
        return f"act-{secrets.token_hex(6)}"
    return f"act-{hashlib.sha256(f'{who.tenant}|{who.name}|{request_id}'.encode()).hexdigest()[:12]}"


def _feedback_id(act: str, device: str, time: datetime) -> str:
    return f"f-{hashlib.sha256(f'{act}|{device}|{time.isoformat()}'.encode()).hexdigest()[:16]}"


def _counted(number: int, one: str, several: str) -> str:
    return f"{number:,} {one if number == 1 else several}"


def _utc(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _check_text(note: str, request_id: str = "") -> None:
    try:
        (note + request_id).encode()
    except UnicodeEncodeError as error:
        raise InvalidInput("the note or the request id holds half a character (a lone surrogate). Send it anew.") from error
    if len(note) > NOTE_LENGTH:
        raise InvalidInput(f"the note has {len(note):,} characters; {NOTE_LENGTH:,} are kept. Shorten it.")


def _moment(time: int) -> datetime:
    from server.pipeline.displacement import moment  # noqa: PLC0415 - Arrow, which most verdicts need not wait for

    return moment(time)
