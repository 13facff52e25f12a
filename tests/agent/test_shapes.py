"""The canned answers have the shapes of the server's, so that what the templates read is what the server sends."""

import canned
import pytest

from server.domain import suggestion
from server.domain.answers import anomalies, causes, devices, explanation, incidents, normal, overview

SHAPES = [
    (overview.HealthReport, canned.health()),
    (incidents.IncidentCard, canned.card()),
    (incidents.IncidentDetail, canned.incident()),
    (explanation.Explanation, canned.explanation()),
    (anomalies.AnomalyPage, canned.anomalies()),
    (devices.PeerComparison, canned.peers("D-1", None)),
    (devices.Timeline, canned.timeline("D-1", "x")),
    (causes.ChangeReport, canned.changes()),
    (causes.GroupRanking, canned.ranking("store", None)),
    (causes.AtRiskPage, canned.at_risk()),
    (normal.DriftReport, canned.drift()),
    (overview.Overview, canned.overview()),
    (normal.ScoreDistribution, canned.distribution()),
    (suggestion.StandingSuggestion, canned.suggestion()),
    (suggestion.Preview, canned.preview("s-1")),
    (suggestion.Effect, canned.effect()),
]


@pytest.mark.parametrize(("model", "payload"), SHAPES, ids=lambda each: getattr(each, "__name__", ""))
def test_a_canned_answer_is_one_that_the_server_could_give(model, payload):
    """Each validates against the server's own model, and leaves out nothing that the server sends."""
    whole = model.model_validate(payload).model_dump(mode="json")
    assert set(payload) <= set(whole)
