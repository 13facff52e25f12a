"""The guards: a stage runs only on what is present and fresh, whatever was called before, and a refusal names the way on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import permutations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from server.domain.run import REQUIRES, Run, SourceSpec, Stage, StageRecord, StageStatus, require_ready
from server.domain.settings import WalkSettings
from server.domain.telemetry import Fleet
from server.errors import StageNotReady

NOW = datetime(2025, 1, 1, tzinfo=UTC)
SOURCE = SourceSpec(connector="files", location="fleet.csv")
NEW = Run(id="walk", fleet=Fleet(), settings=WalkSettings(), created=NOW, source=SOURCE)


def attempt(run: Run, stage: Stage, content: str) -> Run:
    """The run after one call of a verb that makes `content`; empty content is a failure. Raises what the guard raises."""
    require_ready(run, stage)
    status, error = (StageStatus.DONE, "") if content else (StageStatus.FAILED, "no space")
    consumed = run.inputs(stage)
    return run.with_record(
        StageRecord(
            stage=stage, status=status, digest=content, consumed=consumed, error=error, started=NOW, finished=NOW
        )
    )  # fmt: skip


def walked(contents: Mapping[Stage, str] | None = None) -> Run:
    """A run with every stage done."""
    run = NEW
    for stage in Stage:
        run = attempt(run, stage, (contents or {}).get(stage, f"{stage.value}-1"))
    return run


@dataclass(frozen=True)
class Built:
    """What a stage truly made: its content, and what each of its inputs truly was at that moment."""

    content: str
    made_from: Mapping[Stage, "Built"]


class AnyInterleaving(RuleBasedStateMachine):
    """Verbs in any order, each failing or making old or new content, against a ledger that forgets nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.run = NEW
        self.standing: dict[Stage, Built] = {}

    @rule(stage=st.sampled_from(Stage), content=st.sampled_from(["", "a", "b", "c"]))
    def call(self, stage: Stage, content: str) -> None:
        """A verb runs exactly if all it stands on stands, and is refused by the first in order that does not."""
        below = [need for need in Stage if need in ancestors(stage)]
        blockers = [need for need in below if not self.stands(need)]
        if blockers:
            with pytest.raises(StageNotReady, match=f"Call {blockers[0].value} next") as refusal:
                attempt(self.run, stage, content)
            assert refusal.value.blocker == blockers[0].value
            return
        self.run = attempt(self.run, stage, content)
        self.standing.pop(stage, None)
        if content:
            self.standing[stage] = Built(content, {need: self.standing[need] for need in REQUIRES[stage]})

    @rule()
    def call_next(self) -> None:
        """The verb that the run names as next is never refused."""
        stage = self.run.next_stage()
        if stage is not None:
            self.call(stage, "a")
            assert self.stands(stage)

    @invariant()
    def nothing_that_stands_was_made_from_anything_else(self) -> None:
        """Freshness in the run is truth in the ledger, for every stage."""
        for stage in Stage:
            assert self.run.is_fresh(stage) == self.stands(stage)
        unmade = [stage for stage in Stage if not self.stands(stage)]
        assert self.run.next_stage() == (unmade[0] if unmade else None)

    def stands(self, stage: Stage) -> bool:
        """Whether the stage is made, and of the very contents that its inputs, all of them standing, have now."""
        built = self.standing.get(stage)
        return built is not None and all(
            self.stands(need) and self.standing[need].content == made_from.content
            for need, made_from in built.made_from.items()
        )


TestAnyInterleaving = AnyInterleaving.TestCase
TestAnyInterleaving.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)


def ancestors(stage: Stage) -> set[Stage]:
    """All that a stage stands on, found by walking the table upwards."""
    found: set[Stage] = set()
    waiting = list(REQUIRES[stage])
    while waiting:
        need = waiting.pop()
        found.add(need)
        waiting += [each for each in REQUIRES[need] if each not in found]
    return found


def test_the_order_table_is_complete_and_acyclic() -> None:
    """Every stage is in it, stands only on earlier ones, and all but the first stand on the first."""
    assert list(REQUIRES) == list(Stage)
    order = list(Stage)
    for stage, needs in REQUIRES.items():
        assert all(order.index(need) < order.index(stage) for need in needs), stage
        assert len(set(needs)) == len(needs)
    assert all(Stage.INGEST in ancestors(stage) for stage in Stage if stage is not Stage.INGEST)
    assert set().union(*REQUIRES.values()) == set(Stage) - {Stage.PERSIST}


def test_a_new_baseline_version_makes_training_and_all_below_it_stale() -> None:
    """With no further rule: what was built on the old digest no longer stands, and training is the verb to call."""
    run = attempt(walked(), Stage.BASELINES, "compute_baselines-2")
    assert [stage for stage in Stage if not run.is_fresh(stage)] == [Stage.TRAIN, Stage.SCORE, Stage.PERSIST]
    for stage in (Stage.SCORE, Stage.PERSIST):
        with pytest.raises(StageNotReady, match=r"which is stale: compute_baselines changed since\. Call train_detector next"):
            require_ready(run, stage)
    for stage in (Stage.TRAIN, Stage.SCORE, Stage.PERSIST):
        run = attempt(run, stage, f"{stage.value}-2")
    assert run.next_stage() is None


def test_the_baseline_version_of_before_makes_everything_stand_again() -> None:
    """A rollback is recognised by its digest: nothing has to be trained or scored anew."""
    run = attempt(attempt(walked(), Stage.BASELINES, "other"), Stage.BASELINES, "compute_baselines-1")
    assert run.next_stage() is None


@pytest.mark.parametrize("stage", Stage)
def test_a_failed_stage_blocks_all_below_it_and_says_why(stage: Stage) -> None:
    """Nothing runs on what an earlier attempt of it had made."""
    run = attempt(walked(), stage, "")
    assert run.next_stage() is stage
    require_ready(run, stage)
    for below in Stage:
        if stage in ancestors(below):
            with pytest.raises(StageNotReady, match=f"which is failed: no space. Call {stage.value} next"):
                require_ready(run, below)


def test_a_stage_repeated_with_the_same_outcome_leaves_all_below_it_fresh() -> None:
    """Content counts, not the time of day."""
    run = walked()
    for stage in Stage:
        run = attempt(run, stage, f"{stage.value}-1")
        assert run.next_stage() is None


def test_every_order_of_calls_ends_in_the_same_walk_when_refusals_are_followed() -> None:
    """All 720: whoever calls the verb that a refusal names, and then again what was refused, gets there."""
    for order in permutations(Stage):
        run, refused = NEW, 0
        for stage in order:
            while not run.is_fresh(stage):
                try:
                    run = attempt(run, stage, f"{stage.value}-1")
                except StageNotReady as refusal:
                    refused += 1
                    run = attempt(run, Stage(refusal.blocker), f"{refusal.blocker}-1")
        assert run == walked()
        assert refused == sum(1 for stage in Stage if any(order.index(stage) > order.index(later) for later in below(stage)))


def below(stage: Stage) -> set[Stage]:
    """All that stands on a stage."""
    return {each for each in Stage if stage in ancestors(each)}
