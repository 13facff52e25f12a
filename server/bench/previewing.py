"""The preview of a change to one cohort's baselines, on a walked home."""

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from server.bench.child import Figures
from server.domain.audit import AuditEntry
from server.domain.baseline import Adjustment, Level
from server.domain.identity import Principal
from server.domain.run import Run
from server.domain.suggestion import Suggestion, SuggestionKind

if TYPE_CHECKING:
    from server.pipeline.baselines import BaselineSet

_SCALES = 0.5
_WHO = Principal.model_validate({"name": "bench"})


def preview(given: Mapping[str, Any]) -> Figures:
    """Seconds for the preview of a move of half a robust scale for one cohort's first feature; how many devices it reaches."""
    from server.app import App  # noqa: PLC0415 - numba and the stores
    from server.bench.readings import settings_at  # noqa: PLC0415 - as above
    from server.pipeline.baselines import RawFallback  # noqa: PLC0415 - as above

    with App(settings_at(Path(given["home"]))) as app:
        run = app.records.run("default", given["run"])
        baselines, version = app.walk.stages.baseline_set(run), app.records.baseline_version(run.fleet)
        if version is None or isinstance(baselines, RawFallback):
            raise TypeError(f"run {run.id} has no baselines to adjust")
        suggestion = _suggestion(run, version.version, _adjustment(baselines), app.clock())
        entry = {"tenant": run.fleet.tenant, "time": app.clock(), "actor": _WHO.name, "channel": "cli"}
        act = {"action": "suggest", "subject": suggestion.id, "outcome": "measured"}
        app.records.corrections.add_suggestion(suggestion, AuditEntry.model_validate(entry | act))
        begin = time.process_time()
        shown = app.corrections.preview(_WHO, suggestion.id)
        return {"seconds": shown.seconds, "cpu": time.process_time() - begin, "devices": shown.devices}


def _adjustment(baselines: "BaselineSet") -> Adjustment:
    cohorts = next(level for level in baselines.levels if level.level is Level.COHORT)
    scale = float(cohorts.scale[0, 0])
    return Adjustment(
        level=Level.COHORT,
        group=cohorts.groups[0],
        feature=baselines.features[0].name,
        amount=_SCALES * scale,
        full=_SCALES * scale,
        base_median=float(cohorts.median[0, 0]),
        scale=scale,
    )


def _suggestion(run: Run, version: int, adjustment: Adjustment, now: datetime) -> Suggestion:
    return Suggestion(
        id=f"s-{time.time_ns()}",
        fleet=run.fleet,
        run=run.id,
        kind=SuggestionKind.BASELINE_ADJUSTMENT,
        base_version=version,
        adjustments=(adjustment,),
        learning_rate=1.0,
        reason="to be measured",
        proposer=_WHO.name,
        created=now,
        expires=now + timedelta(days=1),
    )
