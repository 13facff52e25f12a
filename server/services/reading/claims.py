"""An explanation's claims: sentences made of the payload's numbers, each of which can be computed again from it."""

from collections import Counter
from collections.abc import Iterator, Sequence

from server.domain.answers.answer import Contrast
from server.domain.answers.explanation import Claim, ClaimBaseline, ClaimKind, ExplainedMetric, Explanation
from server.domain.baseline import Level, Statistic
from server.services.reading.words import at, counted, figure, percent, quoted

MOST_WORDS = 150
_ALSO_FROM = 0.15
_FULL = 0.85
_WHOSE = {Level.GLOBAL: "the fleet", Level.COHORT: "its cohort", Level.SITE: "its site", Level.DEVICE: "this device"}
_FIRST_DROPPED = (ClaimKind.DECISIONS, ClaimKind.CHANGE, ClaimKind.PEERS)


def claims_of(payload: Explanation) -> tuple[Claim, ...]:
    """What happened, against what, how sure, who else, what changed, what was decided, and what to look at next."""
    return tuple(_claims(payload))


def in_words(claims: Sequence[Claim]) -> str:
    """The claims as one text of at most 150 words; what is least needed is left out first."""
    kept = list(claims)
    for kind in _FIRST_DROPPED:
        if _words(kept) <= MOST_WORDS:
            break
        kept = [claim for claim in kept if claim.kind is not kind]
    text = " ".join(claim.text for claim in kept).split()
    return " ".join(text if len(text) <= MOST_WORDS else [*text[: MOST_WORDS - 1], "…"])


def _words(claims: Sequence[Claim]) -> int:
    return sum(len(claim.text.split()) for claim in claims)


def _claims(payload: Explanation) -> Iterator[Claim]:
    if not payload.metrics:
        text = f"{payload.device} at {at(payload.time)} is anomalous, and no metric can be named."
        yield Claim(kind=ClaimKind.HAPPENED, text=text, window=payload.window)
    for place, metric in enumerate(payload.metrics):
        if place == 0 or (place == 1 and metric.share >= _ALSO_FROM):
            yield _happened(payload, metric, also=place > 0)
    if payload.metrics and payload.metrics[0].day_before is not None:
        yield _day_before(payload, payload.metrics[0])
    yield _confidence(payload)
    if payload.peers:
        yield _peers(payload, payload.peers)
    yield _changes(payload)
    yield _decisions(payload)
    yield _next(payload)


def _happened(payload: Explanation, metric: ExplainedMetric, *, also: bool) -> Claim:
    head = "Also" if also else f"{payload.device} at {at(payload.time)}:"
    unit = f" {metric.unit}" if metric.unit else ""
    value = f"{head} {_feature(metric)} was {figure(metric.value)}{unit}"
    if metric.typical is None or metric.level is None or metric.value is None:
        text, numbers = f"{value}; there is no baseline to compare it with.", [metric.value]
    else:
        against = f"{figure(metric.typical)}{unit}" if metric.direction != "at" else "what"
        version = f", baseline version {metric.version}" if metric.version else ""
        text = (
            f"{value}, {metric.direction} {against} typical of {_WHOSE[metric.level]} "
            f"(z {metric.z:+.1f}, n={metric.n:,}{version}), {percent(metric.share)} of the score."
        )
        numbers = [metric.value, metric.typical, metric.z, float(metric.n), float(metric.version or 0), metric.share]
    return Claim(
        kind=ClaimKind.HAPPENED,
        text=text,
        metric=metric.metric,
        value=metric.value,
        unit=metric.unit,
        baseline=_baseline(metric),
        window=payload.window,
        numbers=tuple(number for number in numbers if number is not None),
    )


def _feature(metric: ExplainedMetric) -> str:
    """The feature in words."""
    words = {
        f"{metric.metric}_{Statistic.MEAN.value}": f"the mean of {metric.metric}",
        f"{metric.metric}_{Statistic.STD.value}": f"the spread of {metric.metric}",
        f"{metric.metric}_{Statistic.CHANGE.value}": f"the change of {metric.metric}",
    }
    return words.get(metric.feature, metric.feature)


