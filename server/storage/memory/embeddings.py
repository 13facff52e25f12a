"""Sentence embeddings, where a model runs on the host. Recall works without."""

from collections.abc import Sequence
from time import monotonic
from typing import Protocol

import httpx
import ollama

from server.errors import Unavailable

_PREFIXES = {"nomic-embed-text": ("search_document: ", "search_query: ")}
"""What a model was trained to see before a stored text and before a question."""
_MOST_CHARACTERS = 4_000
_AT_ONCE = 64
_REST_SECONDS = 60.0


class Embedder(Protocol):
    """Turns texts into vectors of one length. Safe to call from several threads."""

    @property
    def id(self) -> str:
        """Names the model; vectors of another one are not comparable."""
        ...

    def documents(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector a text. Raises `Unavailable` when the model does not answer."""
        ...

    def question(self, text: str) -> list[float]:
        """The vector of what is looked for. Raises `Unavailable` when the model does not answer."""
        ...


class OllamaEmbedder:
    """`Embedder` on an Ollama host. After a failure it rests for a minute, so that a dead host delays one call and not each."""

    def __init__(self, host: str, model: str = "nomic-embed-text", *, timeout: float = 20.0) -> None:
        self._client = ollama.Client(host=host, timeout=httpx.Timeout(timeout, connect=2.0))
        self._host, self._model = host, model
        self._before_document, self._before_question = _PREFIXES.get(model.partition(":")[0], ("", ""))
        self._rests_until = 0.0

    @property
    def id(self) -> str:
        """The model's name with Ollama's before it."""
        return f"ollama/{self._model}"

    def documents(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector a text. Raises `Unavailable` when Ollama does not answer or lacks the model."""
        vectors: list[list[float]] = []
        for start in range(0, len(texts), _AT_ONCE):
            vectors += self._embed([self._before_document + text for text in texts[start : start + _AT_ONCE]])
        return vectors

    def question(self, text: str) -> list[float]:
        """The vector of what is looked for. Raises `Unavailable` when Ollama does not answer or lacks the model."""
        return self._embed([self._before_question + text])[0]

    def _embed(self, texts: Sequence[str]) -> list[list[float]]:
        if monotonic() < self._rests_until:
            raise Unavailable(f"Ollama at {self._host} did not answer a moment ago. It is asked again within a minute.")
        try:
            answer = self._client.embed(self._model, [text[:_MOST_CHARACTERS] for text in texts])
        except (ollama.ResponseError, httpx.HTTPError, ConnectionError) as error:
            self._rests_until = monotonic() + _REST_SECONDS
            raise Unavailable(
                f"Ollama at {self._host} gave no embeddings: {error}. Start it, and pull {self._model} there."
            ) from error
        vectors = [list(map(float, vector)) for vector in answer.embeddings]
        if len(vectors) != len(texts) or not all(vectors):
            raise Unavailable(f"Ollama at {self._host} gave {len(vectors)} vectors for {len(texts)} texts with {self._model}.")
        return vectors
