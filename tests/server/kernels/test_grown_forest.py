"""The forest that is grown here against scikit-learn's own fit."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import IsolationForest

from server.kernels.forest import pack
from server.kernels.grown_forest import grow


def some_rows(seed: int, size: int, width: int, *, ties: bool) -> np.ndarray:
    """Heavy-tailed rows; with ties every third column never moves."""
    rows = np.random.default_rng(seed).standard_t(2, size=(size, width)).astype(np.float32)
    return np.where(np.arange(width) % 3 == 0, np.float32(1.5), np.round(rows)) if ties else rows


def assert_grown_as_fitted(rows: np.ndarray, drawn: np.ndarray, *, trees: int, samples: int, seed: int) -> None:
    given_rows, columns = np.ascontiguousarray(rows[:, drawn]), drawn.astype(np.uint16)
    about: dict[str, Any] = {"n_estimators": trees, "max_samples": samples, "random_state": seed}
    fitted = IsolationForest(**about).fit(given_rows)
    wanted, found = pack(fitted, columns), grow(given_rows, columns, trees=trees, samples=samples, seed=seed)
    assert found.normaliser == wanted.normaliser
    for part in ("feature", "threshold", "path"):
        np.testing.assert_array_equal(getattr(found, part), getattr(wanted, part))


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(2, 3000),
    st.integers(1, 12),
    st.integers(1, 12),
    st.integers(2, 600),
    st.booleans(),
    st.booleans(),
)
def test_every_tree_is_scikit_learns_bit_for_bit(
    seed: int, size: int, width: int, trees: int, samples: int, ties: bool, repeated: bool
) -> None:
    """Splits, thresholds and path lengths, for every share of the rows that a tree sees, with columns that never move."""
    rows = some_rows(seed, size, width, ties=ties)
    drawn = np.repeat(np.arange(width), np.random.default_rng(seed).integers(1, 4, width)) if repeated else np.arange(width)
    assert_grown_as_fitted(rows, drawn, trees=trees, samples=min(samples, size), seed=seed)


@pytest.mark.parametrize(("size", "samples"), [(30_000, 256), (25_600, 256), (256, 255), (300, 298), (300, 300), (2, 1)])
def test_rows_are_drawn_as_scikit_learn_draws_them(size: int, samples: int) -> None:
    """Below a hundredth of the rows, above ninety-nine hundredths, and between, it draws in different ways."""
    assert_grown_as_fitted(some_rows(1, size, 3, ties=False), np.arange(3), trees=8, samples=samples, seed=7)


def test_infinite_values_end_in_a_forest() -> None:
    """What is no number cannot be split at, but does not keep trees from ending."""
    rows = some_rows(3, 200, 2, ties=False)
    rows[:50, 0], rows[20:70, 1] = -np.inf, np.inf
    grown = grow(rows, np.arange(2, dtype=np.uint16), trees=5, samples=64, seed=0)
    assert np.isfinite(grown.score(rows)).all()


def test_training_imports_no_scikit_learn() -> None:
    """It takes a second and a hundred mebibytes."""
    program = (
        "import sys, numpy as np\n"
        "from server.detectors.isolation_forest import IsolationForestDetector\n"
        "from server.kernels.grown_forest import grow\n"
        "rows = np.arange(99, dtype='f4').reshape(-1, 1)\n"
        "grow(rows, np.zeros(1, 'u2'), trees=2, samples=9, seed=0)\n"
        "print('sklearn' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "False"