def _day_before(payload: Explanation, metric: ExplainedMetric) -> Claim:
    unit = f" {metric.unit}" if metric.unit else ""
    numbers = (metric.day_before or 0.0, metric.change or 0.0)
    moved = "higher" if numbers[1] > 0 else "lower" if numbers[1] < 0 else "different"
    text = f"A day before it was {figure(numbers[0])}{unit}, so it is {figure(abs(numbers[1]))}{unit} {moved} now."
    about = {"metric": metric.metric, "value": metric.day_before, "unit": metric.unit}
    return Claim.model_validate(
        {"kind": ClaimKind.HAPPENED, "text": text, "window": payload.window, "numbers": numbers, **about}
    )


def _confidence(payload: Explanation) -> Claim:
    sure = "" if payload.confidence >= _FULL else ", as values are missing or baselines rest on few rows"
    raw = f" It was found on raw features, because {payload.fallback}." if payload.fallback else ""
    text = (
        f"Severity is {payload.severity:.0f} of 100 ({payload.band.value}), confidence {percent(payload.confidence)}{sure}; "
        f"the score {payload.score:.2f} is below the threshold {payload.threshold:.2f}.{raw}"
    )
    numbers = (payload.severity, payload.confidence, payload.score, payload.threshold)
    return Claim(kind=ClaimKind.CONFIDENCE, text=text, value=payload.severity, window=payload.window, numbers=numbers)


def _peers(payload: Explanation, peers: Contrast) -> Claim:
    inside, outside = peers.inside, peers.outside
    text = (
        f"In the 24 hours before, {inside.count:,} of {counted(inside.of, 'device')} of its cohort had an anomaly, "
        f"{outside.count:,} of {outside.of:,} of the rest."
    )
    numbers = tuple(float(number) for number in (inside.count, inside.of, outside.count, outside.of))
    return Claim(kind=ClaimKind.PEERS, text=text, value=inside.share, window=payload.window, numbers=numbers)


def _changes(payload: Explanation) -> Claim:
    if not payload.changes:
        return Claim(kind=ClaimKind.CHANGE, text="No change was recorded for it in the week before.", window=payload.window)
    last = payload.changes[0]
    text = f"The last change recorded for it in the week before: {quoted(last.description)} at {at(last.time)}."
    return Claim(kind=ClaimKind.CHANGE, text=text, window=payload.window)


def _decisions(payload: Explanation) -> Claim:
    muted = f" It is muted by the expected rule {payload.muted_by}." if payload.muted_by else ""
    judged = f" A person marked it {payload.verdict.value}." if payload.verdict else ""
    if not payload.decisions:
        return Claim(kind=ClaimKind.DECISIONS, text=f"No decision on a like case is remembered.{judged}{muted}")
    outcomes = Counter(each.decision.outcome for each in payload.decisions)
    said = ", ".join(f"{number} {outcome}" for outcome, number in outcomes.most_common())
    text = f"Decisions remembered on like cases: {said}.{judged}{muted}"
    return Claim(kind=ClaimKind.DECISIONS, text=text, numbers=tuple(float(number) for number in outcomes.values()))


def _next(payload: Explanation) -> Claim:
    if payload.incident:
        text = f"Next: get_incident {payload.incident} shows the devices that share it, what_changed what was rolled out."
    else:
        text = f"Next: compare_device_with_peers {payload.device} shows whether its cohort differs too."
    return Claim(kind=ClaimKind.NEXT, text=text)


def _baseline(metric: ExplainedMetric) -> ClaimBaseline | None:
    if metric.level is None:
        return None
    return ClaimBaseline(typical=metric.typical, level=metric.level, group=metric.group, n=metric.n, version=metric.version)
