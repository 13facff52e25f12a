"""Embeddings from Ollama: used where it answers, done without where it does not, made anew when the model changes."""

import hashlib
import json

import httpx
import pytest
import respx

from server.domain.memory import RecallQuery
from server.errors import Unavailable
from server.storage.memory import OllamaEmbedder, QdrantMemory, embeddings

HOST = "http://ollama.test:11434"
POWER = ("charging", "mains")


class Ollama:
    """Answers `/api/embed`: texts about power are alike, all others are not."""

    def __init__(self, dimension: int = 8) -> None:
        self.dimension, self.down, self.seen = dimension, False, []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            raise httpx.ConnectError("refused")
        asked = json.loads(request.content)
        self.seen += asked["input"]
        return httpx.Response(
            200, json={"model": asked["model"], "embeddings": [self._vector(text) for text in asked["input"]]}
        )

    def _vector(self, text: str) -> list[float]:
        if any(word in text for word in POWER):
            return [1.0] + [0.0] * (self.dimension - 1)
        return [0.01, *(byte / 255 for byte in hashlib.sha256(text.encode()).digest()[: self.dimension - 1])]


@pytest.fixture
def ollama(monkeypatch):
    """A host that answers, and whose failures are not remembered."""
    monkeypatch.setattr(embeddings, "_REST_SECONDS", 0.0)
    host = Ollama()
    with respx.mock:
        respx.post(f"{HOST}/api/embed").mock(side_effect=host)
        yield host


@pytest.fixture
def opened(tmp_path):
    """Opens memories in one folder, one after the other, and closes them."""
    memories = []

    def opened(model: str = "nomic-embed-text") -> QdrantMemory:
        if memories:
            memories.pop().close()
        memories.append(QdrantMemory(tmp_path, embedder=OllamaEmbedder(HOST, model)))
        return memories[-1]

    yield opened
    memories.pop().close()


def _found(memory, words="on the mains"):
    return [each.decision.id for each in memory.recall(RecallQuery(tenant="acme", words=words))]


def test_other_words_of_the_same_meaning_are_found(ollama, opened, make_decision):
    """And the model sees the prefixes that it was trained with; tenants stay apart."""
    memory = opened()
    memory.remember([make_decision("a", words="always charging"), make_decision("b", words="dead access point")])
    memory.remember([make_decision("c", tenant="other", words="charging")])
    assert _found(memory)[0] == "a"
    assert "c" not in _found(memory)
    assert "search_document: always charging" in ollama.seen
    assert "search_query: on the mains" in ollama.seen


def test_without_ollama_recall_goes_on_by_words(ollama, opened, make_decision):
    """What was remembered meanwhile is embedded when it answers again, and nothing is found by words that were replaced."""
    memory = opened()
    memory.remember([make_decision("old", words="charging")])
    ollama.down = True
    memory.remember([make_decision("a", words="always charging"), make_decision("old", words="something else")])
    assert _found(memory) == []
    assert _found(memory, "charging") == ["a"]
    ollama.down = False
    memory.remember([make_decision("b", words="dead access point")])
    assert _found(memory)[0] == "a"


def test_a_memory_opens_while_ollama_is_down(ollama, opened, make_decision):
    """And catches up when it is opened with Ollama there."""
    ollama.down = True
    memory = opened()
    memory.remember([make_decision("a", words="always charging")])
    assert _found(memory) == []
    ollama.down = False
    assert _found(opened())[0] == "a"


@pytest.mark.parametrize(("model", "dimension"), [("nomic-embed-text", 5), ("other-model", 8)], ids=["dimension", "model"])
def test_another_model_embeds_all_anew(ollama, opened, make_decision, model, dimension):
    """Whether its name or the length of its vectors changed; the same one embeds nothing twice."""
    opened().remember([make_decision("a", words="always charging"), make_decision("silent", words="")])
    ollama.seen.clear()
    opened()
    assert not any("always charging" in text for text in ollama.seen)
    ollama.dimension = dimension
    assert _found(opened(model))[0] == "a"
    assert any("always charging" in text for text in ollama.seen)


def test_a_length_that_changes_under_way_stops_no_recall(ollama, opened, make_decision):
    """Until what is stored is of the new length, words do it alone."""
    memory = opened()
    memory.remember([make_decision("a", words="always charging")])
    ollama.dimension = 6
    assert _found(memory) == []
    memory.remember([make_decision("b", words="dead access point")])
    assert _found(memory)[0] == "a"


@pytest.mark.usefixtures("ollama")
def test_rebuilding_embeds_what_is_there_now(opened, make_decision):
    """And forgets the rest."""
    memory = opened()
    memory.remember([make_decision("gone", words="charging")])
    memory.rebuild([make_decision("a", words="always charging")])
    assert _found(memory) == ["a"]


@pytest.mark.parametrize("answer", [httpx.Response(404, json={"error": "model not found"}), httpx.ConnectError("refused")])
def test_the_embedder_says_what_to_do_and_rests_after_a_failure(answer):
    """The next call within a minute does not reach for the host."""
    with respx.mock:
        route = respx.post(f"{HOST}/api/embed").mock(side_effect=[answer])
        embedder = OllamaEmbedder(HOST)
        with pytest.raises(Unavailable, match="pull nomic-embed-text"):
            embedder.question("x")
        with pytest.raises(Unavailable, match="a moment ago"):
            embedder.documents(["x"])
        assert route.call_count == 1
