"""Suggestions: drafted from verdicts, shown with exactly what they would do. Nothing changes by any of this."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from server.api.door import Judge, Parts, Reader
from server.api.fields import Asked, FleetName, Limit, Named, OfFleet, Offset, SuggestionName
from server.domain.suggestion import Preview, StandingSuggestion, SuggestionStatus
from server.domain.telemetry import Frozen
from server.services.suggesting import Direction, Refused, Suggested

router = APIRouter(prefix="/suggestions", tags=["suggestions"])


class Standing(StandingSuggestion):
    """A suggestion, where it stands, and the digest that a decision on it has to name."""

    digest: str


class SuggestionList(Frozen):
    """Suggestions, newest first, without their previews."""

    suggestions: tuple[Standing, ...]
    total: int
    offset: int
    truncated: bool


class Drafted(Frozen):
    """Suggestions that a person may now look at and decide on, and what was refused and why."""

    suggestions: tuple[Standing, ...]
    refused: tuple[Refused, ...]
    summary: str


class AskedAdjustments(Asked):
    """Which false alarms a suggestion is to be made from; unset: all."""

    device: Named | None = None
    metric: Named | None = None
    cohort: Named | None = None
    fleet: FleetName | None = None


class AskedDetector(Asked):
    """Which settings of the detector are to be others."""

    direction: Direction | None = Field(default=None, description="whether there shall be fewer or more anomalies")
    contamination: float | None = Field(default=None, gt=0, le=0.5, description="share of rows to flag")
    alerts_per_day: float | None = Field(default=None, gt=0, le=1_000_000, description="anomalies a day to allow")
    domain_weights: dict[Named, Annotated[float, Field(ge=0, le=10)]] | None = Field(default=None, max_length=32)
    fleet: FleetName | None = None


class AskedRollback(Asked):
    """The version to go back to; unset: the one before."""

    to_version: int | None = Field(default=None, ge=1, le=1_000_000)
    fleet: FleetName | None = None


@router.get("")
def list_suggestions(
    app: Parts,
    who: Reader,
    *,
    status: Annotated[SuggestionStatus | None, Query(description="Only those that stand so.")] = None,
    fleet: OfFleet = None,
    limit: Limit = 20,
    offset: Offset = 0,
) -> SuggestionList:
    """Suggestions, newest first, without their previews."""
    page = app.corrections.page(who, fleet=fleet, status=status, limit=limit, offset=offset)
    bare = tuple(with_digest(each.model_copy(update={"preview": None})) for each in page.suggestions)
    return SuggestionList(suggestions=bare, total=page.total, offset=offset, truncated=page.truncated)


@router.post("/adjustments", status_code=201)
def suggest_baseline_adjustments(asked: AskedAdjustments, app: Parts, who: Judge) -> Drafted:
    """Draft changes to what counts as normal, from what people marked false_alarm."""
    return _drafted(
        app.corrections.suggest_adjustments(
            who, fleet=asked.fleet, device=asked.device, metric=asked.metric, cohort=asked.cohort
        )
    )


@router.post("/settings", status_code=201)
def suggest_detector_settings(asked: AskedDetector, app: Parts, who: Judge) -> Drafted:
    """Draft other settings of the detector: how much it flags, and which metric domains count."""
    return _drafted(
        app.corrections.suggest_settings(
            who,
            fleet=asked.fleet,
            contamination=asked.contamination,
            alerts_per_day=asked.alerts_per_day,
            domain_weights=asked.domain_weights,
            direction=asked.direction,
        )
    )


@router.post("/rollback", status_code=201)
def suggest_rollback(asked: AskedRollback, app: Parts, who: Judge) -> Drafted:
    """Draft going back to what counted as normal in an earlier baseline version."""
    return _drafted(app.corrections.suggest_rollback(who, fleet=asked.fleet, to_version=asked.to_version))


@router.get("/{suggestion}")
def get_suggestion(suggestion: SuggestionName, app: Parts, who: Reader) -> Standing:
    """One suggestion as it stands now, with its newest preview and what was decided."""
    return with_digest(app.corrections.get(who, suggestion))


@router.get("/{suggestion}/preview")
def preview_suggestion(suggestion: SuggestionName, app: Parts, who: Reader) -> Preview:
    """Exactly what it would do: anomalies removed and added, by verdict, incidents touched, and the gate."""
    return app.corrections.preview(who, suggestion)


def with_digest(standing: StandingSuggestion) -> Standing:
    """The suggestion as this surface shows it. Its parts are not validated a second time."""
    return Standing.model_construct(**dict(standing), digest=standing.suggestion.digest)


def _drafted(suggested: Suggested) -> Drafted:
    standing = tuple(with_digest(each) for each in suggested.suggestions)
    return Drafted(suggestions=standing, refused=suggested.refused, summary=suggested.summary)
