"""How scores spread and how far they and the features have moved: the detector as seen from its numbers."""

from datetime import datetime

import numpy as np

from server.domain.answers.answer import Rate, Span
from server.domain.answers.normal import DetectorReport, DriftReport, ScoreDistribution
from server.domain.baseline import DetectorVersion
from server.domain.run import Run, Stage
from server.errors import InvalidInput, NotFound
from server.pipeline.baselines import RawFallback
from server.pipeline.drift import feature_drift, score_drift
from server.pipeline.features import plan_features
from server.services.reading.sources import Sources, page_bounds, utc
from server.services.reading.words import at, percent
from server.storage.moments import microseconds, moment

_QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 1.0)
_SEVERITY_QUANTILES = (0.5, 0.9, 0.95, 0.99, 1.0)
_RECENT_SHARE = 0.25
DRIFTED = 0.25


def get_detector(sources: Sources, run: Run) -> DetectorReport:
    """The detector that made the run's anomalies. Raises `NotFound` if its version is not stored."""
    version = _version(sources, run)
    trained, shown, snapshot = sources.stages.trained(run), sources.shown(run), sources.stages.snapshot(run)
    plan, training = plan_features(snapshot, run.settings.features), run.done(Stage.TRAIN)
    flagged = Rate(count=int(shown.flagged.sum()), of=len(shown.flagged), what="rows")
    expected = float(np.mean(trained.reference_scores < trained.threshold))
    base = "raw features" if version.baseline_version is None else f"baseline version {version.baseline_version}"
    return DetectorReport(
        summary=f"{version.detector} version {version.version} on {base}, threshold {version.threshold:.4g} "
        f"({version.calibration}): {flagged.count:,} of {flagged.of:,} rows flagged ({percent(flagged.share)}).",
        fleet=run.fleet.name,
        run=run.id,
        window=Span(first=shown.span()[0], last=shown.span()[1]),
        telemetry_until=sources.until(run.fleet),
        version=version,
        settings=run.settings.detector,
        feature_window=plan.window,
        feature_lag=plan.lag,
        baseline_version=version.baseline_version,
        fallback=training.fallback if training else "",
        trained_rows=trained.rows,
        flagged=flagged,
        expected_share=expected,
        reference_quantiles={f"{q:g}": float(np.quantile(trained.reference_scores, q)) for q in _QUANTILES},
    )


def get_score_distribution(sources: Sources, run: Run, *, bins: int) -> ScoreDistribution:
    """Counts of severities, normal and anomalous. Raises `InvalidInput` unless 2 to 200 bins are asked for."""
    if not 2 <= bins <= 200:
        raise InvalidInput(f"bins {bins} has to be from 2 to 200.")
    shown = sources.shown(run)
    edges = np.linspace(0.0, 100.0, bins + 1)
    normal, _ = np.histogram(shown.severity[~shown.flagged], edges)
    anomalous, _ = np.histogram(shown.severity[shown.flagged], edges)
    flagged = Rate(count=int(shown.flagged.sum()), of=len(shown.flagged), what="rows")
    quantiles = {f"{q:g}": float(np.quantile(shown.severity, q)) for q in _SEVERITY_QUANTILES}
    return ScoreDistribution(
        summary=f"{flagged.count:,} of {flagged.of:,} rows ({percent(flagged.share)}) are at severity 50 or above; "
        f"the median row is at {quantiles['0.5']:.0f}, the worst at {quantiles['1']:.0f}.",
        fleet=run.fleet.name,
        run=run.id,
        window=Span(first=shown.span()[0], last=shown.span()[1]),
        telemetry_until=sources.until(run.fleet),
        edges=tuple(edges.tolist()),
        normal=tuple(normal.tolist()),
        anomalous=tuple(anomalous.tolist()),
        threshold=_version(sources, run).threshold,
        severity_quantiles=quantiles,
        flagged=flagged,
    )


def check_drift(sources: Sources, run: Run, *, since: datetime | None, limit: int) -> DriftReport:
    """Drift of rows from `since` on (the last quarter of the time if unset) against earlier ones.

    Raises:
        InvalidInput: there are no rows before or none after that time, or the run has no baselines to drift from.
    """
    page_bounds(limit, 0)
    shown, baselines = sources.shown(run), sources.stages.baseline_set(run)
    if isinstance(baselines, RawFallback):
        raise InvalidInput(f"run {run.id} has no baselines to drift from: {baselines.reason}")
    first, last = shown.span()
    begin = utc(since) or last - (last - first) * _RECENT_SHARE
    if not first < begin <= last:
        raise InvalidInput(f"no rows before or none after {at(begin)}: they reach from {at(first)} to {at(last)}.")
    cut = microseconds(begin)
    features = feature_drift(sources.stages.feature_table(run), baselines, since=cut, threads=sources.threads)
    scores = score_drift(shown.score[shown.time >= cut], sources.stages.trained(run))
    drifted = sum(each.psi >= DRIFTED for each in features)
    most = f", most in {features[0].feature} of {features[0].group} (PSI {features[0].psi:.2f})" if features else ""
    return DriftReport(
        summary=f"{drifted:,} of {len(features):,} features of the fleet and its cohorts have drifted since "
        f"{at(begin)}{most}; {percent(scores.share_flagged)} of {scores.n:,} rows flagged since, "
        f"{percent(scores.expected_share)} when calibrated.",
        fleet=run.fleet.name,
        run=run.id,
        window=Span(first=moment(cut), last=last),
        telemetry_until=sources.until(run.fleet),
        total=len(features),
        truncated=limit < len(features),
        since=begin,
        features=tuple(features[:limit]),
        drifted=drifted,
        scores=scores,
    )


def _version(sources: Sources, run: Run) -> DetectorVersion:
    found = sources.detector(run)
    if found is None:
        raise NotFound("detector of run", run.id, listed_by="list_runs")
    return found
