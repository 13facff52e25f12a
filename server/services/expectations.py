"""Expected rules as people state them: whom and what they cover, and until when."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from server.domain.anomaly import Anomaly
from server.domain.feedback import ExpectedRule
from server.domain.identity import Principal
from server.errors import InvalidInput
from server.services.reading.muting import Muting

_PLACES = ("store", "customer")
"""What incidents call a site, which rules name alike for both."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a person said is expected, besides which anomalies they said it of; no scope: the device's, or the incident's."""

    until: datetime | None
    scope: Mapping[str, str] | None
    metrics: Sequence[str]
    note: str


def expected_rule(
    stated: Expectation,
    judged: Sequence[Anomaly],
    of_incident: Mapping[str, str] | None,
    columns: Callable[[], Sequence[str]],
    *,
    act: str,
    who: Principal,
    now: datetime,
) -> ExpectedRule:
    """The rule that mutes the like of what was judged; its id follows from the act, so that a repeated act makes one rule.

    `of_incident` is the scope of the incident that was judged, if one was; `columns` names the cohort columns.

    Raises:
        InvalidInput: it has no end, ends before it begins, says of whom it is not, or covers nothing of what was judged.
    """
    first = min(each.time for each in judged)
    rule = ExpectedRule(
        id=f"r-{act.removeprefix('act-')[:8]}",
        fleet=judged[0].fleet,
        scope=_scope(stated.scope, of_incident, judged),
        metrics=tuple(stated.metrics) or tuple(sorted({each.top_metric for each in judged})),
        start=first,
        until=_end(stated.until, first),
        ceiling=max(each.severity for each in judged),
        note=stated.note,
        author=who.name,
        created=now,
    )
    muting = Muting([rule], columns)
    if not any(muting.anomaly(each) for each in judged):
        scope = ", ".join(f"{name} {value}" for name, value in rule.scope.items())
        raise InvalidInput(
            f"a rule for {scope} and {', '.join(rule.metrics)} covers nothing of what was judged. Name a cohort column, `site` "
            f"or `device` with a value that it has there, and metrics at fault there."
        )
    return rule


def _scope(
    stated: Mapping[str, str] | None, of_incident: Mapping[str, str] | None, judged: Sequence[Anomaly]
) -> dict[str, str]:
    if stated is not None and not stated and of_incident != {}:
        raise InvalidInput("an empty scope would mute the whole fleet. Name a cohort column, `site` or `device`.")
    chosen = stated if stated is not None else of_incident
    if chosen is not None:
        return {"site" if name in _PLACES else name: value for name, value in chosen.items()}
    devices = {each.device for each in judged}
    if len(devices) > 1:
        raise InvalidInput(
            f"{len(devices)} devices are meant. Say the scope, such as site, cohort column or device, or name an incident."
        )
    return {"device": devices.pop()}


def _end(until: datetime | None, first: datetime) -> datetime:
    if until is None:
        raise InvalidInput("say until when it is expected, such as 2026-03-06T18:00+00:00: a rule has to end.")
    if until.utcoffset() is None:
        raise InvalidInput(f"{until.isoformat()} has no time zone. Give it one, such as +00:00 for UTC.")
    if until <= first:
        raise InvalidInput(f"it is expected until {until.isoformat()}, before the first anomaly at {first.isoformat()}.")
    return until
