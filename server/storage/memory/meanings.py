"""Sentence embeddings of remembered decisions, in a collection of their own that is made anew whenever the model changes."""

from collections.abc import Iterator, Sequence

import structlog
from qdrant_client import models

from server.domain.memory import RecallQuery, RememberedDecision
from server.errors import Unavailable
from server.storage.memory.connection import Connection
from server.storage.memory.embeddings import Embedder
from server.storage.memory.points import decision_of, filter_of, id_of, payload_of

_COLLECTION = "meanings-1"
_PAGE = 256
_log = structlog.get_logger("anomalyst.memory")


class Meanings:
    """Embeddings by `embedder` of the decisions in the collection `decisions`.

    Where the model does not answer they fall behind, and the next `store` or `catch_up` that reaches it makes that good.
    """

    def __init__(self, connection: Connection, embedder: Embedder, decisions: str) -> None:
        self._connection, self._embedder, self._decisions = connection, embedder, decisions
        self._behind = True
        self._dimension: int | None = None

    def store(self, decisions: Sequence[RememberedDecision]) -> None:
        """Embed decisions that are stored already, and whatever is behind; until then none is found by words it had before."""
        if self._connection.ask(lambda client: client.collection_exists(_COLLECTION)):
            self._remove(decisions)
        try:
            if self._behind:
                self._embed_missing()
            else:
                self._embed(decisions)
        except Unavailable as error:
            self._fall_behind(error)

    def catch_up(self) -> None:
        """Embed every decision that this model has not embedded; all of them if the stored ones are another model's."""
        try:
            self._embed_missing()
        except Unavailable as error:
            self._fall_behind(error)

    def forget(self) -> None:
        """Remove them all."""
        self._connection.ask(lambda client: client.delete_collection(_COLLECTION))
        self._behind, self._dimension = True, None

    def search(self, query: RecallQuery, limit: int) -> Sequence[models.ScoredPoint]:
        """The nearest by cosine, best first; none if the model does not answer or the stored ones are another model's."""
        if self._dimension is None:
            return ()
        try:
            vector = self._embedder.question(query.words)
        except Unavailable as error:
            _log.warning("recalled without the meaning of the words", reason=str(error))
            return ()
        if len(vector) != self._dimension:
            self._behind, self._dimension = True, None
            return ()
        return self._connection.ask(
            lambda client: client.query_points(_COLLECTION, vector, query_filter=filter_of(query), limit=limit)
        ).points

    def _embed_missing(self) -> None:
        dimension = len(self._embedder.documents(["how long is a vector"])[0])
        if self._stored() != (self._embedder.id, dimension):
            self._make_anew(dimension)
        for decisions in self._missing():
            self._embed(decisions)
        self._behind, self._dimension = False, dimension

    def _stored(self) -> tuple[str, int] | None:
        if not self._connection.ask(lambda client: client.collection_exists(_COLLECTION)):
            return None
        config = self._connection.ask(lambda client: client.get_collection(_COLLECTION)).config
        vectors = config.params.vectors
        return (config.metadata or {}).get("embedder", ""), vectors.size if isinstance(vectors, models.VectorParams) else 0

    def _make_anew(self, dimension: int) -> None:
        vectors = models.VectorParams(size=dimension, distance=models.Distance.COSINE)
        made_by = {"embedder": self._embedder.id}
        self._connection.ask(lambda client: client.delete_collection(_COLLECTION))
        self._connection.ask(lambda client: client.create_collection(_COLLECTION, vectors, metadata=made_by))

    def _missing(self) -> Iterator[list[RememberedDecision]]:
        offset = None
        while True:
            records, offset = self._connection.ask(
                lambda client, after=offset: client.scroll(self._decisions, limit=_PAGE, offset=after)
            )
            here = self._connection.ask(
                lambda client, ids=[record.id for record in records]: client.retrieve(_COLLECTION, ids, with_payload=False)
            )
            known = {record.id for record in here}
            yield [decision_of(record.payload) for record in records if record.id not in known]
            if offset is None:
                return

    def _embed(self, decisions: Sequence[RememberedDecision]) -> None:
        speaking = [decision for decision in decisions if decision.words.strip()]
        if not speaking:
            return
        vectors = self._embedder.documents([decision.words for decision in speaking])
        points = [
            models.PointStruct(id=id_of(decision), vector=vector, payload=payload_of(decision))
            for decision, vector in zip(speaking, vectors, strict=True)
        ]
        if any(len(vector) != self._dimension for vector in vectors) and self._dimension is not None:
            raise Unavailable(f"{self._embedder.id} changed the length of its vectors.")
        self._connection.ask(lambda client: client.upsert(_COLLECTION, points))

    def _remove(self, decisions: Sequence[RememberedDecision]) -> None:
        points = models.PointIdsList(points=[id_of(decision) for decision in decisions])
        self._connection.ask(lambda client: client.delete(_COLLECTION, points))

    def _fall_behind(self, error: Unavailable) -> None:
        self._behind = True
        _log.warning("decisions are remembered without the meaning of their words", reason=str(error))
