"""Weighted reciprocal rank fusion.

Done here and not by Qdrant, because there a tie is broken by the order in which points were stored: the same decisions
remembered in another order would be recalled in another order. Here equal scores share a rank.
"""

from collections.abc import Mapping, Sequence

RANK_OFFSET = 10
"""Smaller than the usual 60, at which a decision far down in both lists beats the first of one list."""
_DIGITS = 5
"""Digits of a score that count: below that, a sum of floats depends on where in memory the vector lies."""

Found = Mapping[str, float]
"""Score by point id, higher is better."""


def fuse(searches: Sequence[tuple[float, Found]]) -> dict[str, float]:
    """Fused score by point id, of searches with their weights: the sum of weight / (RANK_OFFSET + rank), the best rank 0."""
    fused: dict[str, float] = {}
    for weight, found in searches:
        rounded = {point: round(score, _DIGITS) for point, score in found.items()}
        ranks: dict[float, int] = {}
        for rank, score in enumerate(sorted(rounded.values(), reverse=True)):
            ranks.setdefault(score, rank)
        for point, score in rounded.items():
            fused[point] = fused.get(point, 0.0) + weight / (RANK_OFFSET + ranks[score])
    return fused
