"""From verdicts to suggested adjustments: whose normal has moved, which feature of theirs, how far and since when.

Only rows that a person judged start a suggestion, so that no fault proposes itself as normal. Each feature that the judged rows
lie off on the same side is followed to the narrowest group that holds most of its verdicts and shares the displacement; its
size is the median gap of the judged rows, which a minority of wrong verdicts cannot move far.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from server.domain.baseline import Adjustment, Level, Statistic
from server.domain.feedback import Feedback, Verdict
from server.pipeline.baselines import BaselineSet, LevelStatistics
from server.pipeline.displacement import Codes, Displacement, Flags, Rows, moment
from server.pipeline.drift import BINS, psi_between

_OFF = 2.0
"""Scales off from which a judged row's feature is taken to be why it was flagged."""
_HOLDS = 0.8
"""Share of a displacement's verdicts that a group must hold for it to be the group's."""
_LEFT = 0.5
"""Group scales that must be left of a displacement for another approval to be worth a person's time."""
_HALF = 0.5
"""Share of the typical displacement beyond which a stretch of time, or a device, counts as displaced."""
_DAY = 86_400_000_000
_STEPS = 12
"""Parts of a window that the moment of a step is found in."""
_PAUSE = 3
"""Days that a lasting displacement may not show, such as a weekend, in its course and before the window's end."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When evidence is enough, and how far a baseline may be moved."""

    min_verdicts: int = 5
    min_devices: int = 3
    lone_author_factor: int = 2
    """One person's word needs so many times the verdicts and devices."""
    max_contradicting: float = 0.25
    min_affected: float = 0.6
    max_move: float = 5.0
    """Robust scales that one approval may move a centre by."""
    max_drift: float = 10.0
    """Robust scales that all approvals together may move it by."""


@dataclass(frozen=True, slots=True)
class JudgedRow:
    """A row that a person judged, by its place in the displacement's rows."""

    row: int
    feedback: Feedback


@dataclass(frozen=True, slots=True)
class Draft:
    """An adjustment with what speaks for it; `feedback` are the ids of the verdicts."""

    adjustment: Adjustment
    feedback: tuple[str, ...]
    devices: int
    authors: tuple[str, ...]
    contradicting: int
    affected_share: float
    psi: float | None
    """Drift of the judged devices' feature since the onset; None where it has been so all along."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why judged rows lead to no suggestion: for which feature and group, and the reason with what would help."""

    feature: str
    group: str
    reason: str
    feedback: tuple[str, ...] = ()


def draft_adjustments(
    displacement: Displacement,
    judged: Sequence[JudgedRow],
    baselines: BaselineSet,
    *,
    learning_rate: float,
    limits: Limits,
) -> tuple[list[Draft], list[Refusal]]:
    """Adjustments that the verdicts speak for, and why others do not come about.

    A displaced row is often off in several features; what no draft explains is refused, and the rest goes without saying.
    """
    drafter = _Drafter(displacement, judged, baselines, learning_rate, limits)
    found = [
        one for feature in range(len(displacement.features)) for sign in (1.0, -1.0) for one in drafter.follow(feature, sign)
    ]
    drafts = [one for one in found if isinstance(one, Draft)]
    drafts += drafter.companions(drafts)
    explained = {each for draft in drafts for each in draft.feedback}
    refused = [one for one in found if isinstance(one, Refusal) and not explained.issuperset(one.feedback)]
    return drafts, refused


