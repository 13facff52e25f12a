"""Which baseline version answers name once a suggestion was applied."""

from typing import Any

from server.domain.identity import Principal

ANN = Principal(name="ann")


def test_timeline_and_explanation_name_the_version_that_the_scores_rest_on(desk: Any) -> None:
    """The detector is the one of before, as the estimate that it was trained on did not change; the baselines are not."""
    desk.mark(desk.some(desk.benign()))
    standing = desk.suggestion()
    desk.approve(standing)
    desk.app.corrections.apply(ANN, standing.suggestion.id)
    assert desk.version() == 2
    anomaly = desk.real()[0]
    timeline = desk.app.questions.get_device_timeline(ANN, anomaly.device, "heat")
    explained = desk.app.questions.explain_anomaly(ANN, anomaly=anomaly.id)
    assert timeline.version == 2
    assert {metric.version for metric in explained.metrics} == {2}
