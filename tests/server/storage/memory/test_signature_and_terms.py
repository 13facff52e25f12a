"""Signatures and terms: what makes two cases alike."""

import subprocess
import sys
from math import inf, nan

import numpy as np
import pytest

from server.storage.memory.signature import DIMENSION, hashed, likeness, metric_of, profile_of
from server.storage.memory.terms import document_weights, query_weights, share_in_common, terms_of


def test_hashed_profiles_are_about_as_alike_as_the_profiles():
    """On features of any fleet: off by less than .1 root mean square."""
    random = np.random.default_rng(3)
    profiles = [profile_of({f"m{random.integers(500)}_mean": random.normal(0, 6) for _ in range(8)}, {}) for _ in range(60)]
    vectors = np.array([hashed(profile) for profile in profiles])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    exact = np.array([[likeness(one, other) for one in profiles] for other in profiles])
    assert vectors.shape == (60, DIMENSION)
    assert np.sqrt(np.mean((vectors @ vectors.T - exact) ** 2)) < 0.1


def test_a_vector_is_the_same_in_every_process():
    """Stored vectors outlive the process that made them."""
    code = "from server.storage.memory.signature import *\nprint(hashed(profile_of({'Download_mean': 5.0}, {})))"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env={}).stdout
    assert printed.strip() == str(hashed(profile_of({"Download_mean": 5.0}, {})))


def test_other_names_in_the_same_domain_are_somewhat_alike():
    """A fleet that calls its metrics by other names still has batteries; 'other' is no domain."""
    ours, theirs = profile_of({"Drop_mean": 8.0}, {"Drop": "battery"}), profile_of({"Volt_mean": -8.0}, {"Volt": "battery"})
    assert 0 < likeness(ours, theirs) < 0.5
    assert likeness(profile_of({"a_mean": 8.0}, {}), profile_of({"b_mean": 8.0}, {})) == 0


def test_no_reading_and_endless_ones_do_no_harm():
    """NaN says nothing, infinity is only very large."""
    assert profile_of({"a_mean": nan, "b_mean": 0.0}, {}) == {}
    assert profile_of({"a_mean": -inf}, {})["feature a_mean"] == pytest.approx(-1)


@pytest.mark.parametrize("feature", ["Down_load_mean", "Down_load_std", "Down_load_change_vs_cohort", "Down_load"])
def test_a_features_metric_is_known_from_its_name(feature):
    """Whatever the statistic."""
    assert metric_of(feature) == "Down_load"


def test_terms_fold_case_endings_accents_and_names_of_metrics():
    """What people write in another form is the same term; words of every sentence are none."""
    assert terms_of("The KIOSKS were charging") == terms_of("kiosk charged") == ["kiosk", "charg"]
    assert terms_of("batteries TotalBatteryLevelDrop") == ["battery", "total", "battery", "level", "drop"]
    assert terms_of("Café 11.20") == ["caf", "11.20"] == terms_of("cafe 11.20")
    assert terms_of("of the") == []


def test_a_term_counts_less_when_repeated_and_in_a_long_text():
    """BM25's saturation and length; a question's terms count alike."""
    once, twice = document_weights("kiosk"), document_weights("kiosk kiosk")
    (index,) = query_weights("kiosks kiosk")
    assert once[index] < twice[index] < 2 * once[index]
    assert document_weights("kiosk " + " ".join(f"w{i}x" for i in range(99)))[index] < once[index]
    assert all(0 <= index < 2**32 for index in twice)


def test_what_is_in_common_is_counted_by_the_question():
    """Two of its four terms."""
    assert share_in_common("lobby kiosk power today", "kiosks of a lobby, long ago") == 0.5
    assert share_in_common("", "x") == 0
