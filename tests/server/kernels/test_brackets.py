"""Medians of groups in several parts: the very numbers that numpy finds in one, however badly a sample brackets them."""

import numpy as np
import numpy.typing as npt
import pytest

from server.kernels.brackets import bracket, inside, median_inside, sample, shares

Floats = npt.NDArray[np.float64]
NO_CENTRE = np.empty(0)
GROUPS = 7


def spread_over_parts(seed: int = 5, rows: int = 30_000) -> list[tuple[Floats, npt.NDArray[np.int32]]]:
    """Columns and group codes of four parts: groups of very different sizes, repeated values, gaps and an empty group."""
    chance = np.random.default_rng(seed)
    code = chance.choice(np.array([-1, 0, 1, 2, 3, 4, 5], np.int32), rows, p=[0.05, 0.6, 0.2, 0.1, 0.04, 0.009, 0.001])
    value = np.where(code == 2, 3.0, chance.normal(0, 1 + np.maximum(code, 0), rows) ** 3)
    value[chance.random(rows) < 0.1] = np.nan
    value[:3] = np.inf, -np.inf, np.nan
    return list(zip(np.array_split(value, 4), np.array_split(code, 4), strict=True))


def found(parts: list[tuple[Floats, npt.NDArray[np.int32]]], low: Floats, high: Floats, centre: Floats = NO_CENTRE):
    """Medians of all parts together, which brackets missed, and the counts and totals of all parts."""
    each = [inside(value, code, low, high, centre) for value, code in parts]
    count, below, total = (np.sum([part[i] for part in each], axis=0) for i in range(3))
    group, value = (np.concatenate([part[i] for part in each]) for i in (3, 4))
    return *median_inside(count, below, group, value), count, total, len(value)


def expected(parts: list[tuple[Floats, npt.NDArray[np.int32]]], centre: Floats = NO_CENTRE) -> Floats:
    value, code = (np.concatenate(each) for each in zip(*parts, strict=True))
    medians = np.full(GROUPS, np.nan)
    for group in range(GROUPS):
        own = value[(code == group) & np.isfinite(value)]
        if len(own):
            medians[group] = np.median(np.abs(own - centre[group]) if len(centre) else own)
    return medians


def test_medians_of_sampled_brackets_are_numpys_to_the_last_bit() -> None:
    """And only some of the values are kept on the way."""
    parts = spread_over_parts()
    sizes = np.bincount(np.concatenate([code[code >= 0] for _, code in parts]), minlength=GROUPS)
    drawn = [sample(value, code, shares(sizes), number) for number, (value, code) in enumerate(parts)]
    group, value = (np.concatenate(each) for each in zip(*drawn, strict=True))
    medians, missed, count, total, kept = found(parts, *bracket(group, value, GROUPS))
    assert not missed.any()
    np.testing.assert_array_equal(medians, expected(parts))
    assert kept < 0.5 * count.sum()
    spreads, missed, again, total, _ = found(parts, *bracket(group, np.abs(value - medians[group]), GROUPS), medians)
    assert not missed.any()
    np.testing.assert_array_equal(spreads, expected(parts, medians))
    np.testing.assert_array_equal(again, count)
    np.testing.assert_allclose(total[0], np.nansum([np.abs(v - medians[0])[(c == 0) & np.isfinite(v)].sum() for v, c in parts]))


@pytest.mark.parametrize("shift", [-50.0, 50.0])
def test_a_bracket_beside_the_median_is_noticed(shift: float) -> None:
    """Never answered with the nearest value that happens to be inside."""
    parts = spread_over_parts()
    middle = np.nan_to_num(expected(parts)) + shift
    _, missed, count, _, _ = found(parts, middle - 1, middle + 1)
    np.testing.assert_array_equal(missed, count > 0)


def test_an_unbounded_bracket_holds_every_median() -> None:
    """What a missed one is replaced by."""
    parts = spread_over_parts()
    medians, missed, *_ = found(parts, np.full(GROUPS, -np.inf), np.full(GROUPS, np.inf))
    assert not missed.any()
    np.testing.assert_array_equal(medians, expected(parts))


def test_a_sample_is_the_same_whenever_it_is_drawn() -> None:
    """So a task that runs again answers the same."""
    value, code = spread_over_parts()[0]
    share = np.full(GROUPS, 0.1)
    first, again = sample(value, code, share, 3), sample(value, code, share, 3)
    np.testing.assert_array_equal(first[1], again[1])
    assert 0.07 < len(first[1]) / np.count_nonzero((code >= 0) & np.isfinite(value)) < 0.13
    assert len(np.intersect1d(first[1], sample(value, code, share, 4)[1])) < 0.5 * len(first[1])
