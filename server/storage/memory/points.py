"""How a decision is written as a Qdrant point, and read back."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid5

from qdrant_client import models

from server.domain.memory import RecallQuery, RememberedDecision
from server.storage.memory.signature import hashed, profile_of
from server.storage.memory.terms import document_weights

NUMBERS, TERMS = "numbers", "terms"
KEYWORDS = ("fleet", "kind", "outcome", "metrics", "cohort")
"""Payload fields beside the tenant that are searched for whole values; `time` is searched by range."""
_NAMESPACE = UUID("6b1c1d3e-5f0a-4c55-9d2b-0d7f3a1e8c42")


def point_id(tenant: str, decision_id: str) -> str:
    """The point's id: the same for the same decision of the same tenant."""
    return str(uuid5(_NAMESPACE, f"{tenant}/{decision_id}"))


def id_of(decision: RememberedDecision) -> str:
    """The id of the point of a decision."""
    return point_id(decision.fleet.tenant, decision.id)


def point_of(decision: RememberedDecision) -> models.PointStruct:
    """The point of a decision. One without numbers or without words lacks that vector."""
    vectors: dict[str, Any] = {}
    if profile := profile_of(decision.signature, decision.domains):
        vectors[NUMBERS] = hashed(profile)
    if weights := document_weights(decision.words):
        vectors[TERMS] = sparse(weights)
    return models.PointStruct(id=id_of(decision), vector=vectors, payload=payload_of(decision))


def sparse(weights: Mapping[int, float]) -> models.SparseVector:
    """Weights by index as a sparse vector."""
    return models.SparseVector(indices=list(weights), values=list(weights.values()))


def payload_of(decision: RememberedDecision) -> dict[str, Any]:
    """What is filtered by, and the whole decision as JSON text."""
    return {
        "tenant": decision.fleet.tenant,
        "fleet": decision.fleet.name,
        "kind": decision.kind.value,
        "outcome": decision.outcome,
        "metrics": list(decision.metrics),
        "cohort": list(decision.cohort),
        "time": decision.time.timestamp(),
        "decision": decision.model_dump_json(),
    }


def decision_of(payload: Mapping[str, Any] | None) -> RememberedDecision:
    """The decision that a payload holds."""
    return RememberedDecision.model_validate_json((payload or {})["decision"])


def filter_of(query: RecallQuery) -> models.Filter:
    """The tenant and whatever else the query restricts."""
    wanted = {
        "tenant": query.tenant,
        "fleet": query.fleet,
        "kind": query.kind.value if query.kind else None,
        "outcome": query.outcome,
        "metrics": query.metric,
        "cohort": query.cohort,
    }
    conditions: list[models.Condition] = [equals(key, value) for key, value in wanted.items() if value is not None]
    if query.since is not None:
        conditions.append(models.FieldCondition(key="time", range=models.Range(gte=query.since.timestamp())))
    return models.Filter(must=conditions)


def equals(key: str, value: str) -> models.FieldCondition:
    """Whether a payload field is, or holds, that value."""
    return models.FieldCondition(key=key, match=models.MatchValue(value=value))
