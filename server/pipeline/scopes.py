"""Scopes that devices can share: values of cohort columns, alone or together, and sites; how well one sets devices apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from server.domain.telemetry import Members

Codes = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ScopeKind:
    """One way to divide a fleet: the columns, the values that occur, and each code's value (the last entry stands for -1)."""

    columns: tuple[str, ...]
    key: str
    """Which code it is read from: cohort, store or customer."""
    values: tuple[tuple[str, ...], ...]
    value_of: Codes

    def scope(self, value: int) -> dict[str, str]:
        """The scope of a value as incidents show it."""
        return dict(zip(self.columns, self.values[value], strict=True))


def scope_kinds(members: Members, cohort_columns: Sequence[str]) -> tuple[ScopeKind, ...]:
    """Every cohort column, every pair, all together, then stores and customers.

    A column that another one implies (a model has one manufacturer) is not combined with it.
    """
    width = range(len(cohort_columns))
    implied = _implied(members.cohorts, len(cohort_columns))
    subsets = dict.fromkeys([*combinations(width, 1), *combinations(width, min(2, len(width))), tuple(width)])
    minimal = dict.fromkeys(tuple(i for i in subset if not any((j, i) in implied for j in subset)) for subset in subsets)
    kinds = [_cohort_kind(members.cohorts, cohort_columns, subset) for subset in minimal if subset]
    for key, names in (("store", members.stores), ("customer", members.customers)):
        if names:
            codes = np.append(np.arange(len(names)), -1).astype(np.int32)
            kinds.append(ScopeKind((key,), key, tuple((name,) for name in names), codes))
    return tuple(kinds)


def describe_scope(scope: dict[str, str]) -> str:
    """A scope in words, such as `TC57 on 13.4`, `OsVersionId 13.4`, `store-017` or `whole fleet`."""
    if not scope:
        return "whole fleet"
    if len(scope) > 1:
        return " on ".join(scope.values())
    ((column, value),) = scope.items()
    return value if column == "device" or value.casefold().startswith(column.casefold()) else f"{column} {value}"


def separation(inside: Floats, exposed: Floats, outside: Floats, unexposed: Floats) -> Floats:
    """Likelihood-ratio statistic (G) of affected shares in and out of a scope; 0 where the share is not higher inside.

    `inside` of `exposed` devices are affected in the scope, `outside` of `unexposed` elsewhere.
    """
    affected, every = inside + outside, exposed + unexposed
    expected = affected * exposed / every
    cells = (
        (inside, expected),
        (outside, affected - expected),
        (exposed - inside, exposed - expected),
        (unexposed - outside, unexposed - affected + expected),
    )
    total = np.zeros(np.broadcast(inside, exposed, outside, unexposed).shape)
    for seen, foreseen in cells:
        positive = (seen > 0) & (foreseen > 0)
        total += np.where(positive, seen * np.log(np.where(positive, seen, 1.0) / np.where(positive, foreseen, 1.0)), 0.0)
    return np.where(inside > expected, 2.0 * total, 0.0)


def _implied(cohorts: Sequence[tuple[str, ...]], width: int) -> set[tuple[int, int]]:
    """Pairs (i, j) of columns where i's value always tells j's; of two that tell each other, only the first tells."""
    tells = {
        (i, j)
        for i in range(width)
        for j in range(width)
        if i != j and len({cohort[i] for cohort in cohorts}) == len({(cohort[i], cohort[j]) for cohort in cohorts})
    }
    return {(i, j) for i, j in tells if (j, i) not in tells or i < j}


def _cohort_kind(cohorts: Sequence[tuple[str, ...]], columns: Sequence[str], subset: tuple[int, ...]) -> ScopeKind:
    chosen = [tuple(cohort[i] for i in subset) for cohort in cohorts]
    values = tuple(sorted(set(chosen)))
    place = {value: number for number, value in enumerate(values)}
    value_of = np.array([*(place[value] for value in chosen), -1], np.int32)
    return ScopeKind(tuple(columns[i] for i in subset), "cohort", values, value_of)
