"""A plan brought to life: its calendar, devices, episodes and marks, each made when asked for."""

from collections.abc import Iterator

from server.connectors.synthetic.calendar import Calendar
from server.connectors.synthetic.episodes import Episode
from server.connectors.synthetic.marks import Marks, marks_of
from server.connectors.synthetic.plan import FleetPlan
from server.connectors.synthetic.roster import Device, Roster
from server.connectors.synthetic.schedule import Schedule


class SyntheticFleet:
    """The fleet of one plan. Nothing is held but caches of time: a million devices cost no more than one."""

    def __init__(self, plan: FleetPlan) -> None:
        self.plan = plan
        self.calendar = Calendar(plan)
        self.roster = Roster(self.calendar)
        self.schedule = Schedule(self.calendar, self.roster)

    def devices(self) -> Iterator[Device]:
        """All devices in order of their index."""
        return map(self.roster.device, range(self.plan.devices))

    def episodes(self, device: Device) -> tuple[Episode, ...]:
        """The device's look-alikes, then its incidents."""
        return self.schedule.look_alikes(device) + self.schedule.incidents(device)

    def marks(self, device: Device) -> Marks:
        """Which steps of the device have rows, and which its faults strike."""
        return marks_of(self.plan, device, self.schedule.leaves(device))
