"""The decision memory on Qdrant: one point a decision, found by numbers, by words and, where a model runs, by meaning."""

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from qdrant_client import QdrantClient, models

from server.domain.memory import Recalled, RecallQuery, RememberedDecision
from server.storage.memory.connection import Connection
from server.storage.memory.embeddings import Embedder
from server.storage.memory.fusion import Found, fuse
from server.storage.memory.meanings import Meanings
from server.storage.memory.points import (
    KEYWORDS,
    NUMBERS,
    TERMS,
    decision_of,
    equals,
    filter_of,
    id_of,
    point_of,
    sparse,
)
from server.storage.memory.signature import DIMENSION, hashed, likeness, profile_of
from server.storage.memory.terms import query_weights, share_in_common

_COLLECTION = "decisions-1"
"""The number changes with how signatures or terms are made: vectors made otherwise are left behind, and rebuilt from SQL."""
_BATCH = 256
_CANDIDATES = 50
_MEANING = "meaning"
_WEIGHTS = {NUMBERS: 3.0, TERMS: 1.0, _MEANING: 1.0}
"""Of each search in the fusion. Numbers are there for every anomaly and do not depend on who describes it."""

_LEAST_IN_COMMON = 0.25
"""Of a question's terms, for words to have a say beside numbers: one chance word in common would push out a better fit."""


class QdrantMemory:
    """`DecisionMemory` in the folder at `location`, held by one process, or on the Qdrant server at the URL `location`.

    With an `embedder`, decisions are found by the meaning of their words too; while its model does not answer, without.

    Raises:
        StoreBusy: another process has the folder open.
        Unavailable: the folder cannot be read, or the server does not answer.
    """

    def __init__(self, location: Path | str, *, api_key: str | None = None, embedder: Embedder | None = None) -> None:
        self._connection = Connection(location, api_key=api_key)
        self._meanings = Meanings(self._connection, embedder, _COLLECTION) if embedder else None
        try:
            self._connection.ask(self._make_if_absent)
            if self._meanings:
                self._meanings.catch_up()
        except BaseException:
            self._connection.close()  # else the folder stays locked by an object that nobody has
            raise

    def remember(self, decisions: Sequence[RememberedDecision]) -> None:
        """Store or replace, by tenant and id."""
        for batch in _batches(decisions):
            points = [point_of(decision) for decision in {id_of(each): each for each in batch}.values()]
            self._connection.ask(lambda client, points=points: client.upsert(_COLLECTION, points))
            if self._meanings:
                self._meanings.store(batch)

    def recall(self, query: RecallQuery, *, limit: int = 5) -> Sequence[Recalled]:
        """The decisions most like the case, best first; of the query's tenant only.

        Equally good ones come newest first. A query with neither numbers nor words finds nothing.
        """
        profile = profile_of(query.signature, query.domains)
        decisions: dict[str, RememberedDecision] = {}
        searches: list[tuple[float, Found]] = []
        for name, points in self._search(query, profile, max(_CANDIDATES, 4 * limit)).items():
            alike = {str(point.id): point.score for point in points if point.score > 0}
            decisions.update({str(point.id): decision_of(point.payload) for point in points})
            if name == TERMS and profile:
                alike = {point: score for point, score in alike.items() if _says_as_much(query.words, decisions[point])}
            searches.append((_WEIGHTS[name], alike))
        recalled = [
            Recalled(decision=decision, score=score, likeness=_likeness(profile, decision))
            for decision, score in ((decisions[point], score) for point, score in fuse(searches).items())
        ]
        recalled.sort(key=lambda each: (-each.score, -each.decision.time.timestamp(), each.decision.id))
        return recalled[:limit]

    def rebuild(self, decisions: Iterable[RememberedDecision]) -> int:
        """Forget everything and remember these; returns how many."""
        self._connection.ask(self._make_anew)
        if self._meanings:
            self._meanings.forget()
        n = 0
        for batch in _batches(decisions):
            self.remember(batch)
            n += len(batch)
        return n

    def count(self, tenant: str) -> int:
        """How many decisions are remembered."""
        of_tenant = models.Filter(must=[equals("tenant", tenant)])
        return self._connection.ask(lambda client: client.count(_COLLECTION, of_tenant, exact=True)).count

    def close(self) -> None:
        """Release the folder or the connection."""
        self._connection.close()

    def _search(self, query: RecallQuery, profile: dict[str, float], limit: int) -> dict[str, Sequence[models.ScoredPoint]]:
        within = filter_of(query)
        vectors: dict[str, list[float] | models.SparseVector] = {}
        if profile:
            vectors[NUMBERS] = hashed(profile)
        if weights := query_weights(query.words):
            vectors[TERMS] = sparse(weights)
        requests = [
            models.QueryRequest(query=vector, using=name, filter=within, limit=limit, with_payload=True)
            for name, vector in vectors.items()
        ]
        answers = self._connection.ask(lambda client: client.query_batch_points(_COLLECTION, requests)) if requests else []
        found: dict[str, Sequence[models.ScoredPoint]] = {
            name: answer.points for name, answer in zip(vectors, answers, strict=True)
        }
        if self._meanings and query.words.strip():
            found[_MEANING] = self._meanings.search(query, limit)
        return found

    def _make_if_absent(self, client: QdrantClient) -> None:
        if not client.collection_exists(_COLLECTION):
            self._make(client)

    def _make_anew(self, client: QdrantClient) -> None:
        client.delete_collection(_COLLECTION)
        self._make(client)

    def _make(self, client: QdrantClient) -> None:
        numbers = models.VectorParams(size=DIMENSION, distance=models.Distance.COSINE)
        terms = models.SparseVectorParams(modifier=models.Modifier.IDF)
        client.create_collection(_COLLECTION, {NUMBERS: numbers}, {TERMS: terms})
        if self._connection.embedded:
            return  # a folder's client has no payload indices, and says so as a warning
        client.create_payload_index(
            _COLLECTION, "tenant", models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True)
        )
        for key in KEYWORDS:
            client.create_payload_index(_COLLECTION, key, models.PayloadSchemaType.KEYWORD)
        client.create_payload_index(_COLLECTION, "time", models.PayloadSchemaType.FLOAT)


def _likeness(profile: dict[str, float], decision: RememberedDecision) -> float | None:
    return likeness(profile, profile_of(decision.signature, decision.domains))


def _says_as_much(words: str, decision: RememberedDecision) -> bool:
    return share_in_common(words, decision.words) >= _LEAST_IN_COMMON


def _batches(decisions: Iterable[RememberedDecision]) -> Iterable[list[RememberedDecision]]:
    left = iter(decisions)
    while batch := list(islice(left, _BATCH)):
        yield batch
