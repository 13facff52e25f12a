"""The canned answers have the shapes of the server's, so that what the templates read is what the server sends."""

import canned
import pytest

from server.domain import answers, suggestion

SHAPES = [
    (answers.HealthReport, canned.health()),
    (answers.IncidentCard, canned.card()),
    (answers.IncidentDetail, canned.incident()),
    (answers.Explanation, canned.explanation()),
    (answers.AnomalyPage, canned.anomalies()),
    (answers.PeerComparison, canned.peers("D-1", None)),
    (answers.Timeline, canned.timeline("D-1", "x")),
    (answers.ChangeReport, canned.changes()),
    (answers.GroupRanking, canned.ranking("store", None)),
    (answers.AtRiskPage, canned.at_risk()),
    (answers.DriftReport, canned.drift()),
    (answers.Overview, canned.overview()),
    (answers.ScoreDistribution, canned.distribution()),
    (suggestion.StandingSuggestion, canned.suggestion()),
    (suggestion.Preview, canned.preview("s-1")),
    (suggestion.Effect, canned.effect()),
]


@pytest.mark.parametrize(("model", "payload"), SHAPES, ids=lambda each: getattr(each, "__name__", ""))
def test_a_canned_answer_is_one_that_the_server_could_give(model, payload):
    """Each validates against the server's own model, and leaves out nothing that the server sends."""
    whole = model.model_validate(payload).model_dump(mode="json")
    assert set(payload) <= set(whole)
