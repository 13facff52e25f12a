"""What is really the matter in a synthetic fleet: tables of incidents, affected devices, look-alikes and faults."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from server.connectors.synthetic.episodes import Episode
from server.connectors.synthetic.faults import FAULTS
from server.connectors.synthetic.fleet import SyntheticFleet
from server.connectors.synthetic.incidents import INCIDENTS
from server.connectors.synthetic.look_alikes import LOOK_ALIKES
from server.connectors.synthetic.plan import FleetPlan
from server.connectors.synthetic.roster import Device

_MOMENT = pa.timestamp("us", tz="UTC")
_INCIDENTS = pa.schema(
    [
        ("id", pa.string()),
        ("type", pa.string()),
        ("tier", pa.string()),
        ("manifest", pa.string()),
        ("scope", pa.string()),
        ("metrics", pa.list_(pa.string())),
        ("cause", pa.string()),
        ("start", _MOMENT),
        ("end", _MOMENT),
        ("devices", pa.int64()),
    ]
)
_AFFECTED = pa.schema(
    [("incident_id", pa.string()), ("device", pa.string()), ("onset", _MOMENT), ("end", _MOMENT), ("severity", pa.float64())]
)
_LOOK_ALIKES = pa.schema(
    [
        ("id", pa.string()),
        ("type", pa.string()),
        ("device", pa.string()),
        ("scope", pa.string()),
        ("start", _MOMENT),
        ("end", _MOMENT),
    ]
)
_FAULTS = pa.schema(
    [("kind", pa.string()), ("device", pa.string()), ("start", _MOMENT), ("end", _MOMENT), ("rows", pa.int64())]
)


@dataclass(frozen=True, slots=True)
class Truth:
    """Four tables. Ends are exclusive; `affected.severity` is the size in the device's own noise scale (sigma)."""

    incidents: pa.Table
    affected: pa.Table
    look_alikes: pa.Table
    faults: pa.Table

    def tables(self) -> dict[str, pa.Table]:
        """The tables by name."""
        return {
            "incidents": self.incidents,
            "affected": self.affected,
            "look_alikes": self.look_alikes,
            "faults": self.faults,
        }


def truth_of(fleet: SyntheticFleet) -> Truth:
    """The truth of the whole fleet, found without making a single row."""
    struck: list[tuple[Device, Episode]] = []
    benign: list[tuple[Device, Episode]] = []
    faults: list[dict[str, object]] = []
    for device in fleet.devices():
        struck.extend((device, episode) for episode in fleet.schedule.incidents(device))
        benign.extend((device, episode) for episode in fleet.schedule.look_alikes(device))
        faults.extend(_faults(fleet, device))
    plan = fleet.plan
    return Truth(
        pa.Table.from_pylist(_incidents(plan, struck), schema=_INCIDENTS),
        pa.Table.from_pylist([_affected(plan, *pair) for pair in struck], schema=_AFFECTED),
        pa.Table.from_pylist(_look_alikes(plan, benign), schema=_LOOK_ALIKES),
        pa.Table.from_pylist(faults, schema=_FAULTS),
    )


def _by_id(episodes: Iterable[tuple[Device, Episode]]) -> dict[str, list[tuple[Device, Episode]]]:
    groups: dict[str, list[tuple[Device, Episode]]] = {}
    for device, episode in episodes:
        groups.setdefault(episode.id, []).append((device, episode))
    return groups


def _incidents(plan: FleetPlan, struck: Sequence[tuple[Device, Episode]]) -> list[dict[str, object]]:
    return [
        {
            "id": name,
            "type": pairs[0][1].type,
            "tier": pairs[0][1].tier,
            "manifest": pairs[0][1].manifest.value,
            "scope": pairs[0][1].scope,
            "metrics": list(INCIDENTS[pairs[0][1].type].metrics),
            "cause": INCIDENTS[pairs[0][1].type].cause,
            "start": plan.moment(min(episode.first for _, episode in pairs)),
            "end": plan.moment(max(episode.last for _, episode in pairs)),
            "devices": len({device.id for device, _ in pairs}),
        }
        for name, pairs in _by_id(struck).items()
    ]


def _affected(plan: FleetPlan, device: Device, episode: Episode) -> dict[str, object]:
    return {
        "incident_id": episode.id,
        "device": device.id,
        "onset": plan.moment(episode.first),
        "end": plan.moment(episode.last),
        "severity": round(episode.strength, 3),
    }


def _look_alikes(plan: FleetPlan, benign: Sequence[tuple[Device, Episode]]) -> list[dict[str, object]]:
    return [
        {
            "id": name,
            "type": pairs[0][1].type,
            "device": pairs[0][0].id if LOOK_ALIKES[pairs[0][1].type].scope.value == "device" else None,
            "scope": pairs[0][1].scope,
            "start": plan.moment(min(episode.first for _, episode in pairs)),
            "end": plan.moment(max(episode.last for _, episode in pairs)),
        }
        for name, pairs in _by_id(benign).items()
    ]


def _faults(fleet: SyntheticFleet, device: Device) -> list[dict[str, object]]:
    marks = fleet.marks(device)
    return [
        {
            "kind": kind,
            "device": device.id,
            "start": fleet.plan.moment(int(marks.struck[kind][0])),
            "end": fleet.plan.moment(int(marks.struck[kind][-1]) + 1),
            "rows": len(marks.struck[kind]),
        }
        for kind in FAULTS
        if kind in marks.struck
    ]
