"""Why a row is an anomaly: the payload, the claims that can be checked against it, and plain words for them."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

from server.domain.anomaly import Anomaly, AnomalyFilter, Contribution
from server.domain.answers.answer import Contrast, Rate, Span
from server.domain.answers.explanation import ExplainedMetric, Explanation
from server.domain.baseline import Level, Statistic
from server.domain.identity import Principal
from server.domain.memory import Recalled, RecallQuery
from server.domain.run import Run
from server.domain.telemetry import Change, Metric, Transform
from server.errors import InvalidInput, NotFound, Unavailable
from server.pipeline.features import Feature, featurise, plan_features
from server.services.reading.anomalies import verdict_on
from server.services.reading.claims import claims_of, in_words
from server.services.reading.exposed import concerns
from server.services.reading.incidents import muting_of
from server.services.reading.shelf import Shown
from server.services.reading.sources import Sources, utc
from server.storage.moments import microseconds

_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)
_CHANGES = 5
_DECISIONS = 3
_MOST_ANOMALIES = 5000


def explain_anomaly(
    sources: Sources, who: Principal, *, anomaly: str | None, device: str | None, around: datetime | None, fleet: str | None
) -> Explanation:
    """The named anomaly, or the device's nearest one to a time (its worst one if no time is given).

    Raises:
        InvalidInput: both or neither of anomaly and device are given.
        NotFound: there is no such anomaly or device, or the device has no anomaly within a day of that time.
    """
    if (anomaly is None) == (device is None):
        raise InvalidInput("name either an anomaly or a device. list_anomalies lists both.")
    if anomaly is not None:
        found = sources.records.anomaly(who.tenant, anomaly)
    else:
        found = _of_device(sources, sources.run(who, fleet), device or "", utc(around))
    return _explained(sources, who, found)


def _of_device(sources: Sources, run: Run, device: str, around: datetime | None) -> Anomaly:
    name = sources.device(run.fleet, device)
    near = {"start": around - _DAY, "end": around + _DAY} if around else {}
    wanted = AnomalyFilter.model_validate({"fleet": run.fleet.name, "run": run.id, "device": name, **near})
    found, _ = sources.records.anomalies(run.fleet.tenant, wanted, limit=_MOST_ANOMALIES)
    if not found:
        when = f" within a day of {around.isoformat()}" if around else ""
        raise NotFound(f"anomaly{when} of device", name, listed_by="list_anomalies")
    return min(found, key=lambda each: abs(each.time - around)) if around else found[0]


def _explained(sources: Sources, who: Principal, anomaly: Anomaly) -> Explanation:
    run = sources.run(who, None, anomaly.run)
    shown, verdict = sources.shown(run), verdict_on(sources, anomaly)
    rule = muting_of(sources, run).anomaly(anomaly)
    changes = _changes(sources, shown, anomaly)
    payload = Explanation(
        summary="",
        fleet=anomaly.fleet.name,
        run=run.id,
        window=Span(first=anomaly.time - plan_features(shown.snapshot, run.settings.features).window, last=anomaly.time),
        telemetry_until=sources.until(anomaly.fleet),
        anomaly=anomaly.id,
        device=anomaly.device,
        time=anomaly.time,
        cohort=" / ".join(anomaly.cohort),
        site=anomaly.site,
        incident=anomaly.incident,
        score=anomaly.score,
        threshold=anomaly.threshold,
        severity=anomaly.severity,
        band=anomaly.band,
        confidence=anomaly.confidence,
        fallback=anomaly.fallback,
        metrics=_metrics(sources, shown, anomaly),
        peers=_peers(shown, anomaly),
        changes=tuple(changes[:_CHANGES]),
        decisions=tuple(_decisions(sources, anomaly)),
        verdict=verdict.verdict if verdict else None,
        muted_by=rule.id if rule else "",
        claims=(),
        text="",
        next_tool="get_incident" if anomaly.incident else "compare_device_with_peers",
    )
    claims = claims_of(payload)
    return payload.model_copy(update={"claims": claims, "text": in_words(claims), "summary": claims[0].text})


def _metrics(sources: Sources, shown: Shown, anomaly: Anomaly) -> tuple[ExplainedMetric, ...]:
    known = {metric.name: metric for metric in shown.snapshot.metrics}
    before = _day_before(sources, shown, anomaly)
    return tuple(_metric(anomaly, each, known[each.metric], before.get(each.feature)) for each in anomaly.contributions)


def _metric(anomaly: Anomaly, part: Contribution, metric: Metric, before: float | None) -> ExplainedMetric:
    gap = 0.0 if part.value is None or part.typical is None else part.value - part.typical
    return ExplainedMetric(
        metric=part.metric,
        feature=part.feature,
        unit="" if _in_logarithms(metric, part.feature) else metric.unit,
        value=part.value,
        typical=part.typical,
        z=part.z if part.level else 0.0,
        direction="above" if gap > 0 else "below" if gap < 0 else "at",
        level=part.level,
        group=_group(anomaly, part.level),
        n=part.n,
        version=anomaly.baseline_version,
        share=part.share,
        day_before=before,
        change=None if before is None or part.value is None else part.value - before,
    )


def _group(anomaly: Anomaly, level: Level | None) -> str:
    cohort = " / ".join(anomaly.cohort)
    if level is None:
        return ""
    return {
        Level.GLOBAL: "fleet", Level.COHORT: cohort, Level.SITE: f"{cohort} @ {anomaly.site}", Level.DEVICE: anomaly.device
    }[level]  # fmt: skip


def _in_logarithms(metric: Metric, feature: str) -> bool:
    """Means of log-transformed metrics are shown in the metric's unit, their spreads and changes are not."""
    return metric.transform is Transform.LOG1P and not feature.endswith(f"_{Statistic.MEAN.value}")


