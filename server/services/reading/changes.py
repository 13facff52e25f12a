"""What was changed around an onset, and how well having each change explains who is affected. Association, never proof."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter

import numpy as np
import numpy.typing as npt

from server.domain.anomaly import Incident
from server.domain.answers.answer import Rate, Span
from server.domain.answers.causes import ChangeReport, RankedChange
from server.domain.identity import Principal
from server.domain.run import Run
from server.domain.telemetry import Fleet
from server.errors import NotFound
from server.services.reading.exposed import NEVER, Rollout, exposed_since, first_time, rollouts
from server.services.reading.shelf import Shown
from server.services.reading.sources import Sources, page_bounds, window
from server.services.reading.words import at, counted, percent, quoted
from server.storage.moments import microseconds, moment

Times = npt.NDArray[np.int64]

ENOUGH = 10
_BEFORE = timedelta(days=7)
_AFTER = timedelta(days=1)
_CLEAR = 0.05


@dataclass(frozen=True, slots=True)
class Trouble:
    """Who is affected since when (`NEVER` for a device that is not), and the span that changes are looked for in."""

    run: Run
    shown: Shown
    affected: Times
    onset: datetime | None
    first: datetime
    last: datetime
    incident: Incident | None = None


def trouble(
    sources: Sources,
    who: Principal,
    *,
    incident: str | None,
    since: datetime | None,
    until: datetime | None,
    fleet: str | None,
) -> Trouble:
    """The named incident's devices and a week before its onset, or all devices with an anomaly in the time given."""
    first, last = window(since, until)
    if incident is None:
        run = sources.run(who, fleet)
        shown = sources.shown(run)
        begin, end = first or shown.span()[0], last or shown.span()[1]
        affected = first_time(shown, shown.flagged & shown.between(begin, end))
        onset = int(affected.min(initial=NEVER))
        return Trouble(run, shown, affected, moment(onset) if onset != NEVER else None, begin, end)
    found = sources.records.incident(who.tenant, incident)
    run = sources.run(who, None, found.run)
    shown = sources.shown(run)
    devices = np.zeros(len(shown.members.devices), bool)
    devices[[shown.code[name] for name in found.devices if name in shown.code]] = True
    rows = shown.between(found.start, found.end) & devices[shown.device]
    # trouble of the telemetry has devices without anomalies: they are affected from its start on
    affected = np.where(devices, microseconds(found.start), NEVER)
    onsets = first_time(shown, rows & shown.flagged)
    affected = np.where(onsets != NEVER, onsets, affected)
    begin, end = first or found.start - _BEFORE, last or max(found.end, found.start + _AFTER)
    return Trouble(run, shown, affected, found.start, begin, end, found)


def what_changed(sources: Sources, about: Trouble, *, limit: int) -> ChangeReport:
    """Changes in the span, the one that explains most first; those that came after the onset are among them and say so."""
    page_bounds(limit, 0)
    found = rollouts(sources.telemetry.changes(about.run.fleet, start=about.first, end=about.last))
    ranked = sorted((_ranked(about, each) for each in found), key=_explains_most)
    devices = int((about.affected != NEVER).sum())
    return ChangeReport(
        summary=_summary(ranked, devices, about),
        fleet=about.run.fleet.name,
        run=about.run.id,
        window=Span(first=about.first, last=about.last),
        telemetry_until=sources.until(about.run.fleet),
        total=len(ranked),
        truncated=limit < len(ranked),
        incident=about.incident.id if about.incident else "",
        onset=about.onset,
        affected=devices,
        changes=tuple(ranked[:limit]),
    )


def rollout_named(sources: Sources, fleet: Fleet, change: str, shown: Shown) -> Rollout:
    """The rollout of that id. Raises `NotFound` with near matches."""
    begin, end = shown.span()
    known = {each.id: each for each in rollouts(sources.telemetry.changes(fleet, start=begin - _BEFORE, end=end))}
    if change not in known:
        raise NotFound("change", change, list(known), listed_by="what_changed")
    return known[change]