class _Drafter:
    """One call's facts, so that each step names only what it decides on."""

    def __init__(
        self,
        displacement: Displacement,
        judged: Sequence[JudgedRow],
        baselines: BaselineSet,
        learning_rate: float,
        limits: Limits,
    ) -> None:
        self._rows, self._baselines = displacement, baselines
        self._rate, self._limits = learning_rate, limits
        self._false = [each for each in judged if each.feedback.verdict is Verdict.FALSE_ALARM]
        self._true = [each for each in judged if each.feedback.verdict is Verdict.TRUE]
        self._levels = {level.level: level for level in baselines.levels}
        span = displacement.time
        self._begin = int(span.min()) if len(span) else 0
        self._day = span // _DAY

    def follow(self, feature: int, sign: float) -> Iterator[Draft | Refusal]:
        """Drafts or refusals for one feature that judged rows lie off on one side."""
        left = [each for each in self._false if self._is_off(each, feature, sign)]
        for level in reversed(Level):
            for group, of_group in self._by_group(left, level):
                if len(of_group) < _HOLDS * len(left) and self._parent_explains(left, level, group, feature, sign):
                    continue
                wanting = self._wanting(of_group, level)
                if wanting:
                    continue
                yield self._draft(of_group, (level, group), feature, sign)
                taken = {each.row for each in of_group}
                left = [each for each in left if each.row not in taken]
        if left:
            name = self._rows.features[feature].name
            why = self._wanting(left, Level.COHORT) or "no one group holds these verdicts."
            yield Refusal(name, self._common(left), why, _ids(left))

    def companions(self, drafts: Sequence[Draft]) -> Iterator[Draft]:
        """A metric whose level has a new normal often has a new spread as well: drafts of it, on the same verdicts."""
        known = {(each.adjustment.level, each.adjustment.group, each.adjustment.feature) for each in drafts}
        by_name = {feature.name: index for index, feature in enumerate(self._rows.features)}
        by_id = {each.feedback.id: each for each in self._false}
        for draft in drafts:
            move = draft.adjustment
            level, own = self._rows.features[by_name[move.feature]], [by_id[each] for each in draft.feedback]
            spread = f"{level.metric.name}_{Statistic.STD.value}"
            if level.statistic is not Statistic.MEAN or (move.level, move.group, spread) in known:
                continue
            where = move.level, self._levels[move.level].groups.index(move.group)
            for sign in (1.0, -1.0):
                found = self._draft(own, where, by_name[spread], sign)
                if isinstance(found, Draft):
                    yield found

    def _is_off(self, judged: JudgedRow, feature: int, sign: float) -> bool:
        metric = self._rows.features[feature].metric.name
        at_fault = metric in judged.feedback.metrics or not judged.feedback.metrics
        return bool(at_fault and sign * self._rows.z[judged.row, feature] >= _OFF)

    def _tells(self, judged: JudgedRow, feature: int, since: int) -> bool:
        """Whether the row has a value of the feature and lies where an adjustment from then on can reach it."""
        return bool(self._rows.time[judged.row] >= since and np.isfinite(self._rows.gap[judged.row, feature]))

    def _by_group(self, judged: Sequence[JudgedRow], level: Level) -> list[tuple[int, list[JudgedRow]]]:
        """Verdicts by group code of the level, most first."""
        codes = self._rows.codes[level]
        count = Counter(int(codes[each.row]) for each in judged)
        return [
            (code, [each for each in judged if codes[each.row] == code])
            for code, _ in sorted(count.items(), key=lambda item: (-item[1], item[0]))
            if code >= 0 and level in self._levels
        ]

    def _parent_explains(self, judged: Sequence[JudgedRow], level: Level, group: int, feature: int, sign: float) -> bool:
        """Whether a wider group around this one holds clearly more of the verdicts and shares the displacement."""
        mine = [each for each in judged if self._rows.codes[level][each.row] == group]
        for wider in list(Level)[: list(Level).index(level)]:
            code = int(self._rows.codes[wider][mine[0].row])
            around = [each for each in judged if code >= 0 and self._rows.codes[wider][each.row] == code]
            if wider not in self._levels or len(mine) >= _HOLDS * len(around) or self._wanting(around, wider):
                continue
            if self._affected_share(around, (wider, code), feature, sign) >= self._limits.min_affected:
                return True
        return False

    def _wanting(self, judged: Sequence[JudgedRow], level: Level) -> str:
        """What the evidence lacks for a group of that level; empty if it is enough."""
        authors = {each.feedback.author for each in judged}
        devices = {each.feedback.device for each in judged}
        days = {each.feedback.time.date() for each in judged}
        factor = self._limits.lone_author_factor if len(authors) == 1 else 1
        verdicts_needed, devices_needed = self._limits.min_verdicts * factor, self._limits.min_devices * factor
        lone = " by one author" if factor > 1 else ""
        if len(judged) < verdicts_needed:
            return f"{len(judged)} false-alarm verdicts{lone}; at least {verdicts_needed} are needed. Mark more of them."
        if level is Level.DEVICE:
            return "" if len(days) > 1 else "all verdicts are of one day. Wait until it recurs, or mark it expected."
        if len(devices) < devices_needed:
            return f"the verdicts{lone} are of {len(devices)} devices; a whole {level.value} needs at least {devices_needed}."
        return ""

    def _draft(self, judged: Sequence[JudgedRow], where: tuple[Level, int], feature: int, sign: float) -> Draft | Refusal:
        level, code = where
        statistics = self._levels[level]
        name, group = self._rows.features[feature].name, statistics.groups[code]
        against = [
            each for each in self._true if self._rows.codes[level][each.row] == code and self._is_off(each, feature, sign)
        ]
        if len(against) > self._limits.max_contradicting * (len(against) + len(judged)):
            return Refusal(
                name,
                group,
                f"{len(judged)} verdicts say false alarm and {len(against)} say true. Settle which they are first.",
                _ids(judged),
            )
        inside = self._rows.codes[level] == code
        own = inside & self._of_devices(judged)
        since = self._onset(own, judged, feature, sign)
        if since is None:
            return Refusal(
                name,
                group,
                "the marked rows are off, but most rows of their devices are not, or no longer: there is no new level to "
                "learn. Mark it expected for as long as it lasts, or ask for fewer anomalies with suggest_detector_settings.",
                _ids(judged),
            )
        judged = [each for each in judged if self._tells(each, feature, since)]
        wanting = self._wanting(judged, level)
        if wanting:
            return Refusal(
                name, group, f"counting from {moment(since):%Y-%m-%d %H:%M} UTC, when it began: {wanting}", _ids(judged)
            )
        gap = float(np.median(self._rows.gap[[each.row for each in judged], feature]))
        if sign * gap <= 0:
            return Refusal(name, group, "what was approved before has caught up with the judged rows.", _ids(judged))
        affected = self._affected_share(judged, where, feature, sign)
        if level is not Level.DEVICE and affected < self._limits.min_affected:
            return Refusal(
                name,
                group,
                f"only {100 * affected:.0f} % of the {level.value}'s devices are displaced so far; a shift would hide trouble "
                "of the others. Mark rows of single devices on several days, so that those devices' own baselines move.",
                _ids(judged),
            )
        return self._sized(statistics, code, feature, gap, since, judged, len(against), affected)

    def _sized(  # noqa: PLR0913, PLR0917 - the parts of one draft
        self,
        statistics: LevelStatistics,
        code: int,
        feature: int,
        gap: float,
        since: int,
        judged: Sequence[JudgedRow],
        contradicting: int,
        affected: float,
    ) -> Draft | Refusal:
        name, group = self._rows.features[feature].name, statistics.groups[code]
        index = [each.name for each in self._baselines.features].index(name)
        scale, median = float(statistics.scale[code, index]), float(np.nan_to_num(statistics.median[code, index]))
        if abs(gap) < _LEFT * scale:
            why = f"the judged rows lie {abs(gap) / scale:.1f} scales off by now: there is little left to learn."
            return Refusal(name, group, why, _ids(judged))
        most = self._limits.max_move * scale
        amount = float(np.clip(self._rate * gap, -most, most))
        before = sum(
            each.amount
            for each in self._baselines.adjustments
            if (each.level, each.group, each.feature) == (statistics.level, group, name)
        )
        if abs(before + amount) > self._limits.max_drift * scale:
            return Refusal(
                name,
                group,
                f"all approvals together would move it by {abs(before + amount) / scale:.1f} scales; the bound is "
                f"{self._limits.max_drift:g}. Recompute the baselines on newer telemetry instead.",
                _ids(judged),
            )
        adjustment = Adjustment(
            level=statistics.level,
            group=group,
            feature=name,
            amount=amount,
            full=gap,
            base_median=median,
            scale=scale,
            since=moment(since) if since > self._begin else None,
        )
        return Draft(
            adjustment,
            _ids(judged),
            len({each.feedback.device for each in judged}),
            tuple(sorted({each.feedback.author for each in judged})),
            contradicting,
            affected,
            self._psi(judged, feature, since),
        )

    def _psi(self, judged: Sequence[JudgedRow], feature: int, since: int) -> float | None:
        rows = self._of_devices(judged) & np.isfinite(self._rows.z[:, feature])
        now = self._rows.time >= since
        before, after = self._rows.z[rows & ~now, feature], self._rows.z[rows & now, feature]
        if len(before) < BINS:
            return None
        return psi_between(np.sort(before), np.sort(after))

    def _onset(self, own: Flags, judged: Sequence[JudgedRow], feature: int, sign: float) -> int | None:
        """Microseconds at which the lasting displacement of those rows began; None if there is none that lasts.

        A day is displaced if its median gap is at least half of what is usual on the days of the verdicts. The displacement is
        the last run of such days, pauses of up to three days included, and must reach the end of the window but for a pause.
        """
        rows = np.flatnonzero(own & np.isfinite(self._rows.whole[:, feature]))
        days, median = _median_by(self._day[rows], sign * self._rows.whole[rows, feature])
        of_verdicts = median[np.isin(days, self._day[[each.row for each in judged]])]
        typical = float(np.median(of_verdicts)) if len(of_verdicts) else 0.0
        off = days[median >= _HALF * typical] if typical > 0 else days[:0]
        if len(off) == 0 or int(off[-1]) < int(self._day.max()) - _PAUSE:
            return None
        breaks = np.flatnonzero(np.diff(off) > _PAUSE + 1)
        day = int(off[breaks[-1] + 1 if len(breaks) else 0]) * _DAY
        return max(self._step(rows, feature, sign, day, _HALF * typical), self._begin)

    def _step(self, rows: Rows, feature: int, sign: float, day: int, half: float) -> int:
        """The moment of the step around the first displaced day: half a window before the median gap passes half for good."""
        near = rows[np.abs(self._rows.time[rows] - day) <= _DAY]
        spell = self._rows.window // _STEPS
        stretches, median = _median_by(self._rows.time[near] // spell, sign * self._rows.whole[near, feature])
        below = np.flatnonzero(median < half)
        if len(below) == 0 or below[-1] + 1 == len(stretches):
            return day
        return int(stretches[below[-1] + 1]) * spell - self._rows.window // 2

    def _affected_share(self, judged: Sequence[JudgedRow], where: tuple[Level, int], feature: int, sign: float) -> float:
        """Share of the group's devices whose median gap since the first verdict is at least half of the judged devices'."""
        level, code = where
        inside = (self._rows.codes[level] == code) & np.isfinite(self._rows.whole[:, feature])
        inside &= self._rows.time >= min(int(self._rows.time[each.row]) for each in judged)
        device, own = self._rows.codes[Level.DEVICE], inside & self._of_devices(judged)
        if not own.any():
            return 0.0
        typical = float(np.median(sign * self._rows.whole[own, feature]))
        _, median = _median_by(device[inside], sign * self._rows.whole[inside, feature])
        return float(np.mean(median >= _HALF * typical)) if typical > 0 else 0.0

    def _of_devices(self, judged: Sequence[JudgedRow]) -> Flags:
        device = self._rows.codes[Level.DEVICE]
        return np.isin(device, device[[each.row for each in judged]])

    def _common(self, judged: Sequence[JudgedRow]) -> str:
        """What to call rows that no one group holds."""
        cohorts = {" / ".join(each.feedback.cohort) for each in judged}
        return cohorts.pop() if len(cohorts) == 1 else f"{len(cohorts)} cohorts"


def _ids(judged: Sequence[JudgedRow]) -> tuple[str, ...]:
    return tuple(each.feedback.id for each in judged)


def _median_by(keys: Rows | Codes, values: np.ndarray) -> tuple[Rows, np.ndarray]:
    """Each key, ascending, and the median of its values."""
    order = np.argsort(keys, kind="stable")
    known, starts = np.unique(keys[order], return_index=True)
    return known.astype(np.int64), np.array([np.median(part) for part in np.split(values[order], starts[1:])])