def _day_before(sources: Sources, shown: Shown, anomaly: Anomaly) -> dict[str, float]:
    """The device's features at its last row up to 24 h before, if that is at most two intervals older."""
    code = shown.code.get(anomaly.device)
    blocks = [] if code is None else list(sources.telemetry.blocks(shown.snapshot, rows=1, devices=[code]))
    if not blocks:
        return {}
    block = pa.Table.from_batches(blocks).combine_chunks().to_batches()[0]
    wanted = microseconds(anomaly.time - _DAY)
    time = block.column("time").to_numpy()
    row = int(np.searchsorted(time, wanted, side="right")) - 1
    if row < 0 or wanted - time[row] > microseconds_of(2 * shown.snapshot.interval):
        return {}
    plan = plan_features(shown.snapshot, shown.run.settings.features)
    features = featurise(block, plan)
    values = {feature.name: _shown_value(feature, features.column(feature.name)[row].as_py()) for feature in plan.features}
    return {name: value for name, value in values.items() if np.isfinite(value)}


def _shown_value(feature: Feature, value: float) -> float:
    logged = feature.metric.transform is Transform.LOG1P and feature.statistic is Statistic.MEAN
    return float(np.expm1(value)) if logged else float(value)


def microseconds_of(span: timedelta) -> int:
    """A span in whole microseconds."""
    return span // timedelta(microseconds=1)


def _peers(shown: Shown, anomaly: Anomaly) -> Contrast | None:
    """Devices with an anomaly in the 24 h up to the anomaly: those of its cohort (itself too) against the rest."""
    code = shown.code.get(anomaly.device)
    if code is None:
        return None
    cohort = shown.cohort_at(code, anomaly.time)
    day = shown.between(anomaly.time - _DAY, anomaly.time)
    own = shown.cohort == cohort
    inside, outside = (
        Rate(
            count=len(np.unique(shown.device[day & side & shown.flagged])),
            of=len(np.unique(shown.device[day & side])),
            what="devices",
        )
        for side in (own, ~own)
    )
    return Contrast(group=shown.cohorts[cohort] if cohort >= 0 else "no cohort", inside=inside, outside=outside)


def _changes(sources: Sources, shown: Shown, anomaly: Anomaly) -> Sequence[Change]:
    """Change-log rows whose scope holds for the device then, in the week before, newest first."""
    own = {"device": anomaly.device}
    own |= {name.casefold(): value for name, value in zip(shown.snapshot.cohort_columns, anomaly.cohort, strict=False)}
    code = shown.code.get(anomaly.device, -1)
    rows = np.flatnonzero((shown.device == code) & (shown.time <= microseconds(anomaly.time)))
    if len(rows):
        places = (("store", shown.store, shown.members.stores), ("customer", shown.customer, shown.members.customers))
        own |= {role: names[codes[rows[-1]]] for role, codes, names in places if codes[rows[-1]] >= 0}
    found = sources.telemetry.changes(anomaly.fleet, start=anomaly.time - _WEEK, end=anomaly.time)
    return [change for change in reversed(found) if concerns(change.scope, own)]


def _decisions(sources: Sources, anomaly: Anomaly) -> Sequence[Recalled]:
    """What is remembered of like cases; nothing while the memory does not answer, which no explanation hangs on."""
    signature = {each.feature: each.z for each in anomaly.contributions if each.level}
    query = RecallQuery(tenant=anomaly.fleet.tenant, fleet=anomaly.fleet.name, signature=signature)
    try:
        return sources.memory().recall(query, limit=_DECISIONS) if signature else ()
    except Unavailable:
        return ()