def _ranked(about: Trouble, rollout: Rollout) -> RankedChange:
    first, onset = rollout.first, about.onset or about.first
    since = exposed_since(about.shown, rollout)
    many = f" ({counted(len(rollout.changes), 'device')} in the log)" if rollout.by_device else ""
    nothing = Rate(count=0, of=0, what="devices")
    if since is None:
        exposed, unexposed = nothing, nothing
        verdict = "its scope names what the telemetry does not, so who has it is not known"
    else:
        exposed, unexposed = _split(about, since)
        verdict = _verdict(exposed, unexposed)
    both = exposed.of > 0 and unexposed.of > 0
    return RankedChange(
        id=rollout.id,
        change=first,
        hours_before_onset=(onset - first.time).total_seconds() / 3600,
        exposed=exposed,
        unexposed=unexposed,
        difference=exposed.share - unexposed.share if both else None,
        chance=chance(exposed, unexposed) if both else None,
        enough=min(exposed.of, unexposed.of) >= ENOUGH,
        words=f"{quoted(first.description)} at {at(first.time)}{many}: {verdict}.",
    )


def _split(about: Trouble, since: Times) -> tuple[Rate, Rate]:
    """Affected devices among those exposed and those not (yet); each device with rows in the span counts once.

    An affected device is exposed if the change came first; any other is if it has the change at the end of the span.
    """
    shown = about.shown
    present = np.zeros(len(since), bool)
    present[shown.device[shown.between(about.first, about.last)]] = True
    affected = about.affected != NEVER
    exposed = since <= np.where(affected, about.affected, microseconds(about.last))
    groups = (present & exposed, present & ~exposed)
    with_it, without = (Rate(count=int((affected & each).sum()), of=int(each.sum()), what="devices") for each in groups)
    return with_it, without


def chance(exposed: Rate, unexposed: Rate) -> float:
    """Fisher's exact test, one-sided: the probability of so many affected among the exposed if it made no difference."""
    table = [[exposed.count, exposed.of - exposed.count], [unexposed.count, unexposed.of - unexposed.count]]
    from scipy.stats import fisher_exact  # noqa: PLC0415 - takes a second, for which other answers should not wait

    return float(min(fisher_exact(table, alternative="greater")[1], 1.0))  # pyright: ignore[reportArgumentType]


def _verdict(exposed: Rate, unexposed: Rate) -> str:
    numbers = (
        f"{exposed.count:,} of {exposed.of:,} devices that have it are affected ({percent(exposed.share)}), "
        f"{unexposed.count:,} of {unexposed.of:,} that do not ({percent(unexposed.share)})"
    )
    if min(exposed.of, unexposed.of) < ENOUGH:
        return f"{numbers}; fewer than {ENOUGH} devices in a group, so nothing is concluded"
    if exposed.share > unexposed.share and chance(exposed, unexposed) < _CLEAR:
        return f"{numbers}; it goes along with the trouble, which does not prove that it caused it"
    return f"{numbers}; it does not set the affected devices apart"


def _explains_most(each: RankedChange) -> tuple[bool, bool, float, float, datetime]:
    """Enough devices first, then what came before the onset, then the least likely by chance."""
    chance = 1.0 if each.chance is None else each.chance
    return not each.enough, each.hours_before_onset < 0, chance, -(each.difference or 0.0), each.change.time


def _summary(ranked: list[RankedChange], devices: int, about: Trouble) -> str:
    span = f"{at(about.first)} and {at(about.last)}"
    if not ranked:
        return f"No recorded change between {span}; {counted(devices, 'device')} affected."
    clear = [each for each in ranked if each.enough and each.chance is not None and each.chance < _CLEAR]
    clear = [each for each in clear if each.hours_before_onset >= 0 and (each.difference or 0) > 0]
    head = f"{counted(len(ranked), 'recorded change')} between {span}, {counted(devices, 'device')} affected"
    if not clear:
        return f"{head}; none of them sets the affected devices apart."
    best = min(clear, key=attrgetter("chance"))
    return f"{head}; most of all {best.words}"
