"""What a dashboard draws: health, the heaviest incidents, anomalies by day, and what waits for a person."""

from datetime import UTC, datetime, timedelta

import numpy as np

from server.domain.answers.incidents import IncidentPage
from server.domain.answers.overview import DayCount, Overview
from server.domain.run import Run
from server.domain.suggestion import SuggestionStatus
from server.domain.telemetry import Fleet
from server.services.reading.distribution import get_detector
from server.services.reading.health import check_data_health
from server.services.reading.incidents import IncidentFilter, list_incidents
from server.services.reading.shelf import Shown
from server.services.reading.sources import Sources
from server.services.reading.words import counted

_DAY = 86_400_000_000
_MOST_DAYS = 366
_INCIDENTS = 5
_SUGGESTIONS = 5
_RULES = 20


def overview(sources: Sources, fleet: Fleet) -> Overview:
    """Everything at a glance; without a persisted run, only what is there without one."""
    health, run = check_data_health(sources, fleet), sources.newest_shown(fleet)
    now = sources.clock()
    rules = sources.corrections.rules(fleet.tenant, fleet=fleet.name, active_at=now)
    suggestions, pending = sources.corrections.suggestions(
        fleet.tenant, now=now, fleet=fleet.name, status=SuggestionStatus.PENDING, limit=_SUGGESTIONS
    )
    incidents = _incidents(sources, fleet, run)
    return Overview(
        summary=f"{counted(incidents.total, 'incident')} open to look at, {counted(pending, 'suggestion')} to decide, "
        f"{counted(len(rules), 'expected rule')} in force; {health.summary}",
        fleet=fleet.name,
        run=run.id if run else "",
        window=health.window,
        telemetry_until=health.telemetry_until,
        health=health,
        incidents=incidents,
        by_day=anomalies_by_day(sources.shown(run)) if run else (),
        detector=get_detector(sources, run) if run else None,
        baseline=sources.records.baseline_version(fleet),
        suggestions=tuple(suggestions),
        suggestions_pending=pending,
        rules=tuple(rules[:_RULES]),
        rules_in_force=len(rules),
    )


def anomalies_by_day(shown: Shown) -> tuple[DayCount, ...]:
    """Rows, anomalies and affected devices of each day (UTC) with rows, the last 366 of them."""
    day = shown.time // _DAY
    days, rows = np.unique(day, return_counts=True)
    place = np.searchsorted(days, day[shown.flagged])
    anomalies = np.bincount(place, minlength=len(days))
    pairs = np.unique(place * len(shown.members.devices) + shown.device[shown.flagged])
    devices = np.bincount(pairs // max(len(shown.members.devices), 1), minlength=len(days))
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    found = zip(days.tolist(), rows.tolist(), anomalies.tolist(), devices.tolist(), strict=True)
    return tuple(
        DayCount(day=f"{epoch + timedelta(days=number):%Y-%m-%d}", rows=count, anomalies=bad, devices=affected)
        for number, count, bad, affected in found
    )[-_MOST_DAYS:]


def _incidents(sources: Sources, fleet: Fleet, run: Run | None) -> IncidentPage:
    if run is None:
        return IncidentPage(summary="No run has persisted anomalies.", fleet=fleet.name, total=0, truncated=False, incidents=())
    return list_incidents(sources, run, IncidentFilter(), limit=_INCIDENTS, offset=0)
