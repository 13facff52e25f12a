"""Which verdict counts for a row when previews and effects are told by verdict."""

from collections.abc import Mapping

from server.domain.feedback import Feedback, FeedbackFilter, Verdict
from server.domain.telemetry import Fleet
from server.pipeline.displacement import microseconds
from server.storage.base import CorrectionRecords

_MOST_FEEDBACK = 1_000_000


def verdicts_that_count(corrections: CorrectionRecords, fleet: Fleet) -> Mapping[tuple[str, int], Feedback]:
    """By device and time in microseconds, the verdict that counts: the current one, but for a `true` of somebody else.

    What one person marked true stays so until that person says otherwise: nobody can empty the gate by judging again what
    others have judged.
    """
    current = _given(corrections, fleet, FeedbackFilter(fleet=fleet.name))
    counting = {(each.device, microseconds(each.time)): each for each in current}
    said = FeedbackFilter(fleet=fleet.name, verdict=Verdict.TRUE, current=False)
    for each in _given(corrections, fleet, said):
        now = counting.get((each.device, microseconds(each.time)))
        if now is not None and each.superseded is not None and now.author != each.author:
            counting[each.device, microseconds(each.time)] = each
    return counting


def _given(corrections: CorrectionRecords, fleet: Fleet, wanted: FeedbackFilter) -> list[Feedback]:
    found, _ = corrections.feedback(fleet.tenant, wanted, limit=_MOST_FEEDBACK)
    return list(found)
