"""Who is exposed and not yet affected: the devices that an incident or a change may reach next."""

import numpy as np

from server.domain.answers.answer import Rate, Span
from server.domain.answers.causes import AtRiskDevice, AtRiskPage
from server.errors import InvalidInput
from server.services.reading.changes import Trouble, rollout_named
from server.services.reading.exposed import NEVER, Times, exposed_since, first_time, in_scope
from server.services.reading.shelf import Flags, Shown
from server.services.reading.sources import Sources, page_bounds
from server.services.reading.words import counted, percent
from server.storage.moments import microseconds, moment


def list_at_risk_devices(sources: Sources, about: Trouble, *, change: str | None, limit: int, offset: int) -> AtRiskPage:
    """Devices that have the change, or are of the incident's scope, and are not affected; longest exposed first.

    Raises:
        InvalidInput: neither is named, or the change's scope cannot be told from telemetry.
        NotFound: there is no such change.
    """
    page_bounds(limit, offset)
    since, scope = _exposure(sources, about, change)
    affected, exposed = _affected(about, since), since != NEVER
    last = _last_seen(about.shown)
    order = [int(code) for code in np.argsort(since, kind="stable") if exposed[code] and not affected[code]]
    page = order[offset : offset + limit]
    rate = Rate(count=int((affected & exposed).sum()), of=int(exposed.sum()), what="devices")
    return AtRiskPage(
        summary=f"{counted(len(order), 'device')} exposed and not affected; {rate.count:,} of {rate.of:,} exposed "
        f"({percent(rate.share)}) are affected so far.",
        fleet=about.run.fleet.name,
        run=about.run.id,
        window=Span(first=about.first, last=about.shown.span()[1]),
        telemetry_until=sources.until(about.run.fleet),
        total=len(order),
        offset=offset,
        truncated=offset + len(page) < len(order),
        scope=scope,
        exposed=rate,
        devices=tuple(_device(about.shown, code, int(since[code]), int(last[code])) for code in page),
    )


def _exposure(sources: Sources, about: Trouble, change: str | None) -> tuple[Times, dict[str, str]]:
    """When each device came to be exposed, and the scope that says so."""
    shown = about.shown
    if change is not None:
        rollout = rollout_named(sources, about.run.fleet, change, shown)
        since = exposed_since(shown, rollout)
        scope = rollout.scope
    elif about.incident is not None:
        scope = about.incident.scope
        inside = in_scope(shown, scope)
        later = shown.time >= microseconds(about.incident.start)
        since = None if inside is None else first_time(shown, inside & later)
    else:
        raise InvalidInput("name an incident or a change: list_incidents and what_changed list them.")
    if since is None:
        raise InvalidInput(f"the scope {scope} names what the telemetry does not, so who has it is not known.")
    return since, scope


def _affected(about: Trouble, since: Times) -> Flags:
    """The incident's devices; without one, devices with an anomaly since they are exposed."""
    if about.incident is not None:
        return about.affected != NEVER
    shown = about.shown
    return first_time(shown, shown.flagged & (shown.time >= since[shown.device])) != NEVER


def _last_seen(shown: Shown) -> Times:
    last = np.zeros(len(shown.members.devices), np.int64)
    np.maximum.at(last, shown.device, shown.time)
    return last


def _device(shown: Shown, code: int, since: int, last: int) -> AtRiskDevice:
    cohort = shown.cohort_at(code)
    row = int(np.flatnonzero(shown.device == code)[-1])
    places, place = (shown.members.stores, shown.store[row]) if shown.members.stores else (
        shown.members.customers, shown.customer[row]
    )  # fmt: skip
    return AtRiskDevice(
        device=shown.members.devices[code],
        cohort=shown.cohorts[cohort] if cohort >= 0 else "",
        site=places[place] if place >= 0 else "",
        exposed_since=moment(since),
        last_seen=moment(last),
    )
