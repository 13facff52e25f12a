"""What people say of anomalies: verdicts, misses, expected rules, and what was decided before."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from server.api.door import AtDesk, Judge, Parts, Reader
from server.api.fields import (
    Asked,
    FleetName,
    Identified,
    Limit,
    Moment,
    Named,
    OfDevice,
    OfFleet,
    Offset,
    OfIncident,
    OfMetric,
)
from server.domain.anomaly import AnomalyFilter
from server.domain.feedback import NOTE_LENGTH, ExpectedRule, FeedbackFilter, Verdict
from server.domain.telemetry import Frozen
from server.errors import InvalidInput
from server.services.verdicts import FeedbackPage, FeedbackReceipt, MissedReceipt, RecallAnswer

router = APIRouter(tags=["feedback"])
Note = Annotated[str, Field(max_length=NOTE_LENGTH, pattern=r"^[^\x00]*$")]


class AskedVerdict(Asked):
    """A verdict on one anomaly, on all of an incident, or on all that device, metric and times select."""

    verdict: Literal["false_alarm", "true", "expected"]
    anomaly: Identified | None = None
    incident: Identified | None = None
    device: Named | None = None
    metric: Named | None = None
    since: Moment | None = None
    until: Moment | None = None
    fleet: FleetName | None = None
    note: Note = ""
    expires: Moment | None = Field(default=None, description="for `expected`: when the rule ends")
    scope: dict[Named, Named] | None = Field(default=None, max_length=8, description="for `expected`: whom the rule covers")
    request_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{0,100}$")] = ""

    def selection(self) -> AnomalyFilter | None:
        """The filter, if one is given. Raises `InvalidInput` for one that only a fleet bounds: that would judge everything."""
        if self.device or self.metric or self.since or self.until:
            return AnomalyFilter(fleet=self.fleet, device=self.device, metric=self.metric, start=self.since, end=self.until)
        if self.fleet and not (self.anomaly or self.incident):
            raise InvalidInput("name an `anomaly` or an `incident`, or select by `device`, `metric`, `since` and `until`.")
        return None


class AskedMiss(Asked):
    """Trouble that was not flagged, on a device or in a store."""

    device: Named | None = None
    store: Named | None = None
    since: Moment
    until: Moment
    metric: Named | None = None
    fleet: FleetName | None = None
    note: Note = ""


class RuleList(Frozen):
    """Expected rules, newest first."""

    rules: tuple[ExpectedRule, ...]
    total: int
    offset: int
    truncated: bool


@router.post("/feedback", status_code=201)
def record_feedback(asked: AskedVerdict, app: Parts, desk: AtDesk, who: Judge) -> FeedbackReceipt:
    """Record a person's verdict. It changes no score and no baseline; a later verdict on the same rows replaces it."""
    receipt = app.verdicts.record(
        who,
        Verdict(asked.verdict),
        anomaly=asked.anomaly,
        incident=asked.incident,
        wanted=asked.selection(),
        note=asked.note,
        until=asked.expires,
        scope=asked.scope,
        request_id=asked.request_id,
    )
    kinds = (("anomalies", asked.anomaly), ("incidents", asked.incident))
    desk.changed(*(f"anomalyst://{kind}/{name}" for kind, name in kinds if name))
    return receipt


@router.get("/feedback")
def list_feedback(  # noqa: PLR0913 - each is a parameter of the query
    app: Parts,
    who: Reader,
    *,
    fleet: OfFleet = None,
    verdict: Annotated[Verdict | None, Query(description="Only such verdicts.")] = None,
    device: OfDevice = None,
    metric: OfMetric = None,
    anomaly: Annotated[Identified | None, Query(description="Only on that anomaly.")] = None,
    history: Annotated[bool, Query(description="Also verdicts that a later one replaced.")] = False,
    limit: Limit = 50,
    offset: Offset = 0,
) -> FeedbackPage:
    """Verdicts, newest first."""
    wanted = FeedbackFilter(fleet=fleet, verdict=verdict, device=device, metric=metric, anomaly=anomaly, current=not history)
    return app.verdicts.given(who, wanted, limit=limit, offset=offset)


@router.post("/feedback/missed", status_code=201)
def report_missed(asked: AskedMiss, app: Parts, who: Judge) -> MissedReceipt:
    """Record that there was trouble which was not flagged."""
    return app.verdicts.report_missed(
        who,
        fleet=asked.fleet,
        device=asked.device,
        store=asked.store,
        start=asked.since,
        end=asked.until,
        note=asked.note,
        metrics=(asked.metric,) if asked.metric else (),
    )


@router.get("/feedback/recall")
def recall_feedback(
    app: Parts,
    who: Reader,
    *,
    anomaly: Annotated[Identified | None, Query(description="Cases like that anomaly.")] = None,
    incident: OfIncident = None,
    words: Annotated[str, Query(max_length=500, pattern=r"^[^\x00]*$", description="Cases like these words.")] = "",
    fleet: OfFleet = None,
    limit: Annotated[int, Query(ge=1, le=20, description="Most decisions to answer with.")] = 5,
) -> RecallAnswer:
    """What people decided on like cases, the most alike first."""
    return app.verdicts.recall(who, anomaly=anomaly, incident=incident, words=words, fleet=fleet, limit=limit)


@router.get("/rules")
def list_rules(app: Parts, who: Reader, fleet: OfFleet = None, limit: Limit = 50, offset: Offset = 0) -> RuleList:
    """Expected rules, newest first, ended ones too."""
    known = app.verdicts.rules(who, fleet=fleet)
    shown = tuple(known[offset : offset + limit])
    return RuleList(rules=shown, total=len(known), offset=offset, truncated=offset + len(shown) < len(known))


@router.post("/rules/{rule}/end")
def end_rule(rule: Identified, app: Parts, who: Judge) -> ExpectedRule:
    """End a rule now. What it muted stays muted; what comes from now on is shown."""
    return app.verdicts.end_rule(who, rule)
