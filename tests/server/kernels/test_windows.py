"""Rolling features: pandas' own windows are the reference."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.kernels.windows import fill_features, lagged_rows, window_starts

HOUR = 3_600_000_000
WINDOW, LAG, MIN_COUNT = 12 * HOUR, 24 * HOUR, 3
WINDOWS = (WINDOW, LAG, MIN_COUNT)

# gaps that put rows exactly on, just inside and just outside the edges of window and lag
GAPS = st.sampled_from([1, HOUR - 1, HOUR, HOUR + 1, 6 * HOUR, WINDOW - 1, WINDOW, WINDOW + 1, LAG, LAG + WINDOW])
# eighths: sums of them are exact, so pandas' running sums carry no error that would have to be allowed for
VALUES = st.one_of(st.none(), st.integers(-8000, 8000).map(lambda n: n / 8))


@st.composite
def devices(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """One device's times and its values, some missing."""
    gaps = draw(st.lists(GAPS, min_size=1, max_size=60))
    values = draw(st.lists(VALUES, min_size=len(gaps), max_size=len(gaps)))
    return np.cumsum(gaps), np.array([np.nan if value is None else value for value in values])


def features(time: np.ndarray, *values: np.ndarray, bounds: tuple[int, ...] = ()) -> np.ndarray:
    made = np.empty((3, len(values), len(time)))
    edges = np.array(bounds or (0, len(time)), np.int64)
    fill_features(edges, time.astype(np.int64), np.stack(values), WINDOWS, made)
    return made


def reference(time: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and sample standard deviation by pandas, missing where the row's own value is."""
    series = pd.Series(values, index=pd.to_datetime(time, unit="us"))
    missing = np.isnan(values)
    mean = series.rolling("12h", closed="right", min_periods=MIN_COUNT).mean().to_numpy()
    std = series.rolling("12h", closed="right", min_periods=MIN_COUNT).std().to_numpy()
    return np.where(missing, np.nan, mean), np.where(missing, np.nan, std)


@settings(max_examples=150, deadline=None)
@given(devices())
def test_means_and_deviations_equal_pandas_rolling(device: tuple[np.ndarray, np.ndarray]) -> None:
    """Mean and std are those of pandas `rolling('12h', closed='right')`."""
    time, values = device
    made = features(time, values)
    mean, std = reference(time, values)
    np.testing.assert_allclose(made[0, 0], mean, rtol=1e-12, atol=1e-10)
    # pandas carries the variance from window to window, which costs it digits; numpy's two passes over each window do not
    np.testing.assert_allclose(made[1, 0], std, rtol=1e-7, atol=1e-5)
    for row in np.flatnonzero(np.isfinite(made[1, 0])):
        inside = values[(time > time[row] - WINDOW) & (time <= time[row]) & ~np.isnan(values)]
        np.testing.assert_allclose(made[1, 0, row], np.std(inside, ddof=1), rtol=1e-12, atol=1e-12)


@settings(max_examples=100, deadline=None)
@given(devices())
def test_a_change_is_the_mean_less_the_mean_a_lag_ago(device: tuple[np.ndarray, np.ndarray]) -> None:
    """The lagged row is the latest at or before t - lag and later than t - lag - window."""
    time, values = device
    made = features(time, values)
    for row, now in enumerate(time):
        earlier = [i for i, then in enumerate(time) if now - LAG - WINDOW < then <= now - LAG]
        expected = made[0, 0, row] - made[0, 0, earlier[-1]] if earlier else np.nan
        np.testing.assert_equal(made[2, 0, row], expected)


def test_the_window_is_open_on_the_left() -> None:
    """A row exactly one window old is outside, a microsecond less old is inside."""
    time = np.array([0, 1, WINDOW])
    assert window_starts(time, WINDOW).tolist() == [0, 0, 1]
    values = np.array([1000.0, 1.0, 2.0])
    made = np.empty((3, 1, 3))
    fill_features(np.array([0, 3]), time, values[None], (WINDOW, LAG, 1), made)
    assert made[0, 0].tolist() == [1000.0, 500.5, 1.5]


def test_the_lag_is_closed_on_the_right_and_open_on_the_left() -> None:
    """A row exactly one lag old is the lagged row; one that is a whole window older is none."""
    assert lagged_rows(np.array([0, LAG]), LAG, WINDOW).tolist() == [-1, 0]
    assert lagged_rows(np.array([0, LAG - 1]), LAG, WINDOW).tolist() == [-1, -1]
    assert lagged_rows(np.array([0, LAG + WINDOW - 1]), LAG, WINDOW).tolist() == [-1, 0]
    assert lagged_rows(np.array([0, LAG + WINDOW]), LAG, WINDOW).tolist() == [-1, -1]


def test_a_window_with_too_few_values_has_no_mean() -> None:
    """Fewer than `min_count` values, or fewer than two for a deviation, make no feature."""
    made = features(np.arange(4) * HOUR, np.array([1.0, np.nan, 2.0, 3.0]))
    assert np.isnan(made[0, 0, :3]).all()
    assert made[0, 0, 3] == 2.0
    single = np.empty((3, 1, 1))
    fill_features(np.array([0, 1]), np.array([0]), np.array([[5.0]]), (WINDOW, LAG, 1), single)
    assert single[0, 0, 0] == 5.0
    assert np.isnan(single[1, 0, 0])


@pytest.mark.parametrize("spike", [1e12, -1e12, 1e300])
def test_a_spike_leaves_no_trace(spike: float) -> None:
    """Once a spike has left the windows, every feature is bit for bit what it is without the spike."""
    chance = np.random.default_rng(3)
    time, values = np.arange(120) * HOUR, chance.normal(50, 1, 120)
    spiked = values.copy()
    spiked[40] = spike
    with_spike, without = features(time, spiked), features(time, values)
    after = 40 + (LAG + 2 * WINDOW) // HOUR
    np.testing.assert_array_equal(with_spike[:2, :, 40 + WINDOW // HOUR :], without[:2, :, 40 + WINDOW // HOUR :])
    np.testing.assert_array_equal(with_spike[:, :, after:], without[:, :, after:])


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 150))
def test_features_do_not_depend_on_where_the_rows_begin(seed: int, row: int) -> None:
    """History before the lookback may be cut off: what stays is bit-identical."""
    chance = np.random.default_rng(seed)
    time = np.cumsum(chance.integers(HOUR // 2, 2 * HOUR, 200))
    values = np.where(chance.random(200) < 0.1, np.nan, chance.normal(1e3, 1, 200) ** 3)
    begin = int(np.searchsorted(time, time[row] - LAG - 2 * WINDOW, side="right"))
    whole, cut = features(time, values), features(time[begin:], values[begin:])
    np.testing.assert_array_equal(whole[:, :, row:], cut[:, :, row - begin :])


def test_devices_do_not_see_each_other() -> None:
    """A block of two devices has each one's own features."""
    chance = np.random.default_rng(5)
    time, values = np.arange(60) * HOUR, chance.normal(size=(2, 60))
    both = features(np.tile(time, 2), values.ravel(), values.ravel()[::-1].copy(), bounds=(0, 60, 120))
    np.testing.assert_array_equal(both[:, 0, :60], features(time, values[0])[:, 0])
    np.testing.assert_array_equal(both[:, 0, 60:], features(time, values[1])[:, 0])
