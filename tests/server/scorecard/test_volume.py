"""VUS-PR against its definition written out threshold by threshold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.scorecard.volume import spans, vus_pr


def written_out(label: np.ndarray, severity: np.ndarray, window: int) -> float:
    """Paparrizos et al. 2022, with the existence reward: every width, every threshold, every row."""
    rows, positives = range(len(label)), int(label.sum())
    ordered = sorted(severity, reverse=True)
    thresholds = [ordered[int(place)] for place in np.linspace(0, len(label) - 1, 250)]
    areas = []
    for width in range(window + 1):
        soft = label.astype(float)
        for start, end in spans(label):
            for step in range(1, width // 2 + 1):
                for row in (start - step, end - 1 + step):
                    if 0 <= row < len(label):
                        soft[row] += (1 - step / width) ** 0.5
        soft = np.minimum(soft, 1)
        groups = united([(start - width // 2, end - 1 + width // 2) for start, end in spans(label)])
        area = before = 0.0
        for threshold in thresholds:
            flagged = severity >= threshold
            found = sum(any(flagged[row] for row in rows if low <= row <= high) for low, high in groups) / len(groups)
            hits = soft[flagged].sum()
            mass = positives + soft[flagged & ~label].sum()
            recall = min(1.0, hits / ((positives + mass) / 2)) * found
            area += (recall - before) * hits / flagged.sum()
            before = recall
        areas.append(area)
    return float(np.mean(areas))


def united(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    found = [ranges[0]]
    for low, high in ranges[1:]:
        if low <= found[-1][1]:
            found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
    return found


@settings(max_examples=15, deadline=None)
@given(
    labels=st.lists(st.booleans(), min_size=5, max_size=60).filter(lambda rows: any(rows) and not all(rows)),
    window=st.integers(2, 12),
    seed=st.integers(0, 999),
    ties=st.booleans(),
)
def test_volume_is_that_of_the_definition(labels: list[bool], window: int, seed: int, ties: bool) -> None:
    """Any labels, with and without equal severities."""
    label = np.array(labels)
    severity = np.random.default_rng(seed).normal(size=len(label)) + label
    severity = np.round(severity) if ties else severity
    assert vus_pr(label, severity, window) == pytest.approx(written_out(label, severity, window), rel=1e-12)


def test_severities_that_tell_labels_apart_have_more_volume() -> None:
    """Perfect ones most, reversed ones least; nothing to tell apart has none."""
    label = np.zeros(300, bool)
    label[100:120] = label[200:205] = True
    perfect, chance, reverse = label.astype(float), np.random.default_rng(1).normal(size=300), -label.astype(float)
    assert vus_pr(label, perfect, 20) > 0.8 > vus_pr(label, chance, 20) > vus_pr(label, reverse, 20)
    assert np.isnan(vus_pr(np.zeros(9, bool), np.arange(9.0), 3))
