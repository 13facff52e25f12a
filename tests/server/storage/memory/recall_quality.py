"""Recall at 5 of the sixty cases, for a test and for a table: `python tests/server/storage/memory/recall_quality.py`."""

import sys
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from recall_cases import CASES, FAMILIES

from server.domain.feedback import Feedback, Verdict
from server.domain.memory import RecallQuery, RememberedDecision
from server.domain.telemetry import Fleet
from server.services.remembering import of_act
from server.storage.memory import QdrantMemory

WAYS = ("signature", "words", "fused")
_START = datetime(2026, 1, 1, tzinfo=UTC)
_FEATURES = sorted({feature for family in FAMILIES.values() for feature in family})


def past_decisions(seed: int = 7) -> list[RememberedDecision]:
    """What was decided: 5 to 40 rows a case, each z-score with noise, through the same function as in service."""
    random = np.random.default_rng(seed)
    return [_past(i, seed, random) for i in range(len(CASES))]


def later_queries(seed: int = 7) -> list[tuple[RecallQuery, str, str]]:
    """Each past case as it comes again on other devices: query, id of the decision, and whether it shares many words."""
    random = np.random.default_rng(seed + 1_000)
    queries: list[tuple[RecallQuery, str, str]] = []
    for i, (_, _, _, _, later, shared) in enumerate(CASES):
        again = {feature: z * random.normal(1, 0.2) + random.normal(0, 1) for feature, z in _usual(i, seed).items()}
        queries.append((RecallQuery(tenant="acme", signature=_strongest(again), words=later), f"act{i}", shared))
    return queries


def recall_at_5(memory: QdrantMemory, seed: int = 7) -> dict[tuple[str, str], float]:
    """Share of queries whose decision is among the first five, by way of searching and by words shared (or `all`)."""
    hits: dict[tuple[str, str], list[bool]] = {}
    for query, wanted, shared in later_queries(seed):
        for way, asked in zip(WAYS, (query.model_copy(update={"words": ""}), _wordy(query), query), strict=True):
            hit = wanted in {each.decision.id for each in memory.recall(asked, limit=5)}
            for group in (shared, "all"):
                hits.setdefault((way, group), []).append(hit)
    return {key: sum(each) / len(each) for key, each in hits.items()}


def _wordy(query: RecallQuery) -> RecallQuery:
    return query.model_copy(update={"signature": {}})


def _usual(case: int, seed: int) -> dict[str, float]:
    """The case's own z-scores: its family's, each a quarter stronger or weaker, among what everybody has."""
    random = np.random.default_rng([seed, case])
    family = FAMILIES[CASES[case][0]]
    return {feature: family.get(feature, 0.0) * random.normal(1, 0.25) + random.normal(0, 0.5) for feature in _FEATURES}


def _past(case: int, seed: int, random: np.random.Generator) -> RememberedDecision:
    family, cohort, verdict, then, _, _ = CASES[case]
    usual, created = _usual(case, seed), _START + timedelta(days=case)
    rows = [
        Feedback(
            id=f"{case}-{row}",
            act=f"act{case}",
            fleet=Fleet(tenant="acme"),
            run="r",
            verdict=Verdict(verdict),
            device=f"d{row}",
            time=created,
            cohort=tuple(cohort.split(" / ")),
            metrics=_metrics(FAMILIES[family]),
            signature=_strongest({feature: z * random.normal(1, 0.2) + random.normal(0, 1) for feature, z in usual.items()}),
            note=then,
            author="ann",
            channel="cli",
            created=created,
        )
        for row in range(random.integers(5, 40))
    ]
    return of_act(rows, {}, f"{_metrics(FAMILIES[family])[0]} unusual on {len(rows)} devices")


def _metrics(features: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(feature.rpartition("_")[0] for feature in features))[:3]


def _strongest(signature: dict[str, float], most: int = 8) -> dict[str, float]:
    """As anomalies carry it: the features that deviate most."""
    return {feature: float(signature[feature]) for feature in sorted(signature, key=lambda f: -abs(signature[f]))[:most]}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        memory = QdrantMemory(Path(folder))
        memory.remember(past_decisions())
        for (way, shared), share in recall_at_5(memory).items():
            print(f"{way:10} {shared:6} {share:.3f}")  # noqa: T201 - the table is what it is for
        memory.close()
