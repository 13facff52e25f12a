"""What is normal, for whom: baselines as they stand in SQL."""

from dataclasses import dataclass

from server.domain.answers.normal import BaselinePage
from server.domain.baseline import Level
from server.domain.telemetry import Fleet
from server.errors import NotFound
from server.services.reading.sources import Sources, page_bounds
from server.services.reading.words import counted

_ADJUSTMENTS = 100


@dataclass(frozen=True, slots=True)
class BaselineFilter:
    """Which baselines are meant; what is unset does not restrict. No version: the one in force."""

    version: int | None = None
    level: Level | None = None
    group: str | None = None
    feature: str | None = None


def list_baselines(sources: Sources, fleet: Fleet, wanted: BaselineFilter, *, limit: int, offset: int) -> BaselinePage:
    """Median and robust scale of features by group. Raises `NotFound` for a version that there is not."""
    page_bounds(limit, offset)
    in_force = sources.records.baseline_version(fleet)
    if in_force is None:
        raise NotFound("baselines of fleet", fleet.name, listed_by="compute_baselines makes them; list_runs")
    version = in_force if wanted.version is None else sources.records.baseline_version(fleet, wanted.version)
    if version is None:
        known = [str(number) for number in range(1, in_force.version + 1)]
        raise NotFound(f"baseline version of fleet {fleet.name}", str(wanted.version), known, listed_by="list_effects")
    found = sources.records.baselines(
        fleet,
        version.version,
        level=wanted.level,
        group=wanted.group,
        feature=wanted.feature,
        limit=limit + 1,
        offset=offset,
    )
    truncated = len(found) > limit
    shown = found[:limit]
    groups = ", ".join(f"{count:,} {level.value}" for level, count in version.groups.items())
    which = "in force" if version.version == in_force.version else f"not in force, that is {in_force.version}"
    return BaselinePage(
        summary=f"Version {version.version} ({which}) has groups: {groups}; {counted(len(version.adjustments), 'adjustment')}; "
        f"{counted(len(shown), 'baseline')} shown{', there are more' if truncated else ''}.",
        fleet=fleet.name,
        run=version.run,
        telemetry_until=sources.until(fleet),
        version=version.model_copy(update={"adjustments": ()}),
        in_force=in_force.version,
        adjustments=version.adjustments[:_ADJUSTMENTS],
        baselines=tuple(shown),
        offset=offset,
        total=None if truncated or (offset and not shown) else offset + len(shown),
        truncated=truncated,
    )
