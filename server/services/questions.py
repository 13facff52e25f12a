"""The questions that people and models ask: what is wrong, why, since when, who is next, and can it be trusted.

Every method takes the principal first, needs the scope `read` and answers for their tenant only. `fleet` unset means the
tenant's only fleet. Times without a zone are UTC. Unknown names raise `NotFound` with near matches, wrong
arguments `InvalidInput`.
"""

from datetime import datetime

from server.domain.anomaly import AnomalyFilter, IncidentKind
from server.domain.answers.anomalies import AnomalyDetail, AnomalyPage
from server.domain.answers.causes import AtRiskPage, ChangeReport, GroupRanking
from server.domain.answers.devices import PeerComparison, Timeline
from server.domain.answers.explanation import Explanation
from server.domain.answers.incidents import IncidentDetail, IncidentPage
from server.domain.answers.normal import BaselinePage, DetectorReport, DriftReport, ScoreDistribution
from server.domain.answers.overview import HealthReport, Overview
from server.domain.answers.query import QueryAnswer
from server.domain.baseline import Level
from server.domain.identity import Principal, Scope
from server.services import explanations
from server.services.reading import (
    anomalies,
    at_risk,
    changes,
    distribution,
    health,
    incidents,
    normal,
    overview,
    peers,
    query,
    ranking,
    timeline,
)
from server.services.reading.sources import Sources


