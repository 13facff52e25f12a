"""Who may come in: bearers of tokens within their scopes and tenant; without tokens, the user of this machine."""

import pytest

READS = (
    "runs", "runs/nobodys-run", "overview", "health", "anomalies", "incidents", "devices", "metrics", "baselines", "detector",
    "scores", "drift", "groups", "changes", "at-risk", "explanations", "feedback", "feedback/recall", "rules", "suggestions",
    "suggestions/s-1", "suggestions/s-1/preview", "effects", "audit", "audit/verification", "devices/d01/timeline",
    "devices/d01/peers", "devices/d01/telemetry", "exports/anomalies.csv", "exports/incidents.csv", "anomalies/a-1",
    "incidents/i-1", "me",
)  # fmt: skip
WRITES = {
    "runs": "runner",
    "uploads": "runner",
    "runs/nobodys-run/advance": "runner",
    "runs/nobodys-run/stages/score_telemetry": "runner",
    "runs/nobodys-run/cancel": "runner",
    "feedback": "judge",
    "feedback/missed": "judge",
    "rules/r-1/end": "judge",
    "suggestions/adjustments": "judge",
    "suggestions/settings": "judge",
    "suggestions/rollback": "judge",
    "suggestions/s-1/apply": "judge",
    "suggestions/s-1/decision": "boss",
}


def test_every_route_of_the_surface_is_in_these_lists(reading):
    """A new route has to say here who may call it."""
    paths = reading.client().get("/openapi.json").json()["paths"]
    told = {(path.removeprefix("/api/v1/"), method) for path, methods in paths.items() for method in methods}
    named = {"nobodys-run": "{run}", "a-1": "{anomaly}", "i-1": "{incident}", "s-1": "{suggestion}", "r-1": "{rule}"}
    named |= {"d01": "{device}", "score_telemetry": "{stage}"}

    def spelled(path: str) -> str:
        return "/".join(named.get(part, part) for part in path.split("/"))

    listed = {(spelled(path), "get") for path in READS} | {(spelled(path), "post") for path in WRITES}
    elsewhere = {("backup", "post"), ("prune", "post"), ("uploads/{location}", "delete")}  # test_keeping, test_uploads: who may
    assert told == listed | elsewhere | {("telemetry/query", "post")}


@pytest.mark.parametrize("path", READS)
def test_no_route_answers_a_stranger(reading, path):
    """Without a token, with a wrong one and with one that lacks the scope `read`, nothing is read."""
    url = f"/api/v1/{path}"
    assert reading.client().get(url).status_code == 401
    assert reading.client().get(url, headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert reading.client().get(url, headers={"Authorization": "Basic eDp5"}).status_code == 401
    assert reading.client("nobody").get(url).status_code == 403


@pytest.mark.parametrize(("path", "who"), WRITES.items())
def test_what_changes_something_needs_its_own_scope(reading, path, who):
    """Every other token is refused before its arguments are looked at; nobody's scope implies another."""
    url = f"/api/v1/{path}"
    assert reading.client().post(url, json={}).status_code == 401
    for other in {"reader", "runner", "judge", "boss"} - {who}:
        assert reading.client(other).post(url, json={}).status_code == 403, other
    assert reading.client(who).post(url, json={"strange": 1}).status_code != 403


def test_another_tenant_sees_nothing(reading):
    """A foreign id is as unknown as one that never was."""
    rival = reading.client("rival")
    anomaly = reading.client("reader").get("/api/v1/anomalies?limit=1").json()["anomalies"][0]["id"]
    assert rival.get("/api/v1/runs/shop-1").status_code == 404
    assert rival.get(f"/api/v1/anomalies/{anomaly}").status_code == 404
    assert rival.get("/api/v1/runs").json()["runs"] == []


@pytest.mark.parametrize("path", ["/api/v1/runs", "/openapi.json", "/api/v1/docs", "/approvals", "/approvals/style.css", "/x"])
def test_a_hostile_host_or_origin_is_refused_on_every_route(reading, local, path):
    """DNS rebinding and pages of other sites get nowhere, with tokens and without."""
    for client in (reading.client("all"), local.client()):
        assert client.get(path, headers={"Host": "evil.example"}).status_code == 421
        assert client.get(path, headers={"Origin": "http://evil.example"}).status_code == 403


def test_without_tokens_the_local_user_reads_and_judges_but_approves_only_before_the_page(local):
    """A bare call shows no person behind it (P11); the refusal says which scope is missing."""
    client = local.client()
    assert client.get("/api/v1/runs").status_code == 200
    told = client.post("/api/v1/suggestions/s-1/decision", json={"approved": True, "digest": "0" * 32})
    assert (told.status_code, "approve" in told.json()["message"]) == (403, True)


def test_without_tokens_another_machine_and_another_port_are_refused(local):
    """The local user is whoever calls from this machine, and no page but this server's own."""
    assert local.client(client=("192.0.2.7", 40_000)).get("/api/v1/runs").status_code == 403
    told = local.client().post("/api/v1/runs/shop-1/cancel", headers={"Origin": "http://127.0.0.1:3000"})
    assert told.status_code == 403
    own = local.client().post("/api/v1/runs/shop-1/cancel", headers={"Origin": "http://127.0.0.1:8800"})
    assert own.status_code == 200


def test_too_many_calls_have_to_wait(unhurried):
    """A bearer's calls are counted; the refusal is one to try again."""
    client = unhurried.client("reader")
    answers = [client.get("/api/v1/runs") for _ in range(3)]
    assert [each.status_code for each in answers] == [200, 200, 503]
    assert answers[-1].headers["retry-after"]


def test_answers_are_kept_out_of_frames_and_caches(reading):
    """Refusals too."""
    for answer in (reading.client("reader").get("/api/v1/runs"), reading.client().get("/api/v1/runs")):
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
