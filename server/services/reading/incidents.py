"""Incidents: which there are, and one of them whole. Read from SQL only."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from server.domain.anomaly import AnomalyFilter, Incident, IncidentKind, SeverityBand
from server.domain.answers.answer import Contrast, Rate, Span
from server.domain.answers.incidents import DevicePage, IncidentCard, IncidentDetail, IncidentPage, MetricCount
from server.domain.feedback import Feedback, FeedbackFilter
from server.domain.identity import Principal
from server.domain.run import Run
from server.domain.telemetry import Fleet
from server.services.reading.muting import Muting
from server.services.reading.sources import Sources, page_bounds, window
from server.services.reading.words import counted

_MOST_INCIDENTS = 1000
_MOST_VERDICTS = 20_000
_DEVICES = 50
_EXAMPLES = 5
_NOTES = 5


@dataclass(frozen=True, slots=True)
class IncidentFilter:
    """Which incidents are meant; what is unset does not restrict."""

    kind: IncidentKind | None = None
    device: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    include_muted: bool = False

    def takes(self, incident: Incident) -> bool:
        """Whether the incident is meant, muted or not."""
        first, last = window(self.since, self.until)
        return (
            (self.kind is None or incident.kind is self.kind)
            and (self.device is None or self.device in incident.devices)
            and (first is None or incident.end >= first)
            and (last is None or incident.start <= last)
        )


def list_incidents(sources: Sources, run: Run, wanted: IncidentFilter, *, limit: int, offset: int) -> IncidentPage:
    """Incidents of the run, by severity times devices."""
    page_bounds(limit, offset)
    first, last = window(wanted.since, wanted.until)
    if wanted.device is not None:
        sources.device(run.fleet, wanted.device)
    every, _ = sources.records.incidents(run.fleet.tenant, run_id=run.id, limit=_MOST_INCIDENTS)
    muting = muting_of(sources, run)
    taken = [(each, muting.incident(sources.records, each)) for each in every if wanted.takes(each)]
    kept = [(each, rule) for each, rule in taken if rule is None or wanted.include_muted]
    left_out = len(taken) - len(kept)
    page = kept[offset : offset + limit]
    worst = f", the heaviest: {page[0][0].title}" if page else ""
    muted = f"; {counted(left_out, 'muted incident')} left out" if left_out else ""
    return IncidentPage(
        summary=f"{counted(len(kept), 'incident')} in fleet {run.fleet.name}{worst}{muted}.",
        fleet=run.fleet.name,
        run=run.id,
        window=Span(first=first, last=last),
        telemetry_until=sources.until(run.fleet),
        total=len(kept),
        offset=offset,
        truncated=offset + len(page) < len(kept),
        incidents=tuple(card(each, rule.id if rule else "") for each, rule in page),
        muted_left_out=left_out,
    )


def get_incident(sources: Sources, who: Principal, incident_id: str) -> IncidentDetail:
    """One incident. Raises `NotFound` with near matches."""
    incident = sources.records.incident(who.tenant, incident_id)
    run = sources.records.run(who.tenant, incident.run)
    rule = muting_of(sources, run).incident(sources.records, incident)
    judged = feedback_on(sources, incident)
    verdicts = Counter(each.verdict for each in judged)
    acts = {each.act: each for each in reversed(judged)}
    flagged = {each.anomaly for each in judged if each.anomaly}
    return IncidentDetail(
        summary=_summary(incident, verdicts.total()),
        fleet=incident.fleet.name,
        run=incident.run,
        window=Span(first=incident.start, last=incident.end),
        telemetry_until=sources.until(incident.fleet),
        incident=card(incident, rule.id if rule else ""),
        devices=DevicePage(
            names=incident.devices[:_DEVICES], total=len(incident.devices), truncated=len(incident.devices) > _DEVICES
        ),
        metrics=_by_metric(sources, incident),
        verdicts=dict(verdicts),
        unjudged=incident.anomalies - len(flagged),
        notes=tuple(sorted(acts.values(), key=lambda each: each.created, reverse=True)[:_NOTES]),
        contrast=_contrast(incident, len(sources.records.devices(incident.fleet))),
        muted_by=rule,
    )


def card(incident: Incident, muted_by: str = "") -> IncidentCard:
    """An incident as lists show it."""
    same = {name: getattr(incident, name) for name in IncidentCard.model_fields if name in Incident.model_fields}
    return IncidentCard.model_validate(
        same
        | {
            "band": SeverityBand.of(incident.severity),
            "devices": len(incident.devices),
            "device_examples": incident.devices[:_EXAMPLES],
            "muted_by": muted_by,
        }
    )


def muting_of(sources: Sources, run: Run) -> Muting:
    """What the fleet's rules cover in a run."""
    return Muting(sources.rules(run.fleet), lambda: sources.stages.snapshot(run).cohort_columns)


def feedback_on(sources: Sources, incident: Incident) -> list[Feedback]:
    """The current verdicts on its rows, newest first."""
    return [each for each in feedback_of(sources, incident.fleet) if each.incident == incident.id]


def feedback_of(sources: Sources, fleet: Fleet) -> Sequence[Feedback]:
    """The current verdicts in the fleet, newest first, up to 20,000."""
    found, _ = sources.corrections.feedback(fleet.tenant, FeedbackFilter(fleet=fleet.name), limit=_MOST_VERDICTS)
    return found


def _by_metric(sources: Sources, incident: Incident) -> tuple[MetricCount, ...]:
    """Counted in SQL, the incident's own metrics first, until all of its anomalies are accounted for."""
    known = [metric.name for metric in sources.records.metrics(incident.fleet)]
    left, found = incident.anomalies, list[MetricCount]()
    for metric in dict.fromkeys([*incident.metrics, *known]):
        if left <= 0:
            break
        wanted = AnomalyFilter(fleet=incident.fleet.name, run=incident.run, incident=incident.id, metric=metric)
        _, count = sources.records.anomalies(incident.fleet.tenant, wanted, limit=1)
        left -= count
        found += [MetricCount(metric=metric, anomalies=count)] if count else []
    return tuple(sorted(found, key=lambda each: -each.anomalies))


def _contrast(incident: Incident, devices: int) -> Contrast | None:
    if not incident.scope:
        return None
    elsewhere = max(devices - incident.devices_in_scope, 0)
    return Contrast(
        group=", ".join(f"{name} {value}" for name, value in incident.scope.items()),
        inside=Rate(count=len(incident.devices), of=incident.devices_in_scope, what="devices"),
        outside=Rate(count=round(incident.elsewhere_share * elsewhere), of=elsewhere, what="devices"),
    )


def _summary(incident: Incident, verdicts: int) -> str:
    return (
        f"{counted(len(incident.devices), 'device')} of {incident.devices_in_scope:,} in scope, "
        f"{counted(incident.anomalies, 'anomaly')}, severity {incident.severity:.0f} "
        f"({SeverityBand.of(incident.severity).value}), {incident.start:%Y-%m-%d %H:%M} to {incident.end:%Y-%m-%d %H:%M} UTC; "
        f"{counted(verdicts, 'row')} judged."
    )
