"""What expected rules cover: an anomaly or a whole incident is muted, never changed or taken away."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from server.domain.anomaly import Anomaly, AnomalyFilter, Incident
from server.domain.feedback import ExpectedRule
from server.storage.base import Records

_FEW, _CHUNK = 5, 500
_WHOLE = "site"


class Muting:
    """The rules of one fleet over the cohort columns of one run."""

    def __init__(self, rules: Sequence[ExpectedRule], columns: Callable[[], Sequence[str]]) -> None:
        self._rules, self._columns = rules, columns

    def anomaly(self, anomaly: Anomaly) -> ExpectedRule | None:
        """The newest rule that covers it."""
        return next((rule for rule in self._rules if self._covers(rule, anomaly)), None)

    def incident(self, records: Records, incident: Incident) -> ExpectedRule | None:
        """The newest rule that covers one of its anomalies, if each of them is covered by some rule."""
        near = [rule for rule in self._rules if _may_cover(rule, incident)]
        if not near:
            return None
        if incident.anomalies == 0:
            return next((rule for rule in near if _covers_trouble(rule, incident)), None)
        found: ExpectedRule | None = None
        wanted = AnomalyFilter(fleet=incident.fleet.name, run=incident.run, incident=incident.id)
        # worst first: what is worse than expected shows among the first few
        for start in (0, *range(_FEW, incident.anomalies, _CHUNK)):
            page, _ = records.anomalies(incident.fleet.tenant, wanted, limit=_CHUNK if start else _FEW, offset=start)
            for anomaly in page:
                rule = self.anomaly(anomaly)
                if rule is None:
                    return None
                found = found or rule
        return found

    def _covers(self, rule: ExpectedRule, anomaly: Anomaly) -> bool:
        return (
            rule.start <= anomaly.time <= _last(rule)
            and anomaly.severity <= rule.ceiling
            and (not rule.metrics or anomaly.top_metric in rule.metrics)
            and self._in_scope(rule.scope, anomaly)
        )

    def _in_scope(self, scope: Mapping[str, str], anomaly: Anomaly) -> bool:
        if not scope:
            return True
        own = {"device": anomaly.device, _WHOLE: anomaly.site}
        if not scope.keys() <= own.keys():
            own |= dict(zip(self._columns(), anomaly.cohort, strict=False))
        return all(own.get(name) == value for name, value in scope.items())


def _may_cover(rule: ExpectedRule, incident: Incident) -> bool:
    """Whether it is worth looking at the incident's anomalies."""
    device = rule.scope.get("device")
    return rule.start <= incident.end and _last(rule) >= incident.start and (device is None or device in incident.devices)


def _last(rule: ExpectedRule) -> datetime:
    """A rule that was ended early keeps what it muted before."""
    return rule.until if rule.ended is None else min(rule.until, rule.ended)


def _covers_trouble(rule: ExpectedRule, incident: Incident) -> bool:
    """Trouble of the telemetry has no anomalies: its own scope, time and severity have to be within the rule's."""
    named = {_WHOLE if name in ("store", "customer") else name: value for name, value in incident.scope.items()}
    inside = rule.start <= incident.start and incident.end <= _last(rule) and incident.severity <= rule.ceiling
    return inside and not rule.metrics and rule.scope.items() <= named.items()
