"""Incidents: flagged rows that belong together, as one line with counts and denominators instead of thousands of anomalies.

Flagged rows become events (`server.pipeline.events`), events of many devices that one scope explains become shared incidents
(`server.pipeline.shared`), and the rest single-device ones. Trouble of the telemetry is of its own kind.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from server.domain.anomaly import Incident, IncidentKind
from server.domain.run import Run
from server.domain.telemetry import Fleet, FleetHealth, Members, Snapshot
from server.pipeline.events import Events, find_events
from server.pipeline.exposure import Exposure, Rows
from server.pipeline.features import plan_features
from server.pipeline.presence import Presence
from server.pipeline.scopes import ScopeKind, describe_scope, scope_kinds
from server.pipeline.shared import Shared, SharedTrouble
from server.pipeline.trouble import Trouble, find_trouble, unit_factor

MAX_INCIDENTS = 500
SPELL_INTERVALS = 48
"""Events of a lone device at most this far apart, with a metric in common, are one incident: a fault that comes every night."""
_ID_DIGITS = 12
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAMED_METRICS = 3


@dataclass(frozen=True, slots=True)
class Grouped:
    """Incidents, heaviest first, and each flagged row's incident id, empty for none."""

    incidents: tuple[Incident, ...]
    incident_of_row: pa.Array


@dataclass(frozen=True, slots=True)
class _Setting:
    run: Run
    members: Members
    events: Events
    kinds: tuple[ScopeKind, ...]
    exposure: Exposure


@dataclass(frozen=True, slots=True)
class _Draft:
    """An incident with the events that it is made of."""

    incident: Incident
    events: Rows


def group_incidents(
    flagged: pa.Table,
    presence: Presence,
    members: Members,
    *,
    run: Run,
    snapshot: Snapshot,
    health: FleetHealth | None = None,
) -> Grouped:
    """Incidents of the flagged rows of a scores artifact, which are sorted by device and time.

    At most `MAX_INCIDENTS`, ranked by severity times devices; rows of those beyond belong to none. A row is in at most one.
    """
    events = find_events(flagged, snapshot.metrics, presence.interval, run.settings.events)
    kinds = scope_kinds(members, snapshot.cohort_columns)
    near = int(plan_features(snapshot, run.settings.features).window.total_seconds() * 1e6)
    setting = _Setting(run, members, events, kinds, Exposure(events, presence, kinds))
    shared, alone = SharedTrouble(events, presence, kinds, near).find()
    drafts = [_shared_draft(setting, one) for one in shared]
    drafts += [_lone_draft(setting, spell) for spell in _heaviest_spells(events, alone, presence.interval)]
    nothing = np.empty(0, np.int64)
    drafts += [_Draft(_trouble_incident(setting, one), nothing) for one in find_trouble(presence, kinds, health)]
    kept = sorted(_distinct(drafts), key=lambda draft: (-weight(draft.incident), draft.incident.id))[:MAX_INCIDENTS]
    return Grouped(tuple(draft.incident for draft in kept), _ids_by_row(events, kept))


def weight(incident: Incident) -> float:
    """What incidents are ranked by: severity times devices."""
    return incident.severity * max(1, len(incident.devices))


def incident_id(fleet: Fleet, kind: IncidentKind, scope: dict[str, str], metrics: tuple[str, ...], onset: int) -> str:
    """Names an incident for good: the same trouble found again by a later run has the same id. Onset in microseconds."""
    parts = [fleet.tenant, fleet.name, kind.value, repr(sorted(scope.items())), repr(metrics), str(onset)]
    return f"i-{hashlib.blake2b('|'.join(parts).encode(), digest_size=_ID_DIGITS // 2).hexdigest()}"


def _shared_draft(setting: _Setting, shared: Shared) -> _Draft:
    events, chosen = setting.events, shared.events
    scope = setting.kinds[shared.kind].scope(shared.value) if shared.kind >= 0 else {}
    span = (int(events.start[chosen].min()), int(events.end[chosen].max()))
    if shared.kind >= 0:
        in_scope = setting.exposure.exposed(shared.kind, shared.value, span)[0]
    else:
        in_scope = setting.exposure.present(span)
    devices = np.unique(events.device[chosen])
    elsewhere = f", {100 * shared.elsewhere:.0f} % elsewhere" if scope else ""
    factor = unit_factor(events, chosen, shared.metrics[0]) if shared.metrics else None
    names = tuple(events.metrics[metric] for metric in shared.metrics)
    what = f"{names[0]} x {factor:,.6g}, a change of unit" if factor else ", ".join(names[:_NAMED_METRICS])
    incident = _incident(
        setting,
        IncidentKind.TELEMETRY if factor else IncidentKind.DEVICE,
        names,
        scope,
        span,
        title=f"{describe_scope(scope)}: {len(devices):,} of {in_scope:,} devices{elsewhere}: {what}",
        devices=_device_names(setting.members, devices),
        devices_in_scope=in_scope,
        elsewhere_share=shared.elsewhere,
        anomalies=int(events.rows[chosen].sum()),
        severity=_mean_peak(events, chosen, devices),
        rolling=shared.rolling,
        chance=shared.chance,
    )
    return _Draft(incident, chosen)


