"""Questions that set one thing beside others: a device and its peers, before and after a change, groups and groups."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from server.domain.answers.causes import ChangeReport, GroupRanking
from server.domain.answers.devices import PeerComparison, Timeline
from server.domain.identity import Scope
from server.tools.caller import who
from server.tools.desk import Desk
from server.tools.fields import (
    Cursor,
    DeviceName,
    FleetName,
    IncidentId,
    Limit,
    MetricName,
    Since,
    Until,
    moment,
    offset,
)
from server.tools.offered import Offered, reading
from server.tools.pages import AtRiskList, with_cursor

ChangeId = Annotated[str, Field(min_length=1, max_length=200, description="A change's id, see what_changed.")]
GroupBy = Annotated[
    str,
    Field(
        min_length=1,
        max_length=100,
        description="store, customer, cohort, device, or a cohort column such as ModelId.",
    ),
]


class ComparisonTools:
    """Peers, timelines, changes, who may be next, and which groups are worst."""

    def __init__(self, desk: Desk) -> None:
        self._app = desk.app

    def offered(self) -> Sequence[Offered]:
        """The tools of this file."""
        return (
            reading(self.compare_device_with_peers, "Compare a device with its peers"),
            reading(self.get_device_timeline, "Timeline of a device"),
            reading(self.what_changed, "What changed"),
            reading(self.list_at_risk_devices, "Devices at risk"),
            reading(self.rank_groups, "Rank groups"),
        )

    def compare_device_with_peers(
        self,
        device: DeviceName,
        *,
        metric: MetricName | None = None,
        fleet: FleetName | None = None,
        since: Since | None = None,
        until: Until | None = None,
    ) -> PeerComparison:
        """Hold a device against others of its manufacturer, model and OS version: medians, quartiles, its rank, anomaly rates.

        Answers "is it this device, or all of its kind?".

        Example: {"device": "TC57-0042", "metric": "TotalBatteryLevelDrop"}
        """
        return self._app.questions.compare_device_with_peers(
            who(Scope.READ), device, metric=metric, fleet=fleet, since=moment("since", since), until=moment("until", until)
        )

    def get_device_timeline(
        self,
        device: DeviceName,
        metric: MetricName,
        *,
        fleet: FleetName | None = None,
        since: Since | None = None,
        until: Until | None = None,
        points: Annotated[int, Field(ge=10, le=500, description="Most points to answer with.")] = 200,
    ) -> Timeline:
        """Show one metric of one device through time, with its typical band, its peers' band and the anomalies marked.

        For a chart, or to see when something began. A null value is a gap: no reading came.

        Example: {"device": "TC57-0042", "metric": "OfflineTime", "points": 100}
        """
        return self._app.questions.get_device_timeline(
            who(Scope.READ),
            device,
            metric,
            fleet=fleet,
            since=moment("since", since),
            until=moment("until", until),
            points=points,
        )

    def what_changed(
        self,
        *,
        incident: IncidentId | None = None,
        since: Since | None = None,
        until: Until | None = None,
        fleet: FleetName | None = None,
        limit: Limit = 20,
    ) -> ChangeReport:
        """Rank recorded changes (OS updates, rollouts) near an onset by how well having them explains who is affected.

        Name an `incident`, or a time by `since` and `until`. It is association with both rates and the odds of chance, not
        proof; it may find no recorded change, and then says so.

        Example: {"incident": "i-3f9c2b7d10aa"}
        """
        return self._app.questions.what_changed(
            who(Scope.READ),
            incident=incident,
            since=moment("since", since),
            until=moment("until", until),
            fleet=fleet,
            limit=limit,
        )

    def list_at_risk_devices(
        self,
        *,
        incident: IncidentId | None = None,
        change: ChangeId | None = None,
        fleet: FleetName | None = None,
        limit: Limit = 50,
        cursor: Cursor | None = None,
    ) -> AtRiskList:
        """List devices that share what an incident's devices share (or a change) and are not affected yet: who may be next.

        Name an `incident` or a `change`.

        Example: {"incident": "i-3f9c2b7d10aa", "limit": 20}
        """
        page = self._app.questions.list_at_risk_devices(
            who(Scope.READ), incident=incident, change=change, fleet=fleet, limit=limit, offset=offset(cursor)
        )
        return with_cursor(AtRiskList, page, len(page.devices))

    def rank_groups(
        self,
        by: GroupBy = "store",
        *,
        metric: MetricName | None = None,
        fleet: FleetName | None = None,
        since: Since | None = None,
        until: Until | None = None,
        limit: Limit = 10,
    ) -> GroupRanking:
        """Rank stores, customers, models or OS versions by their rate of anomalies, the worst first, with all counts.

        Answers "which stores are worst?".

        Example: {"by": "store", "metric": "DisconnectCount", "limit": 5}
        """
        return self._app.questions.rank_groups(
            who(Scope.READ),
            by=by,
            metric=metric,
            fleet=fleet,
            since=moment("since", since),
            until=moment("until", until),
            limit=limit,
        )
