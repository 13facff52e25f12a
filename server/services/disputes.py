"""Verdicts that start no suggestion yet: people do not agree on them, or the trouble that they are part of is still young."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import timedelta

from server.domain.anomaly import Incident
from server.domain.feedback import Feedback, Verdict
from server.domain.telemetry import Frozen

_WHOLLY = 0.8
"""Share of an incident's anomalies that must be marked false for the incident itself to count as judged."""
SETTLED = timedelta(days=3)
"""Trouble shared by devices that began less than this before the telemetry ends may yet turn out to be a fault."""


class Refused(Frozen):
    """Why verdicts led to no suggestion, and what would help."""

    feature: str = ""
    group: str = ""
    reason: str


def outside_young(given: Sequence[Feedback], young: Sequence[Incident]) -> tuple[list[Feedback], list[Refused]]:
    """The verdicts without false alarms in incidents that are young, unless the whole of one was judged; and why without."""
    left, refused = list(given), list[Refused]()
    for incident in young:
        inside = {each.id for each in left if each.verdict is Verdict.FALSE_ALARM and _within(each, incident)}
        if not inside or len(inside) >= _WHOLLY * incident.anomalies:
            continue
        left = [each for each in left if each.id not in inside]
        reason = (
            f"{len(inside)} of the verdicts lie in incident {incident.id}, which is open and began "
            f"{incident.start:%Y-%m-%d %H:%M} UTC. Wait three days, or judge the whole incident."
        )
        refused.append(Refused(group=incident.title, reason=reason))
    return left, refused


def undisputed(given: Sequence[Feedback]) -> tuple[list[Feedback], list[Refused]]:
    """The verdicts without false alarms in incidents that as many people call true, and why without.

    A person's word on an incident is what they said of most of its rows: a count of rows shall not outvote a person.
    """
    said: dict[str, dict[str, Counter[Verdict]]] = defaultdict(lambda: defaultdict(Counter))
    for each in given:
        if each.incident:
            said[each.incident][each.author][each.verdict] += 1
    disputed: set[str] = set()
    refused: list[Refused] = []
    for incident, by_author in said.items():
        words = Counter(count.most_common(1)[0][0] for count in by_author.values())
        true, false = words[Verdict.TRUE], words[Verdict.FALSE_ALARM]
        if true and true >= false:
            disputed.add(incident)
            if false:
                told = f"{false} people call incident {incident} a false alarm and {true} true"
                refused.append(Refused(group=incident, reason=f"{told}. Settle which it is first."))
    return [each for each in given if each.verdict is not Verdict.FALSE_ALARM or each.incident not in disputed], refused


def _within(feedback: Feedback, incident: Incident) -> bool:
    return feedback.device in incident.devices and incident.start <= feedback.time <= incident.end