def _heaviest_spells(events: Events, alone: Rows, interval: int) -> Iterator[Rows]:
    """Events of one device each that follow each other with a metric in common; only as many as could be kept."""
    if len(alone) == 0:
        return
    device, signature = events.device[alone], events.signature[alone]
    follows = device[1:] == device[:-1]
    follows &= events.start[alone][1:] - events.end[alone][:-1] <= SPELL_INTERVALS * interval
    follows &= (signature[1:] & signature[:-1]).any(axis=1)
    starts = np.flatnonzero(np.concatenate(([True], ~follows)))
    ends = np.append(starts[1:], len(alone))
    severity = np.maximum.reduceat(events.severity[alone], starts)
    for spell in np.lexsort((starts, -severity))[:MAX_INCIDENTS]:
        yield alone[starts[spell] : ends[spell]]


def _lone_draft(setting: _Setting, chosen: Rows) -> _Draft:
    events = setting.events
    name = setting.members.devices[events.device[chosen[0]]]
    names = tuple(events.metrics[metric] for metric in events.leading(chosen))
    anomalies = int(events.rows[chosen].sum())
    rows = setting.members.rows[events.device[chosen[0]]]
    incident = _incident(
        setting,
        IncidentKind.DEVICE,
        names,
        {"device": name},
        (int(events.start[chosen].min()), int(events.end[chosen].max())),
        title=f"{name}: {anomalies:,} of {rows:,} rows: {', '.join(names[:_NAMED_METRICS])}",
        devices=(name,),
        devices_in_scope=1,
        elsewhere_share=0.0,
        anomalies=anomalies,
        severity=float(events.severity[chosen].max()),
    )
    return _Draft(incident, chosen)


def _trouble_incident(setting: _Setting, trouble: Trouble) -> Incident:
    devices = _device_names(setting.members, trouble.devices)
    counts = f"{len(devices):,} of {trouble.devices_in_scope:,} devices " if devices else ""
    since = f" {_moment(trouble.span[0]):%Y-%m-%d %H:%M} UTC" if trouble.signature == "silent" else ""
    return _incident(
        setting,
        IncidentKind.TELEMETRY,
        (),
        trouble.scope,
        trouble.span,
        salt=trouble.signature,
        title=f"{describe_scope(trouble.scope)}: {counts}{trouble.words}{since}",
        devices=devices,
        devices_in_scope=trouble.devices_in_scope,
        elsewhere_share=0.0,
        anomalies=0,
        severity=trouble.severity,
    )


def _incident(
    setting: _Setting,
    kind: IncidentKind,
    metrics: tuple[str, ...],
    scope: dict[str, str],
    span: tuple[int, int],
    *,
    salt: str = "",
    **rest: object,
) -> Incident:
    """An incident with its id; `salt` tells telemetry troubles apart, which have no metrics."""
    fleet = setting.run.fleet
    about = {"kind": kind, "metrics": metrics, "scope": scope, "start": _moment(span[0]), "end": _moment(span[1])}
    named = incident_id(fleet, kind, scope, metrics or ((salt,) if salt else ()), span[0])
    return Incident.model_validate({"id": named, "fleet": fleet, "run": setting.run.id, **about, **rest})


def _distinct(drafts: list[_Draft]) -> list[_Draft]:
    """Drafts with the id of an earlier one are left out; their rows stay anomalies of no incident."""
    return list({draft.incident.id: draft for draft in reversed(drafts)}.values())


def _mean_peak(events: Events, chosen: Rows, devices: npt.NDArray[np.int32]) -> float:
    """The devices' worst severities, averaged: one extreme device does not speak for the others."""
    peak = np.zeros(len(devices))
    np.maximum.at(peak, np.searchsorted(devices, events.device[chosen]), events.severity[chosen])
    return float(peak.mean())


def _moment(count: int) -> datetime:
    return _EPOCH + timedelta(microseconds=count)


def _device_names(members: Members, devices: npt.NDArray[np.int32]) -> tuple[str, ...]:
    return tuple(members.devices[code] for code in devices.tolist())


def _ids_by_row(events: Events, kept: list[_Draft]) -> pa.Array:
    place = np.full(len(events.start) + 1, len(kept), np.int64)
    for number, draft in enumerate(kept):
        place[draft.events] = number
    # blips have event -1, which is the last place, where no incident is
    of_row = place[events.of_row] if len(events.of_row) else place[:0]
    return pa.array([*(draft.incident.id for draft in kept), ""], pa.string()).take(pa.array(of_row))
