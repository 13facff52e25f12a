"""Anomalies: which there are, and one of them whole. Read from SQL only."""

from server.domain.anomaly import Anomaly, AnomalyFilter
from server.domain.answers.anomalies import AnomalyCard, AnomalyDetail, AnomalyPage
from server.domain.answers.answer import Span
from server.domain.feedback import Feedback, FeedbackFilter, Verdict
from server.domain.identity import Principal
from server.domain.run import Run
from server.errors import InvalidInput
from server.services.reading.incidents import muting_of
from server.services.reading.sources import Sources, page_bounds, window
from server.services.reading.words import at, counted, figure


def list_anomalies(sources: Sources, run: Run, wanted: AnomalyFilter, *, limit: int, offset: int) -> AnomalyPage:
    """Anomalies of the run that pass the filter, worst first.

    Raises:
        NotFound: there is no such device, metric or incident.
        InvalidInput: a severity, a window or a page that cannot be.
    """
    page_bounds(limit, offset)
    if not 0 <= wanted.min_severity <= 100:
        raise InvalidInput(f"min_severity {wanted.min_severity:g} has to be from 0 to 100.")
    first, last = window(wanted.start, wanted.end)
    _known(sources, run, wanted)
    narrowed = wanted.model_copy(update={"fleet": run.fleet.name, "run": run.id, "start": first, "end": last})
    found, total = sources.records.anomalies(run.fleet.tenant, narrowed, limit=limit, offset=offset)
    muting, units = muting_of(sources, run), sources.units(run.fleet)
    verdicts = _Verdicts(sources, run)
    cards = tuple(card(each, units, verdicts.on(each), rule.id if (rule := muting.anomaly(each)) else "") for each in found)
    worst = f", the worst of severity {found[0].severity:.0f} on {found[0].device} at {at(found[0].time)}" if cards else ""
    return AnomalyPage(
        summary=f"{counted(total, 'anomaly')} in fleet {run.fleet.name}{worst if offset == 0 else ''}.",
        fleet=run.fleet.name,
        run=run.id,
        window=Span(first=first, last=last),
        telemetry_until=sources.until(run.fleet),
        total=total,
        offset=offset,
        truncated=offset + len(found) < total,
        anomalies=cards,
    )


def get_anomaly(sources: Sources, who: Principal, anomaly_id: str) -> AnomalyDetail:
    """One anomaly. Raises `NotFound` with near matches."""
    anomaly = sources.records.anomaly(who.tenant, anomaly_id)
    run = sources.records.run(who.tenant, anomaly.run)
    units = sources.units(anomaly.fleet)
    return AnomalyDetail(
        summary=_summary(anomaly, units),
        fleet=anomaly.fleet.name,
        run=anomaly.run,
        window=Span(first=anomaly.time, last=anomaly.time),
        telemetry_until=sources.until(anomaly.fleet),
        anomaly=anomaly,
        band=anomaly.band,
        units={each.metric: units[each.metric] for each in anomaly.contributions if each.metric in units},
        verdict=verdict_on(sources, anomaly),
        muted_by=muting_of(sources, run).anomaly(anomaly),
    )


def verdict_on(sources: Sources, anomaly: Anomaly) -> Feedback | None:
    """The current verdict on an anomaly."""
    wanted = FeedbackFilter(fleet=anomaly.fleet.name, anomaly=anomaly.id)
    found, _ = sources.corrections.feedback(anomaly.fleet.tenant, wanted, limit=1)
    return found[0] if found else None


def card(anomaly: Anomaly, units: dict[str, str], verdict: Verdict | None, muted_by: str) -> AnomalyCard:
    """An anomaly as lists show it."""
    first = anomaly.contributions[0] if anomaly.contributions else None
    same = {name: getattr(anomaly, name) for name in AnomalyCard.model_fields if name in Anomaly.model_fields}
    of_metric = {name: getattr(first, name) for name in ("feature", "value", "typical", "z", "level", "n")} if first else {}
    about = {
        "band": anomaly.band,
        "metric": anomaly.top_metric,
        "unit": units.get(anomaly.top_metric, ""),
        "verdict": verdict,
        "muted_by": muted_by,
    }
    return AnomalyCard.model_validate(same | of_metric | about)


class _Verdicts:
    """The current verdicts of a fleet, asked for only if there are any."""

    def __init__(self, sources: Sources, run: Run) -> None:
        self._sources = sources
        self._any = sources.corrections.feedback(run.fleet.tenant, FeedbackFilter(fleet=run.fleet.name), limit=1)[1] > 0

    def on(self, anomaly: Anomaly) -> Verdict | None:
        found = verdict_on(self._sources, anomaly) if self._any else None
        return found.verdict if found else None


def _known(sources: Sources, run: Run, wanted: AnomalyFilter) -> None:
    """Return if what the filter names exists: a misspelt name shall not look like a device without anomalies."""
    if wanted.device is not None:
        sources.device(run.fleet, wanted.device)
    if wanted.metric is not None:
        sources.metric(run.fleet, wanted.metric)
    if wanted.incident is not None:
        sources.records.incident(run.fleet.tenant, wanted.incident)


def _summary(anomaly: Anomaly, units: dict[str, str]) -> str:
    head = f"{anomaly.device} at {at(anomaly.time)}: severity {anomaly.severity:.0f} ({anomaly.band.value})"
    if not anomaly.contributions:
        return f"{head}, no metric named."
    first = anomaly.contributions[0]
    unit = f" {units[first.metric]}" if first.metric in units else ""
    return f"{head}, {first.feature} {figure(first.value)}{unit} where {figure(first.typical)} is typical (n={first.n:,})."
