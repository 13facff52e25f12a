"""Suggestions, their previews and effects. No tool approves: `apply_feedback` carries out what a person decided."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from server.domain.answers.answer import Rate
from server.domain.feedback import FeedbackFilter, Verdict
from server.domain.identity import Scope
from server.domain.suggestion import Effect, Preview, SuggestionStatus
from server.domain.telemetry import Frozen
from server.services.corrections import SuggestionPage
from server.services.suggesting import Suggested
from server.tools.applying import apply_tool
from server.tools.caller import who
from server.tools.desk import Desk
from server.tools.fields import (
    AlertBudget,
    Contamination,
    Cursor,
    DeviceName,
    FleetName,
    Limit,
    MetricName,
    SuggestionId,
    Weights,
    next_cursor,
    offset,
)
from server.tools.kept import RestsOn
from server.tools.offered import Offered, changing, reading

Cohort = Annotated[str, Field(min_length=1, max_length=300, description="Only this cohort, such as 'Zebra / TC57 / 13.4'.")]
Version = Annotated[int, Field(ge=1, le=1_000_000, description="The version to go back to; the one before if left out.")]


class SuggestionList(SuggestionPage):
    """Suggestions, newest first, without their previews."""

    cursor: str | None = Field(default=None, description="pass it to go on; null on the last page")


class EffectList(Frozen):
    """What approved suggestions changed: promised and happened, newest first."""

    summary: str
    effects: tuple[Effect, ...]
    judged_before: Rate | None = Field(
        default=None, description="precision on verdicts before the newest change: true ones among those judged"
    )
    judged_after: Rate | None = Field(default=None, description="the same after it, once its window is scored again")
    truncated: bool


class CorrectionTools:
    """From a verdict to a change that a person approved."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._app = desk, desk.app

    def offered(self) -> Sequence[Offered]:
        """The tools of this file."""
        suggest = (self.suggest_baseline_adjustments, self.suggest_detector_settings, self.suggest_rollback)
        titles = ("Suggest adjusted baselines", "Suggest detector settings", "Suggest a rollback")
        return (
            *(changing(each, title, Scope.FEEDBACK, repeatable=False) for each, title in zip(suggest, titles, strict=True)),
            reading(self.preview_suggestion, "Preview a suggestion", None),
            reading(self.list_suggestions, "List suggestions", RestsOn.STORES | RestsOn.CLOCK),
            changing(apply_tool(self._desk), "Apply an approved suggestion", Scope.FEEDBACK, repeatable=True, destructive=True),
            reading(self.list_effects, "List effects"),
        )

    def suggest_baseline_adjustments(
        self,
        *,
        device: DeviceName | None = None,
        metric: MetricName | None = None,
        cohort: Cohort | None = None,
        fleet: FleetName | None = None,
    ) -> Suggested:
        """Draft changes to what counts as normal, from what people marked false_alarm. Nothing changes by it.

        Says also what it would not suggest, and why. Next: preview_suggestion, then let a person decide.

        Example: {"metric": "TotalBatteryLevelDrop"}
        """
        return self._app.corrections.suggest_adjustments(
            who(Scope.FEEDBACK), fleet=fleet, device=device, metric=metric, cohort=cohort
        )

    def suggest_detector_settings(
        self,
        *,
        direction: Annotated[Literal["fewer", "more"], Field(description="Fewer or more anomalies, by how much is worked out.")]
        | None = None,
        contamination: Contamination | None = None,
        alerts_per_day: AlertBudget | None = None,
        domain_weights: Weights | None = None,
        fleet: FleetName | None = None,
    ) -> Suggested:
        """Draft other settings of the detector: how much it flags, and which metric domains count. Nothing changes by it.

        Too many false alarms everywhere: direction "fewer". False alarms of one cohort: rather suggest_baseline_adjustments.

        Example: {"direction": "fewer"}
        """
        return self._app.corrections.suggest_settings(
            who(Scope.FEEDBACK),
            fleet=fleet,
            contamination=contamination,
            alerts_per_day=alerts_per_day,
            domain_weights=domain_weights,
            direction=direction,
        )

    def suggest_rollback(
        self,
        to_version: Version | None = None,
        fleet: FleetName | None = None,
    ) -> Suggested:
        """Draft going back to what counted as normal in an earlier baseline version. Nothing changes by it.

        Example: {"to_version": 1}
        """
        return self._app.corrections.suggest_rollback(who(Scope.FEEDBACK), fleet=fleet, to_version=to_version)

    def preview_suggestion(self, suggestion: SuggestionId) -> Preview:
        """Show exactly what a suggestion would do: anomalies removed and added, incidents touched, whether it may pass.

        Show its counts to the person who decides; `hidden_true` (true anomalies that it would hide) and findings of the gate
        that are not passed speak against it.

        Example: {"suggestion": "s-10aa3f9c2b7d"}
        """
        return self._app.corrections.preview(who(Scope.READ), suggestion)

    def list_suggestions(
        self,
        *,
        status: Annotated[SuggestionStatus, Field(description="Only suggestions in this state.")] | None = None,
        fleet: FleetName | None = None,
        limit: Limit = 20,
        cursor: Cursor | None = None,
    ) -> SuggestionList:
        """List suggestions, newest first: what each would change, where it stands, and what was decided.

        Example: {"status": "pending"}
        """
        start = offset(cursor)
        page = self._app.corrections.page(who(Scope.READ), fleet=fleet, status=status, limit=limit, offset=start)
        bare = tuple(each.model_copy(update={"preview": None}) for each in page.suggestions)
        return SuggestionList(
            suggestions=bare, total=page.total, truncated=page.truncated, cursor=next_cursor(start, len(bare), page.total)
        )

    def list_effects(
        self,
        fleet: FleetName | None = None,
        limit: Annotated[int, Field(ge=1, le=50, description="Most entries to answer with.")] = 10,
    ) -> EffectList:
        """List what approved suggestions changed, newest first: whose verdicts, what was promised, and what happened.

        Example: {"limit": 5}
        """
        found = self._app.corrections.effects(who(Scope.READ), fleet=fleet, limit=limit + 1)
        shown = tuple(found[:limit])
        about = f"{len(shown)} changes, newest first." if shown else "Nothing was changed yet."
        before, after = self._precision(shown[0]) if shown else (None, None)
        return EffectList(summary=about, effects=shown, judged_before=before, judged_after=after, truncated=len(found) > limit)

    def _precision(self, effect: Effect) -> tuple[Rate, Rate | None]:
        """True ones among those judged true or false alarm, before the change and after it (None until it is re-scored)."""
        kinds = (Verdict.TRUE, Verdict.FALSE_ALARM)
        wanted = (FeedbackFilter(fleet=effect.fleet.name, verdict=kind) for kind in kinds)
        true, false = (self._app.verdicts.given(who(Scope.READ), each, limit=1).total for each in wanted)
        gone = [effect.removed.get(kind.value, 0) for kind in kinds]
        before = Rate(count=true, of=true + false, what="judged anomalies")
        if effect.alarms_after is None:
            return before, None
        return before, Rate(count=true - gone[0], of=true + false - sum(gone), what="judged anomalies")
