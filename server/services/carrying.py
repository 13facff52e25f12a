"""What an artifact of a fleet already holds of one that is to be made: what no new row and no new version can have changed."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np

from server.detectors.registry import Detectors
from server.detectors.stored import Trained, read_trained
from server.domain.run import Run, Stage
from server.domain.telemetry import Snapshot
from server.errors import ArtifactDamaged, NotFound, TelemetryPruned
from server.pipeline.baselines import BaselineSet, same_estimate
from server.pipeline.counterfactual import changed_adjustments, reach_of
from server.pipeline.extend import NEVER, Carried, carried, unchanged_before
from server.pipeline.features import FeaturePlan, plan_features
from server.pipeline.regroup import regrouped
from server.pipeline.stored import read_baselines
from server.services.made import Made, Stores

_EARLIER_RUNS = 50


@dataclass(frozen=True, slots=True)
class _Adjusted:
    """What a stage made before approved adjustments changed, and the baselines before and after that."""

    made: Path
    before: BaselineSet
    after: BaselineSet


class Carrying:
    """Finds what can be kept. Where it finds nothing all is made from the beginning, with the same outcome."""

    def __init__(self, made: Made, stores: Stores, detectors: Detectors) -> None:
        self._made, self._stores, self._detectors = made, stores, detectors

    def features(self, run: Run, snapshot: Snapshot, plan: FeaturePlan) -> Carried | None:
        """What the features of the fleet's newest other run under the same plan hold of this run's."""
        for other in self._others(run, Stage.FEATURES):
            with suppress(NotFound, ArtifactDamaged, TelemetryPruned):  # as if that run had never been
                before = self._made.snapshot(other)
                if plan_features(before, other.settings.features) == plan:
                    return self._between(self._made.feature_table(other).path, before, snapshot)
        return None

    def baselines(self, run: Run) -> BaselineSet | None:
        """The baselines in force, by the run's groups, if its settings keep them for as far as its telemetry goes."""
        keep_for, in_force = run.settings.baselines.keep_for, self._stores.records.baseline_version(run.fleet)
        if keep_for is None or in_force is None:
            return None
        with suppress(NotFound, ArtifactDamaged):
            origin = self._stores.records.run(run.fleet.tenant, in_force.run)
            found = read_baselines(self._made.artifact(origin, in_force.artifact))
            table = self._made.feature_table(run)
            if not isinstance(found, BaselineSet) or found.plan != table.plan or _rules(origin) != _rules(run):
                return None
            if 0 <= int(table.time.max()) - found.until <= keep_for // timedelta(microseconds=1):
                return regrouped(found, table, self._made.members(run))
        return None

    def trained(self, run: Run) -> Trained | None:
        """A detector that was trained on the run's estimate, which approved adjustments do not change."""
        own = self._adjusted(run, Stage.TRAIN)
        if own is not None:
            return read_trained(own.made, self._detectors)
        newest = self._stores.records.detector_version(run.fleet)
        if run.settings.baselines.keep_for is None or newest is None:
            return None
        with suppress(NotFound, ArtifactDamaged):
            origin = self._stores.records.run(run.fleet.tenant, newest.run)
            if origin.settings.detector == run.settings.detector and self._carried_over(origin, run):
                return read_trained(self._made.artifact(origin, newest.artifact), self._detectors)
        return None

    def scores(self, run: Run) -> Carried | None:
        """What scores by the same detector and baselines hold of the run's: its own, or those of the run before it."""
        found = self._adjusted(run, Stage.SCORE)
        if found is None:
            return self._scores_before(run)
        table, members = self._made.feature_table(run), self._made.members(run)
        reach = reach_of(table, found.after, changed_adjustments(found.before.adjustments, found.after.adjustments))
        since = np.full(len(members.devices), NEVER)
        np.minimum.at(since, table.key("device")[reach.rows], table.time[reach.rows])
        return unchanged_before(found.made, members, since)

    def _between(self, path: Path, before: Snapshot, after: Snapshot) -> Carried | None:
        telemetry = self._stores.telemetry()
        differences = telemetry.differences(before, after)
        if differences is None:
            return None
        return carried(path, telemetry.members(before), telemetry.members(after), differences)

    def _scores_before(self, run: Run) -> Carried | None:
        if run.settings.baselines.keep_for is None:
            return None
        for other in self._others(run, Stage.SCORE):
            with suppress(NotFound, ArtifactDamaged, TelemetryPruned):
                same = other.inputs(Stage.SCORE)[Stage.TRAIN.value] == run.inputs(Stage.SCORE)[Stage.TRAIN.value]
                same = same and other.settings.name_every_row == run.settings.name_every_row
                if same and self._carried_over(other, run, adjusted=True):
                    return self._between(self._made.scores(other), self._made.snapshot(other), self._made.snapshot(run))
        return None

    def _carried_over(self, other: Run, run: Run, *, adjusted: bool = False) -> bool:
        """Whether the run's baselines are the other's, by its own groups; with `adjusted`, what was approved as well."""
        theirs, ours = self._made.baseline_set(other), self._made.baseline_set(run)
        if not isinstance(theirs, BaselineSet) or not isinstance(ours, BaselineSet) or theirs.plan != ours.plan:
            return False
        same = same_estimate(regrouped(theirs, self._made.feature_table(run), self._made.members(run)), ours)
        return same and (not adjusted or theirs.adjustments == ours.adjustments)

    def _others(self, run: Run, stage: Stage) -> Iterator[Run]:
        """Other runs of the fleet whose stage is fresh, newest first."""
        runs = self._stores.records.runs(run.fleet.tenant, fleet=run.fleet.name, limit=_EARLIER_RUNS)
        return (other for other in runs if other.id != run.id and other.is_fresh(stage))

    def _adjusted(self, run: Run, stage: Stage) -> _Adjusted | None:
        """None unless the stage was done from what there is now but for other adjustments over the same estimate."""
        record = run.done(stage)
        if record is None:
            return None
        then, now = dict(record.consumed), run.inputs(stage)
        digest = then.pop(Stage.BASELINES.value)
        now.pop(Stage.BASELINES.value)
        if then != now:
            return None
        with suppress(NotFound, ArtifactDamaged):
            made = self._made.artifact(run, record.artifact)
            # a run that did without baselines left no such file behind
            before = read_baselines(self._made.artifact(run, f"{Stage.BASELINES.value}-{digest}.parquet"))
            after = self._made.baseline_set(run)
            if isinstance(before, BaselineSet) and isinstance(after, BaselineSet) and same_estimate(before, after):
                return _Adjusted(made, before, after)
        return None


def _rules(run: Run) -> tuple[object, ...]:
    """What an estimate depends on besides telemetry and the plan of features."""
    return run.settings.baselines.model_copy(update={"keep_for": None}), run.settings.fit_split
