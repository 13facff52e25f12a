"""Questions about what was found: which incidents and anomalies there are, and what is known of each."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from server.domain.anomaly import IncidentKind
from server.domain.answers.anomalies import AnomalyDetail
from server.domain.answers.explanation import Explanation
from server.domain.answers.incidents import IncidentDetail
from server.domain.answers.overview import Overview
from server.domain.identity import Scope
from server.errors import InvalidInput
from server.tools.caller import who
from server.tools.desk import Desk
from server.tools.fields import (
    AnomalyId,
    AtFault,
    Cursor,
    DeviceName,
    FleetName,
    IncidentId,
    Limit,
    ShownRun,
    Since,
    Until,
    moment,
    offset,
)
from server.tools.kept import RestsOn
from server.tools.offered import Offered, reading
from server.tools.pages import AnomalyList, IncidentList, with_cursor

Severity = Annotated[float, Field(ge=0, le=100, description="Leave out what is less severe; 0 to 100, higher is worse.")]


class QuestionTools:
    """The overview, incidents and anomalies, and the account of one."""

    def __init__(self, desk: Desk) -> None:
        self._app = desk.app

    def offered(self) -> Sequence[Offered]:
        """The tools of this file."""
        return (
            reading(self.get_overview, "Overview", RestsOn.STORES | RestsOn.CLOCK),
            reading(self.list_incidents, "List incidents"),
            reading(self.get_incident, "Look at an incident"),
            reading(self.list_anomalies, "List anomalies"),
            reading(self.get_anomaly, "Look at an anomaly"),
            reading(self.explain_anomaly, "Explain an anomaly", None),
        )

    def get_overview(self, fleet: FleetName | None = None) -> Overview:
        """Sum up a fleet: whether its telemetry can be trusted, the worst incidents, anomalies a day, what awaits a decision.

        The first call of most conversations. Next: get_incident on the worst one.

        Example: {}
        """
        return self._app.questions.overview(who(Scope.READ), fleet=fleet)

    def list_incidents(  # noqa: PLR0913 - each is an argument of the tool
        self,
        *,
        fleet: FleetName | None = None,
        run: ShownRun | None = None,
        kind: Annotated[IncidentKind, Field(description="Only trouble of devices, or only of their telemetry.")] | None = None,
        device: DeviceName | None = None,
        since: Since | None = None,
        until: Until | None = None,
        include_muted: Annotated[bool, Field(description="Also those that an expected rule mutes.")] = False,
        limit: Limit = 20,
        cursor: Cursor | None = None,
    ) -> IncidentList:
        """List incidents, the worst first. An incident is anomalies that belong together: one group of devices, metrics, onset.

        Answers "what is wrong?". Next: get_incident for one of them.

        Example: {"since": "2026-03-01T00:00:00Z", "limit": 5}
        """
        page = self._app.questions.list_incidents(
            who(Scope.READ),
            fleet=fleet,
            run=run,
            kind=kind,
            device=device,
            since=moment("since", since),
            until=moment("until", until),
            include_muted=include_muted,
            limit=limit,
            offset=offset(cursor),
        )
        return with_cursor(IncidentList, page, len(page.incidents))

    def get_incident(self, incident: IncidentId) -> IncidentDetail:
        """Show one incident: its devices, the metrics at fault, verdicts on it, and how its group compares with the rest.

        Next: explain_anomaly for one device of it, what_changed for a cause, record_feedback for a verdict.

        Example: {"incident": "i-3f9c2b7d10aa"}
        """
        return self._app.questions.get_incident(who(Scope.READ), incident)

    def list_anomalies(  # noqa: PLR0913 - each is an argument of the tool
        self,
        *,
        fleet: FleetName | None = None,
        run: ShownRun | None = None,
        device: DeviceName | None = None,
        incident: IncidentId | None = None,
        metric: AtFault | None = None,
        min_severity: Severity = 0.0,
        since: Since | None = None,
        until: Until | None = None,
        limit: Limit = 50,
        cursor: Cursor | None = None,
    ) -> AnomalyList:
        """List anomalies, the most severe first. An anomaly is one flagged row of one device at one time.

        Narrow it by device, incident, metric, severity or time. For an overall picture prefer list_incidents.

        Example: {"device": "TC57-0042", "min_severity": 70, "limit": 10}
        """
        page = self._app.questions.list_anomalies(
            who(Scope.READ),
            fleet=fleet,
            run=run,
            device=device,
            incident=incident,
            metric=metric,
            min_severity=min_severity,
            since=moment("since", since),
            until=moment("until", until),
            limit=limit,
            offset=offset(cursor),
        )
        return with_cursor(AnomalyList, page, len(page.anomalies))

    def get_anomaly(self, anomaly: AnomalyId) -> AnomalyDetail:
        """Show the record of one anomaly: score, threshold, every metric's part in it, versions, and the verdict on it.

        For an account in words use explain_anomaly.

        Example: {"anomaly": "a-7d10aa3f9c2b"}
        """
        return self._app.questions.get_anomaly(who(Scope.READ), anomaly)

    def explain_anomaly(
        self,
        anomaly: AnomalyId | None = None,
        device: DeviceName | None = None,
        around: Annotated[
            str,
            Field(
                max_length=40,
                description="Only with `device`: its anomaly nearest to this ISO 8601 time; its worst one if left out.",
            ),
        ]
        | None = None,
    ) -> Explanation:
        """Say why something is an anomaly: values against what is typical, since when, peers, changes, past decisions.

        Every number in `text` stands in the fields beside it: quote those, and no others. Give `anomaly`, or a `device`.

        Example: {"device": "TC57-0042", "around": "2026-03-02T09:00:00Z"}
        """
        if (anomaly is None) == (device is None):
            raise InvalidInput("give either `anomaly`, or `device` (and perhaps `around`).")
        return self._app.questions.explain_anomaly(
            who(Scope.READ), anomaly=anomaly, device=device, around=moment("around", around)
        )