class Questions:
    """Answers from the stores; changes nothing. Safe for several threads."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def list_incidents(  # noqa: PLR0913 - a question's filters are its parameters
        self,
        who: Principal,
        *,
        fleet: str | None = None,
        run: str | None = None,
        kind: IncidentKind | None = None,
        device: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        include_muted: bool = False,
        limit: int = 20,
        offset: int = 0,
    ) -> IncidentPage:
        """Incidents, heaviest first; muted ones are left out and counted unless they are asked for."""
        who.require(Scope.READ)
        wanted = incidents.IncidentFilter(kind, device, since, until, include_muted)
        chosen = self._sources.run(who, fleet, run)
        return incidents.list_incidents(self._sources, chosen, wanted, limit=limit, offset=offset)

    def get_incident(self, who: Principal, incident_id: str) -> IncidentDetail:
        """One incident whole."""
        who.require(Scope.READ)
        return incidents.get_incident(self._sources, who, incident_id)

    def list_anomalies(  # noqa: PLR0913 - as above
        self,
        who: Principal,
        *,
        fleet: str | None = None,
        run: str | None = None,
        device: str | None = None,
        incident: str | None = None,
        metric: str | None = None,
        min_severity: float = 0.0,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> AnomalyPage:
        """Anomalies, worst first."""
        who.require(Scope.READ)
        wanted = AnomalyFilter(
            device=device, incident=incident, metric=metric, min_severity=min_severity, start=since, end=until
        )
        chosen = self._sources.run(who, fleet, run)
        return anomalies.list_anomalies(self._sources, chosen, wanted, limit=limit, offset=offset)

    def get_anomaly(self, who: Principal, anomaly_id: str) -> AnomalyDetail:
        """One anomaly whole."""
        who.require(Scope.READ)
        return anomalies.get_anomaly(self._sources, who, anomaly_id)

    def explain_anomaly(
        self,
        who: Principal,
        *,
        anomaly: str | None = None,
        device: str | None = None,
        around: datetime | None = None,
        fleet: str | None = None,
    ) -> Explanation:
        """Why an anomaly is one: the named one, or the device's nearest to a time (its worst if no time is given)."""
        who.require(Scope.READ)
        return explanations.explain_anomaly(self._sources, who, anomaly=anomaly, device=device, around=around, fleet=fleet)

    def compare_device_with_peers(
        self,
        who: Principal,
        device: str,
        *,
        metric: str | None = None,
        fleet: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> PeerComparison:
        """A device beside the devices of its cohort, over the whole run unless times are given."""
        who.require(Scope.READ)
        wanted = peers.Comparison(device, metric, since, until)
        return peers.compare_device_with_peers(self._sources, self._sources.run(who, fleet), wanted)

    def get_device_timeline(
        self,
        who: Principal,
        device: str,
        metric: str,
        *,
        fleet: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        points: int = 200,
    ) -> Timeline:
        """One metric of one device through time. Raises `NotEnoughData` if it has no row then."""
        who.require(Scope.READ)
        wanted = timeline.Stretch(device, metric, since, until, points)
        return timeline.get_device_timeline(self._sources, self._sources.run(who, fleet), wanted)

    def list_baselines(  # noqa: PLR0913 - as above
        self,
        who: Principal,
        *,
        fleet: str | None = None,
        version: int | None = None,
        level: Level | None = None,
        group: str | None = None,
        feature: str | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> BaselinePage:
        """What is normal, for whom: of the version in force unless another is named."""
        who.require(Scope.READ)
        wanted = normal.BaselineFilter(version, level, group, feature)
        return normal.list_baselines(self._sources, self._sources.fleet(who, fleet), wanted, limit=limit, offset=offset)

    def get_detector(self, who: Principal, *, fleet: str | None = None) -> DetectorReport:
        """The detector that made the newest anomalies."""
        who.require(Scope.READ)
        return distribution.get_detector(self._sources, self._sources.run(who, fleet))

    def get_score_distribution(
        self, who: Principal, *, fleet: str | None = None, run: str | None = None, bins: int = 40
    ) -> ScoreDistribution:
        """How severities spread."""
        who.require(Scope.READ)
        return distribution.get_score_distribution(self._sources, self._sources.run(who, fleet, run), bins=bins)

    def check_drift(
        self, who: Principal, *, fleet: str | None = None, since: datetime | None = None, limit: int = 20
    ) -> DriftReport:
        """How far features and scores have moved since a time, the last quarter of the run's if unset."""
        who.require(Scope.READ)
        return distribution.check_drift(self._sources, self._sources.run(who, fleet), since=since, limit=limit)

    def what_changed(
        self,
        who: Principal,
        *,
        incident: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        fleet: str | None = None,
        limit: int = 20,
    ) -> ChangeReport:
        """Recorded changes around an incident's onset, or in a time, ranked by how well they explain who is affected."""
        who.require(Scope.READ)
        about = changes.trouble(self._sources, who, incident=incident, since=since, until=until, fleet=fleet)
        return changes.what_changed(self._sources, about, limit=limit)

    def list_at_risk_devices(
        self,
        who: Principal,
        *,
        incident: str | None = None,
        change: str | None = None,
        fleet: str | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> AtRiskPage:
        """Devices that an incident's scope or a change reaches and that are not affected yet."""
        who.require(Scope.READ)
        about = changes.trouble(self._sources, who, incident=incident, since=None, until=None, fleet=fleet)
        return at_risk.list_at_risk_devices(self._sources, about, change=change, limit=limit, offset=offset)

    def rank_groups(
        self,
        who: Principal,
        *,
        by: str = "store",
        metric: str | None = None,
        fleet: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 10,
    ) -> GroupRanking:
        """Groups by anomaly rate, worst first; by store, customer, cohort, device or a cohort column."""
        who.require(Scope.READ)
        wanted = ranking.Wanted(by, metric, since, until)
        return ranking.rank_groups(self._sources, self._sources.run(who, fleet), wanted, limit=limit)

    def check_data_health(self, who: Principal, *, fleet: str | None = None) -> HealthReport:
        """Whether answers can be trusted, and why not."""
        who.require(Scope.READ)
        return health.check_data_health(self._sources, self._sources.fleet(who, fleet))

    def query_telemetry(self, who: Principal, sql: str, *, fleet: str | None = None, limit: int = 200) -> QueryAnswer:
        """The first rows of one SELECT over `telemetry`. Raises `InvalidInput` for anything else."""
        who.require(Scope.READ)
        return query.query_telemetry(self._sources, self._sources.run(who, fleet), sql, limit=limit)

    def overview(self, who: Principal, *, fleet: str | None = None) -> Overview:
        """What a dashboard draws."""
        who.require(Scope.READ)
        return overview.overview(self._sources, self._sources.fleet(who, fleet))
