"""Questions about the analyst itself: what it takes for normal, how it decides, and whether it can be trusted now."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from server.domain.answers.normal import DetectorReport, DriftReport, ScoreDistribution
from server.domain.answers.overview import HealthReport
from server.domain.answers.query import QueryAnswer
from server.domain.baseline import Level
from server.domain.identity import Scope
from server.tools.caller import who
from server.tools.desk import Desk
from server.tools.fields import Cursor, FleetName, Limit, ShownRun, Since, moment, offset
from server.tools.kept import RestsOn
from server.tools.offered import Offered, reading
from server.tools.pages import BaselineList, with_cursor


class InspectionTools:
    """Baselines, the detector, its scores, drift, the health of the telemetry, and the telemetry itself."""

    def __init__(self, desk: Desk) -> None:
        self._app, self._meters = desk.app, desk.meters

    def offered(self) -> Sequence[Offered]:
        """The tools of this file."""
        return (
            reading(self.check_data_health, "Check the telemetry's health", RestsOn.STORES | RestsOn.CLOCK),
            reading(self.list_baselines, "List baselines"),
            reading(self.get_detector, "Look at the detector"),
            reading(self.get_score_distribution, "Distribution of scores"),
            reading(self.check_drift, "Check drift"),
            reading(self.query_telemetry, "Query telemetry", None),
        )

    def check_data_health(self, fleet: FleetName | None = None) -> HealthReport:
        """Say whether answers about a fleet can be trusted now: rows kept and set aside, gaps, lateness, stages not done.

        Look here first if something seems off; `warnings` says what is wrong and `next_tool` what to call.

        Example: {}
        """
        return self._app.questions.check_data_health(who(Scope.READ), fleet=fleet)

    def list_baselines(
        self,
        *,
        fleet: FleetName | None = None,
        version: Annotated[int, Field(ge=1, le=1_000_000, description="A baseline version; the one in force if left out.")]
        | None = None,
        level: Annotated[Level, Field(description="Only baselines of this level.")] | None = None,
        group: Annotated[
            str,
            Field(min_length=1, max_length=300, description="Only this cohort, site or device, such as 'Zebra / TC57'."),
        ]
        | None = None,
        feature: Annotated[
            str,
            Field(
                min_length=1,
                max_length=200,
                description="Only this feature: a metric with _mean, _std or _change.",
            ),
        ]
        | None = None,
        limit: Limit = 50,
        cursor: Cursor | None = None,
    ) -> BaselineList:
        """List what is normal: median, scale and rows of each feature for the fleet, a cohort, a site or a device.

        Also which version is in force and which approved adjustments it carries.

        Example: {"level": "cohort", "feature": "OfflineTime_mean", "limit": 10}
        """
        page = self._app.questions.list_baselines(
            who(Scope.READ),
            fleet=fleet,
            version=version,
            level=level,
            group=group,
            feature=feature,
            limit=limit,
            offset=offset(cursor),
        )
        return with_cursor(BaselineList, page, len(page.baselines))

    def get_detector(self, fleet: FleetName | None = None) -> DetectorReport:
        """Show the detector: its settings, version, threshold and how that was calibrated, and the share of rows it flags.

        To change it use suggest_detector_settings.

        Example: {}
        """
        return self._app.questions.get_detector(who(Scope.READ), fleet=fleet)

    def get_score_distribution(
        self,
        fleet: FleetName | None = None,
        run: ShownRun | None = None,
        bins: Annotated[int, Field(ge=5, le=200, description="How many bins.")] = 40,
    ) -> ScoreDistribution:
        """Count rows by severity, flagged and not: a histogram with the threshold and quantiles.

        It is right-skewed by nature; that alone is no sign of trouble.

        Example: {"bins": 20}
        """
        return self._app.questions.get_score_distribution(who(Scope.READ), fleet=fleet, run=run, bins=bins)

    def check_drift(self, fleet: FleetName | None = None, since: Since | None = None, limit: Limit = 20) -> DriftReport:
        """Say how far features and scores have moved since the baselines and the detector were made, the farthest first.

        A population stability index below 0.1 is no drift, from 0.25 on it is.

        Example: {"since": "2026-03-01T00:00:00Z"}
        """
        report = self._app.questions.check_drift(who(Scope.READ), fleet=fleet, since=moment("since", since), limit=limit)
        self._meters.drifted(report.fleet, max((feature.psi for feature in report.features), default=0.0))
        return report

    def query_telemetry(
        self,
        sql: Annotated[str, Field(min_length=1, max_length=4_000, description="One SELECT over the view `telemetry`.")],
        fleet: FleetName | None = None,
        limit: Limit = 200,
    ) -> QueryAnswer:
        """Run one read-only SELECT (DuckDB's SQL) over the view `telemetry` of a fleet's rows, where no other tool answers.

        The connection reaches nothing else, and time, rows and memory are limited. `SELECT * FROM telemetry LIMIT 1` shows
        the columns.

        Example: {"sql": "SELECT device, avg(OfflineTime) AS offline FROM telemetry GROUP BY device ORDER BY 2 DESC LIMIT 5"}
        """
        return self._app.questions.query_telemetry(who(Scope.READ), sql, fleet=fleet, limit=limit)
