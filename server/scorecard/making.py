"""Making a scorecard: the walk's features and baselines once, then every method fitted and scored on the same rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from time import process_time

import numpy as np
import numpy.typing as npt

from server.detectors.base import DesignMatrix, Scorer, take_rows
from server.domain.run import Run
from server.domain.settings import DetectorSettings
from server.pipeline.baselines import RawFallback
from server.pipeline.normalize import normalize
from server.pipeline.score import by_metric
from server.pipeline.train import join, sampled_devices
from server.scorecard.card import Card, Line, Points, line_of
from server.scorecard.causes import Cause, share_named
from server.scorecard.contestants import Contestant, Group
from server.scorecard.labelled import Labelled, device_bounds
from server.scorecard.measures import Answers, Quality, quality
from server.scorecard.outside import OutsideMethod, device_z
from server.services.stages import Stages

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Say = Callable[[str], None]

_CURVE_POINTS = 200
_WARM_ROWS = 500


@dataclass(frozen=True)
class Walked:
    """A run that has baselines: the rows that detectors see, normalised as the walk does it."""

    stages: Stages
    run: Run

    def matrices(self, devices: Rows | None = None) -> Iterator[DesignMatrix]:
        """Design matrices of whole devices, in order, of those devices or all; approved adjustments play no part."""
        found = self.stages.baseline_set(self.run)
        estimate = found if isinstance(found, RawFallback) else found.estimate
        return normalize(self.stages.feature_table(self.run).blocks(devices), estimate)

    @cached_property
    def reference(self) -> DesignMatrix:
        """What the walk trains on."""
        return join(list(self.matrices(sampled_devices(self.stages.members(self.run).rows))))


@dataclass(frozen=True)
class Judging:
    """The rows that are judged, and how."""

    labelled: Labelled
    causes: Sequence[Cause]
    window: int

    @cached_property
    def answers(self) -> Answers:
        """Labels of the judged rows."""
        judged = self.labelled.judged
        return Answers(self.labelled.label[judged], device_bounds(self.labelled.device[judged]))

    def quality(self, severity: Floats, top1_cause: float | None = None) -> Quality:
        """Measures of the severities of all labelled rows; rows that were not scored are NaN and count as the mildest."""
        return quality(self.answers, self.judged(severity), self.window, top1_cause)

    def judged(self, severity: Floats) -> Floats:
        """Severities of the judged rows."""
        own = severity[self.labelled.judged]
        return np.where(np.isnan(own), np.nanmin(own) - 1.0, own)


@dataclass
class _Entry:
    """One detector with one seed: its scorer, its severities by labelled row, and its CPU seconds."""

    contestant: Contestant
    scorer: Scorer
    middle: float
    fit_cpu: float
    severity: Floats
    score_cpu: float = 0.0
    top1_cause: float | None = None


def make_card(
    walked: Walked,
    judging: Judging,
    contestants: Sequence[Contestant],
    outside: Sequence[OutsideMethod],
    *,
    seeds: Sequence[int],
    say: Say,
) -> Card:
    """Every contestant and outside method on the labelled rows; those that draw nothing run with one seed only."""
    labelled, settings = judging.labelled, walked.run.settings.detector
    entries: list[_Entry] = []
    for contestant in contestants:
        say(f"fitting {contestant.name}")
        for seed in seeds if contestant.seeded else seeds[:1]:
            entries.append(_fitted(contestant, walked.reference, settings, seed, len(labelled.time)))  # noqa: PERF401 - says
    say("scoring")
    _score(walked, labelled, entries)
    if judging.causes:
        _name_causes(walked, judging, entries)
    lines = [_line(entries, contestant, judging) for contestant in contestants]
    curves = {one.contestant.name: _curve(judging, one.severity) for one in reversed(entries) if _drawn(one.contestant)}
    z = device_z(labelled.values, labelled.bounds, labelled.fitted) if outside else np.empty((0, 0))
    for method in outside:
        say(f"running {method.name}")
        line, severity = _outside_line(method, z, judging, seeds)
        lines.append(line)
        curves[method.name] = _curve(judging, severity)
    answers = judging.answers
    return Card(
        labelled_name(walked.run),
        len(labelled.time),
        len(answers.label),
        len(answers.bounds) - 1,
        len(list(answers.events())),
        float(answers.label.mean()),
        judging.window,
        tuple(seeds),
        tuple(lines),
        curves,
    )


def labelled_name(run: Run) -> str:
    """The file's name without its folders."""
    return run.source.location.rsplit("/", 1)[-1]


