"""Measures of planted severities, counted by hand."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from server.scorecard.card import line_of
from server.scorecard.contestants import Group
from server.scorecard.measures import Answers, quality, within_budget
from server.scorecard.outside import device_z

LABEL = np.zeros(300, bool)
LABEL[40:50] = LABEL[120:124] = LABEL[160:162] = True
ANSWERS = Answers(LABEL, np.array([0, 100, 200, 300]))


def test_events_are_runs_of_labels_within_a_device() -> None:
    """Also where the next device's rows begin labelled."""
    touching = np.zeros(20, bool)
    touching[8:12] = True
    answers = Answers(touching, np.array([0, 10, 20]))
    assert [(event.start, event.stop) for event in answers.events()] == [(8, 10), (10, 12)]
    assert ANSWERS.window() == 4


def test_budget_recall_and_precision_are_those_counted() -> None:
    """One row in a hundred of 300: the three worst, of which two are labelled, in two of three events."""
    severity = np.zeros(300)
    severity[[44, 121, 250]] = 9.0, 8.0, 7.0
    found = quality(ANSWERS, severity, 4)
    assert np.flatnonzero(within_budget(severity)).tolist() == [44, 121, 250]
    assert found.event_recall == pytest.approx(2 / 3)
    assert found.precision == pytest.approx(2 / 3)


def test_macro_is_the_mean_over_devices_that_have_both_kinds_of_rows() -> None:
    """The third device has no event and says nothing."""
    severity = np.random.default_rng(4).normal(size=300) + LABEL
    each = [average_precision_score(LABEL[rows], severity[rows]) for rows in ANSWERS.devices[:2]]
    found = quality(ANSWERS, severity, 4)
    assert found.auc_pr_macro == pytest.approx(np.mean(each))
    assert found.auc_pr_pooled == pytest.approx(average_precision_score(LABEL, severity))


def test_a_line_has_the_mean_and_the_spread_of_its_seeds() -> None:
    """And the cheapest of its costs: other processes only add to one."""
    severities = [np.random.default_rng(seed).normal(size=300) + LABEL for seed in range(3)]
    found = [quality(ANSWERS, severity, 4) for severity in severities]
    line = line_of("some", Group.INSTALLED, found, [3.0, 1.0, 2.0], [0.5, 0.4, 0.6])
    figures = [one.auc_pr_pooled for one in found]
    assert line.mean["auc_pr_pooled"] == pytest.approx(np.mean(figures))
    assert line.spread["auc_pr_pooled"] == pytest.approx(max(figures) - min(figures))
    assert (line.mean["top1_cause"], line.cpu) == (None, 1.4)


def test_raw_metrics_are_standardised_by_device_on_rows_to_fit_on() -> None:
    """A device's level and scale go; a constant metric stays finite; a missing value is 0."""
    chance = np.random.default_rng(6)
    values = np.concatenate([chance.normal(5, 1, (200, 3)), chance.normal(-90, 30, (200, 3))])
    values[:, 1] = 7.0
    values[390, 1], values[3, 0] = 8.0, np.nan
    fitted = np.arange(400) % 200 < 150
    z = device_z(values, np.array([0, 200, 400]), fitted)
    assert np.abs(np.median(z[:150, 0])) < 0.1
    assert z[:, 2].std() == pytest.approx(1, abs=0.2)
    assert np.isfinite(z).all()
    assert (z[3, 0], z[390, 1]) == (0.0, 1.0)
