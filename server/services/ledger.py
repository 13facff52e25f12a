"""The effect ledger: what approved changes led to, and which of them a rollback undid."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime

import numpy as np

from server.domain.run import Run
from server.domain.suggestion import UNLABELLED, Effect, Suggestion, SuggestionKind
from server.pipeline.counterfactual import Flags, Stored
from server.pipeline.overlay import origin
from server.services.recollection import Recollection
from server.services.stages import Stages
from server.services.weighing import verdicts_that_count
from server.storage.base import CorrectionRecords, Records

_MOST_EFFECTS = 1_000


class Ledger:
    """Completes the entries of applied suggestions, and says what was applied since a suggestion was made."""

    def __init__(
        self,
        records: Records,
        corrections: CorrectionRecords,
        stages: Stages,
        recollection: Recollection,
        clock: Callable[[], datetime],
    ) -> None:
        self._records, self._corrections, self._stages = records, corrections, stages
        self._recollection, self._clock = recollection, clock

    def settings_changed_since(self, suggestion: Suggestion) -> bool:
        """Whether it would change the detector's settings, and others than those it was made for are in force by now.

        The base version does not tell: a change of settings makes no baseline version.
        """
        if suggestion.kind is not SuggestionKind.DETECTOR_SETTINGS:
            return False
        return any(
            each.kind is SuggestionKind.DETECTOR_SETTINGS
            and each.suggestion != suggestion.id
            and each.applied >= suggestion.created
            for each in self._entries(suggestion)
        )

    def completed(self, effect: Effect, run: Run) -> Effect:
        """The entry with what happened, once the run is scored again; what a rollback undid is marked.

        Where another change to the run came before that, what this one did alone can no longer be counted, and it is left open.
        """
        if effect.alarms_after is not None or run.next_stage() is not None:
            return effect
        newest = next((each for each in self._entries(effect) if each.run == effect.run), effect)
        if newest.suggestion != effect.suggestion:
            return effect
        if effect.kind is SuggestionKind.ROLLBACK:
            self._mark_undone(effect)  # first: an entry that is complete is not looked at again
        before, after = Stored.read(self._stages.artifact(run, effect.scores_before)), Stored.read(self._stages.scores(run))
        done = effect.model_copy(
            update={
                "alarms_after": int(after.flagged.sum()),
                "removed": self._by_verdict(effect, run, after, before.flagged & ~after.flagged),
                "added": self._by_verdict(effect, run, after, after.flagged & ~before.flagged),
            }
        )
        self._corrections.save_effect(done)
        return done

    def _entries(self, of: Suggestion | Effect) -> list[Effect]:
        return list(self._corrections.effects(of.fleet.tenant, fleet=of.fleet.name, limit=_MOST_EFFECTS))

    def _by_verdict(self, effect: Effect, run: Run, scored: Stored, flags: Flags) -> dict[str, int]:
        counting = verdicts_that_count(self._corrections, effect.fleet)
        verdicts = {key: each.verdict.value for key, each in counting.items()}
        names, rows = self._stages.members(run).devices, np.flatnonzero(flags)
        keys = zip(scored.device[rows].tolist(), scored.time[rows].tolist(), strict=True)
        return dict(sorted(Counter(verdicts.get((names[code], at), UNLABELLED) for code, at in keys).items()))

    def _mark_undone(self, rollback: Effect) -> None:
        """Note in the ledger and in memory which earlier changes are no longer in force."""
        in_force = self._records.baseline_version(rollback.fleet)
        kept = Counter(origin(each) for each in in_force.adjustments) if in_force else Counter()
        for effect in self._entries(rollback):
            if effect.kind is not SuggestionKind.BASELINE_ADJUSTMENT or effect.undone_by:
                continue
            standing = self._corrections.suggestion(rollback.fleet.tenant, effect.suggestion, now=self._clock())
            if not Counter(origin(each) for each in standing.suggestion.adjustments) <= kept:
                # memory first: an entry that says so is not looked at again
                self._recollection.decided(standing, undone=True)
                self._corrections.save_effect(effect.model_copy(update={"undone_by": rollback.suggestion}))