def _drawn(contestant: Contestant) -> bool:
    return contestant.group is not Group.ABLATION


def _fitted(contestant: Contestant, reference: DesignMatrix, settings: DetectorSettings, seed: int, rows: int) -> _Entry:
    seeded = settings.model_copy(update={"random_state": seed})
    few = take_rows(reference, np.flatnonzero(reference.reference)[:_WARM_ROWS])
    # what is compiled or imported now is not the method's cost
    contestant.detector.fit(few, seeded.model_copy(update={"n_estimators": 2})).score(few)
    start = process_time()
    scorer = contestant.detector.fit(reference, seeded)
    cpu = process_time() - start
    middle = float(np.median(scorer.score(reference)[reference.reference]))
    return _Entry(contestant, scorer, middle, cpu, np.full(rows, np.nan))


def _score(walked: Walked, labelled: Labelled, entries: Sequence[_Entry]) -> None:
    """Fill the judged rows' severities, 0 for the milder half of the reference rows, in the order that people see."""
    devices = walked.stages.members(walked.run).devices
    for matrix in walked.matrices():
        place = labelled.places(devices, matrix.device.astype(np.int64), matrix.time)
        rows = np.flatnonzero((place >= 0) & labelled.judged[place])
        if len(rows) == 0:
            continue
        chosen = take_rows(matrix, rows)
        for entry in entries:
            start = process_time()
            scores = entry.scorer.score(chosen)
            entry.score_cpu += process_time() - start
            entry.severity[place[rows]] = np.maximum(entry.middle - scores, 0.0)


def _name_causes(walked: Walked, judging: Judging, entries: Sequence[_Entry]) -> None:
    """Ask each scorer for the metric that it names first at each event's worst row."""
    judged = np.flatnonzero(judging.labelled.judged)
    worst = [
        [int(judged[rows.start + int(own[rows].argmax())]) for rows in (cause.rows for cause in judging.causes)]
        for own in (judging.judged(entry.severity) for entry in entries)
    ]
    wanted = np.unique(np.concatenate([np.array(rows, np.int64) for rows in worst]))
    devices, found = walked.stages.members(walked.run).devices, dict[int, list[str]]()
    for matrix in walked.matrices():
        place = judging.labelled.places(devices, matrix.device.astype(np.int64), matrix.time)
        rows = np.flatnonzero(np.isin(place, wanted))
        if len(rows):
            chosen = take_rows(matrix, rows)
            names = [_first_names(entry.scorer, chosen) for entry in entries]
            found |= {int(row): [one[at] for one in names] for at, row in enumerate(place[rows])}
    for number, entry in enumerate(entries):
        named = [found[row][number] if row in found else "" for row in worst[number]]
        entry.top1_cause = share_named(judging.causes, named)


def _first_names(scorer: Scorer, matrix: DesignMatrix) -> list[str]:
    return by_metric(scorer.explain(matrix, np.arange(len(matrix.z))), matrix.columns).first_names()


def _line(entries: Sequence[_Entry], contestant: Contestant, judging: Judging) -> Line:
    own = [entry for entry in entries if entry.contestant is contestant]
    found = [judging.quality(entry.severity, entry.top1_cause) for entry in own]
    return line_of(
        contestant.name, contestant.group, found, [entry.fit_cpu for entry in own], [entry.score_cpu for entry in own]
    )


def _outside_line(method: OutsideMethod, z: Floats, judging: Judging, seeds: Sequence[int]) -> tuple[Line, Floats]:
    """Its line, and the severities with the first seed. Fit and scoring are not told apart."""
    cpu: list[float] = []
    severities: list[Floats] = []
    method.scores(z[:_WARM_ROWS], np.ones(min(len(z), _WARM_ROWS), bool), 0)
    for seed in seeds if method.seeded else seeds[:1]:
        start = process_time()
        severities.append(method.scores(z, judging.labelled.fitted, seed))
        cpu.append(process_time() - start)
    found = [judging.quality(severity) for severity in severities]
    return line_of(method.name, Group.OUTSIDE, found, [0.0] * len(cpu), cpu), severities[0]


def _curve(judging: Judging, severity: Floats) -> Points:
    from sklearn.metrics import precision_recall_curve  # noqa: PLC0415 - brings scikit-learn

    precision, recall, _ = precision_recall_curve(judging.answers.label, judging.judged(severity))
    chosen = np.unique(np.linspace(0, len(recall) - 1, _CURVE_POINTS).astype(np.int64))
    return [(round(float(recall[at]), 4), round(float(precision[at]), 4)) for at in chosen]
