"""A Qdrant server by URL: what is asked over REST, with which key, and what is said when it does not answer."""

import json

import httpx
import pytest
import respx

from server.domain.memory import RecallQuery
from server.errors import Unavailable
from server.storage.memory import QdrantMemory

URL = "https://qdrant.test:6333"
COLLECTION = f"{URL}/collections/decisions-1"
DONE = {"status": "ok", "time": 0.0, "result": {"operation_id": 1, "status": "completed"}}


@pytest.fixture
def server():
    """A server without collections."""
    with respx.mock(assert_all_called=False) as routes:
        routes.get(f"{COLLECTION}/exists").respond(json={"status": "ok", "time": 0, "result": {"exists": False}})
        routes.put(f"{COLLECTION}/index", name="index").respond(json=DONE)
        routes.put(f"{COLLECTION}/points", name="upsert").respond(json=DONE)
        routes.delete(COLLECTION, name="delete").respond(json={"status": "ok", "time": 0, "result": True})
        routes.put(COLLECTION, name="create").respond(json={"status": "ok", "time": 0, "result": True})
        yield routes


@pytest.fixture
def memory(server):  # noqa: ARG001 - it has to answer first
    """A memory on that server."""
    memory = QdrantMemory(URL, api_key="k")
    yield memory
    memory.close()


def _sent(server, name):
    return [json.loads(call.request.content) for call in server[name].calls]


@pytest.mark.usefixtures("memory")
def test_the_collection_is_made_with_both_vectors_and_an_index_for_every_filter(server):
    """Cosine for numbers, IDF for terms, the tenant's index marked as such; every call carries the key."""
    (made,) = _sent(server, "create")
    assert made["vectors"]["numbers"] == {"size": 128, "distance": "Cosine"}
    assert made["sparse_vectors"]["terms"] == {"modifier": "idf"}
    fields = {each["field_name"]: each["field_schema"] for each in _sent(server, "index")}
    assert set(fields) == {"tenant", "fleet", "kind", "outcome", "metrics", "cohort", "time"}
    assert fields["tenant"]["is_tenant"]
    assert all(call.request.headers["api-key"] == "k" for call in server.calls)


def test_a_decision_is_one_point_and_is_read_back_from_its_payload(server, memory, make_decision):
    """Recall asks both vectors in one call, each within the tenant."""
    decision = make_decision("a", words="docked kiosks")
    memory.remember([decision])
    (point,) = _sent(server, "upsert")[0]["points"]
    assert set(point["vector"]) == {"numbers", "terms"}
    found = {"id": point["id"], "version": 1, "score": 0.9, "payload": point["payload"]}
    server.post(f"{COLLECTION}/points/query/batch", name="query").respond(
        json={"status": "ok", "time": 0, "result": [{"points": [found]}, {"points": [found]}]}
    )
    (recalled,) = memory.recall(RecallQuery(tenant="acme", signature=decision.signature, words="kiosks", outcome="true"))
    assert recalled.decision == decision
    (asked,) = _sent(server, "query")
    assert [search["using"] for search in asked["searches"]] == ["numbers", "terms"]
    within = [{"key": "tenant", "match": {"value": "acme"}}, {"key": "outcome", "match": {"value": "true"}}]
    assert all(search["filter"]["must"] == within for search in asked["searches"])


def test_rebuilding_makes_the_collection_anew(server, memory, make_decision):
    """Deleted, made, filled."""
    assert memory.rebuild([make_decision("a")]) == 1
    assert [server[name].call_count for name in ("delete", "create", "upsert")] == [1, 2, 1]


@pytest.mark.parametrize(
    "answer", [httpx.ConnectError("refused"), httpx.ReadTimeout("late"), httpx.Response(401, text="no"), httpx.Response(503)]
)
def test_a_server_that_does_not_answer_is_unavailable(server, memory, make_decision, answer):
    """The message names the place and says what to check; an opened memory and a new one alike."""
    server.put(f"{COLLECTION}/points").mock(side_effect=[answer])
    server.get(f"{COLLECTION}/exists").mock(side_effect=[answer])
    with pytest.raises(Unavailable, match=r"qdrant\.test.*API key is right"):
        memory.remember([make_decision("a")])
    with pytest.raises(Unavailable, match=r"qdrant\.test"):
        QdrantMemory(URL, api_key="k")
