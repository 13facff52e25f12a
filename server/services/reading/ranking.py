"""Which groups of the fleet are worst: anomalous rows over rows, group by group."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from server.domain.answers.answer import Rate, Span
from server.domain.answers.causes import GroupRanking, RankedGroup
from server.domain.run import Run
from server.errors import InvalidInput
from server.services.reading.shelf import Flags, Shown
from server.services.reading.sources import Sources, page_bounds, window
from server.services.reading.words import counted, percent


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to rank, by what, and over which time."""

    by: str = "store"
    metric: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def rank_groups(sources: Sources, run: Run, wanted: Wanted, *, limit: int) -> GroupRanking:
    """Groups by anomaly rate, worst first. Raises `InvalidInput` for what cannot be grouped by, `NotFound` for the metric."""
    page_bounds(limit, 0)
    first, last = window(wanted.since, wanted.until)
    if wanted.metric is not None:
        sources.metric(run.fleet, wanted.metric)
    shown = sources.shown(run)
    group, names = _grouping(shown, wanted.by)
    rows = shown.between(first, last)
    flagged = shown.about(wanted.metric) & rows
    ranked = _ranked(shown, group, names, rows, flagged)
    whole = Rate(count=int(flagged.sum()), of=int(rows.sum()), what="rows")
    worst = (
        f"Worst is {ranked[0].group}: {ranked[0].anomalies:,} of {ranked[0].rows:,} rows anomalous "
        f"({percent(ranked[0].rate)}) on {ranked[0].affected:,} of {ranked[0].devices:,} devices, "
        if ranked
        else ""
    )
    return GroupRanking(
        summary=f"{worst or 'No rows: '}{whole.count:,} of {whole.of:,} rows ({percent(whole.share)}) in the whole fleet; "
        f"{counted(len(ranked), 'group')} by {wanted.by}.",
        fleet=run.fleet.name,
        run=run.id,
        window=Span(first=first or shown.span()[0], last=last or shown.span()[1]),
        telemetry_until=sources.until(run.fleet),
        total=len(ranked),
        truncated=limit < len(ranked),
        by=wanted.by,
        metric=wanted.metric,
        groups=tuple(ranked[:limit]),
        whole=whole,
    )


def _grouping(shown: Shown, by: str) -> tuple[npt.NDArray[np.int64], Sequence[str]]:
    """Each row's group (-1 for none) and the groups' names."""
    members, columns = shown.members, {name.casefold(): name for name in shown.snapshot.cohort_columns}
    known: dict[str, tuple[npt.NDArray[np.int32], Sequence[str]]] = {
        "store": (shown.store, members.stores),
        "customer": (shown.customer, members.customers),
        "cohort": (shown.cohort, shown.cohorts),
        "device": (shown.device, members.devices),
    }
    if by.casefold() in columns:
        place = shown.snapshot.cohort_columns.index(columns[by.casefold()])
        values, code = np.unique([cohort[place] for cohort in members.cohorts], return_inverse=True)
        return np.append(code, -1)[shown.cohort], tuple(map(str, values))
    if by not in known:
        raise InvalidInput(f"cannot group by {by!r}. Group by {', '.join([*known, *shown.snapshot.cohort_columns])}.")
    codes, names = known[by]
    if not names:
        raise InvalidInput(f"the telemetry names no {by}. Group by {', '.join(name for name in known if known[name][1])}.")
    return codes.astype(np.int64), names


def _ranked(shown: Shown, group: npt.NDArray[np.int64], names: Sequence[str], rows: Flags, flagged: Flags) -> list[RankedGroup]:
    count = _by_group(group, rows, len(names))
    anomalies = _by_group(group, flagged, len(names))
    devices, affected = (_devices(shown, group, some, len(names)) for some in (rows, flagged))
    worst = _worst_metric(shown, group, flagged)
    found = [
        RankedGroup(
            group=names[code],
            anomalies=int(anomalies[code]),
            rows=int(count[code]),
            rate=float(anomalies[code] / count[code]),
            affected=int(affected[code]),
            devices=int(devices[code]),
            worst_metric=worst.get(code, ""),
        )
        for code in np.flatnonzero(count).tolist()
    ]
    return sorted(found, key=lambda each: (-each.rate, -each.anomalies, each.group))


def _by_group(group: npt.NDArray[np.int64], some: Flags, groups: int) -> npt.NDArray[np.int64]:
    chosen = group[some]
    return np.bincount(chosen[chosen >= 0], minlength=groups)


def _devices(shown: Shown, group: npt.NDArray[np.int64], some: Flags, groups: int) -> npt.NDArray[np.int64]:
    """Distinct devices of each group: one that moved counts in both."""
    some = some & (group >= 0)
    pairs = np.unique(group[some] * len(shown.members.devices) + shown.device[some])
    return np.bincount(pairs // len(shown.members.devices), minlength=groups)


def _worst_metric(shown: Shown, group: npt.NDArray[np.int64], flagged: Flags) -> dict[int, str]:
    """The metric most often most at fault in each group."""
    chosen = flagged[shown.flagged]
    metrics = shown.top_metric.to_pylist()
    seen = Counter(
        (int(code), metric)
        for code, metric, counts in zip(group[shown.flagged].tolist(), metrics, chosen.tolist(), strict=True)
        if counts
    )
    found: dict[int, str] = {}
    for (code, metric), _ in seen.most_common():
        found.setdefault(code, metric or "")
    return found
