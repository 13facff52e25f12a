"""How many claims of the offline narrator nothing supports, over 500 anomalies of the seeded fleet."""

from zoneinfo import ZoneInfo

import pytest

from agent.grounding import facts_of, supported, unsupported_rate
from agent.narration.findings import explanation
from agent.narration.words import Reader
from agent.offline.thread import Made, Turn
from server.domain.anomaly import AnomalyFilter
from server.domain.identity import Principal

ZONE = ZoneInfo("Europe/Berlin")


@pytest.mark.slow
def test_no_claim_about_500_anomalies_is_unsupported(app):
    """Each is explained with every number computed again: the rate is 0 before validation, and so after it."""
    found, _ = app.records.anomalies("default", AnomalyFilter(run=app.records.runs("default")[0].id), limit=500)
    assert len(found) == 500
    answers = []
    for each in found:
        payload = app.questions.explain_anomaly(Principal(name="ann"), anomaly=each.id).model_dump(mode="json")
        turn = Turn("why", (Made("explain_anomaly", {}, payload),))
        answers.append((explanation(turn, Reader(ZONE, each.time)), facts_of([payload], ZONE)))
    before = unsupported_rate(answers)
    after = unsupported_rate([(supported(prose, facts), facts) for prose, facts in answers])
    assert (before, after) == (0, 0)
