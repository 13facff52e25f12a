"""The change log of a synthetic fleet: what was rolled out where and when, as an operator would have it."""

from collections.abc import Iterator

from server.connectors.synthetic.episodes import Episode
from server.connectors.synthetic.fleet import SyntheticFleet
from server.connectors.synthetic.look_alikes import LOOK_ALIKES
from server.connectors.synthetic.roster import Device
from server.domain.telemetry import Change

CRASHING_APP = "app_crash_loop"


def changes_of(fleet: SyntheticFleet) -> Iterator[Change]:
    """All changes, oldest first: OS rollouts (model and store), each device's own update, and what was announced."""
    found: dict[tuple[str, str], Change] = {}
    for device in fleet.devices():
        for key, change in (*_updates(fleet, device), *_announced(fleet, device)):
            found.setdefault(key, change)
    yield from sorted(found.values(), key=lambda change: (change.time, change.kind, sorted(change.scope.items())))


def _updates(fleet: SyntheticFleet, device: Device) -> Iterator[tuple[tuple[str, str], Change]]:
    if device.update is None or device.update >= fleet.schedule.leaves(device):
        return
    plan, model = fleet.plan, device.model
    yield (
        ("os_rollout", f"{model.name}/{device.store_id}/{device.before}"),
        Change(
            time=plan.moment(fleet.roster.rollout(model, device.store)),
            kind="os_rollout",
            description=f"OS {device.after} offered to {model.manufacturer} {model.name} at {device.store_id}",
            scope={"ModelId": model.name, "StoreId": device.store_id},
            before=device.before,
            after=device.after,
        ),
    )
    yield (
        ("os_update", f"{device.index}"),
        Change(
            time=plan.moment(device.update),
            kind="os_update",
            description=f"{device.id} updated from OS {device.before} to {device.after}",
            scope={"DeviceId": device.id, "ModelId": model.name, "OsVersionId": device.after},
            before=device.before,
            after=device.after,
        ),
    )


def _announced(fleet: SyntheticFleet, device: Device) -> Iterator[tuple[tuple[str, str], Change]]:
    for episode in fleet.schedule.look_alikes(device):
        kind = LOOK_ALIKES[episode.type]
        if kind.announced:
            yield (episode.type, episode.scope), _change(fleet, episode, kind.kind, kind.announced, (kind.before, kind.after))
    for episode in fleet.schedule.incidents(device):
        if episode.type == CRASHING_APP:
            release = _change(fleet, episode, "app_release", "the ordering app was updated", ("order 5.1", "order 5.2"))
            yield (episode.type, episode.scope), release


def _change(fleet: SyntheticFleet, episode: Episode, kind: str, text: str, versions: tuple[str, str]) -> Change:
    column, _, value = episode.scope.partition("=")
    everywhere = column == "fleet"
    return Change(
        time=fleet.plan.moment(episode.began),
        kind=kind,
        description=f"{text} on all devices" if everywhere else f"{text} ({value})",
        scope={} if everywhere else {column: value},
        before=versions[0],
        after=versions[1],
    )
