"""Numeric signatures: the robust z-scores of any fleet's features as one vector of fixed length.

A z-score enters as z|z| / (25 + z²): signed, half at 5, never above 1. What everybody has (|z| below 2) all but vanishes, and a
reading of 500 does not drown the others. Beside its features, a profile has one entry a metric and one a metric domain, each
the largest size among its features, so that cases of the same part of a device are somewhat alike even where another
statistic spoke, or where another fleet calls its metrics by other names.

Entries are hashed into 128 dimensions, each into four places with a sign. Cosines of hashed profiles differ from the exact
ones by .08 (root mean square; 64 dimensions: .12, 256: .05), which is little beside the noise of z-scores: finding the right
case among the first five measured the same at each. The hashed vector only finds candidates; `likeness` is the exact cosine.
"""

from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from math import isnan, sqrt

from server.domain.baseline import Statistic
from server.domain.catalogue import metric_named

DIMENSION = 128
_PLACES = 4
_BLOCK = DIMENSION // _PLACES
_METRIC_WEIGHT = _DOMAIN_WEIGHT = 0.5
_UNKNOWN_DOMAIN = "other"


def profile_of(signature: Mapping[str, float], domains: Mapping[str, str]) -> dict[str, float]:
    """Squashed z-scores by feature, and the largest sizes by metric and by domain, without those that are zero.

    A metric that `domains` does not name has the built-in catalogue's domain; the domain "other" joins nothing.
    """
    profile: dict[str, float] = {}
    for feature, z in signature.items():
        strength = _squashed(z)
        if strength:
            profile[f"feature {feature}"] = strength
            for key, weight in _aggregates(metric_of(feature), domains):
                profile[key] = max(profile.get(key, 0.0), weight * abs(strength))
    return profile


def likeness(one: Mapping[str, float], other: Mapping[str, float]) -> float | None:
    """Cosine of two profiles, -1 to 1; None where one is empty."""
    size = sqrt(sum(x * x for x in one.values()) * sum(x * x for x in other.values()))
    return sum(x * other.get(key, 0.0) for key, x in one.items()) / size if size else None


def hashed(profile: Mapping[str, float]) -> list[float]:
    """A profile as a vector of `DIMENSION` numbers."""
    vector = [0.0] * DIMENSION
    for key, strength in profile.items():
        for place, sign in _places(key):
            vector[place] += sign * strength
    return vector


def metric_of(feature: str) -> str:
    """The metric whose statistic a feature is: `Download` for `Download_mean` and `Download_mean_vs_cohort`."""
    name = feature.removesuffix("_vs_cohort")
    for statistic in Statistic:
        if name.endswith(f"_{statistic.value}"):
            return name.removesuffix(f"_{statistic.value}")
    return name


def _squashed(z: float) -> float:
    if isnan(z):
        return 0.0
    bounded = min(max(z, -1e6), 1e6)
    return bounded * abs(bounded) / (25 + bounded * bounded)


def _aggregates(metric: str, domains: Mapping[str, str]) -> list[tuple[str, float]]:
    domain = domains.get(metric) or metric_named(metric).domain
    joined = [(f"metric {metric}", _METRIC_WEIGHT)]
    return joined if domain == _UNKNOWN_DOMAIN else [*joined, (f"domain {domain}", _DOMAIN_WEIGHT)]


@lru_cache(maxsize=4096)
def _places(key: str) -> tuple[tuple[int, float], ...]:
    digest = blake2b(key.encode(), digest_size=2 * _PLACES).digest()  # Python's own hash differs from process to process
    pairs = zip(digest[::2], digest[1::2], strict=True)
    return tuple((i * _BLOCK + place % _BLOCK, 1.0 if sign & 1 else -1.0) for i, (place, sign) in enumerate(pairs))
