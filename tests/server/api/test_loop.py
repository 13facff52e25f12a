"""The whole loop over HTTP: verdicts, suggestion, preview, decision, apply, other anomalies."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from server.domain.suggestion import Preview


def _shown(client) -> dict[str, int]:
    page = client.get("/api/v1/anomalies", params={"limit": 1}).json()
    return {"total": page["total"]}


def test_a_false_alarm_becomes_a_better_baseline_only_after_a_person_said_yes(changing, judged):
    """The preview's numbers are those that then happen; before the decision nothing can be applied (P11)."""
    name = judged(changing, "judge")
    judge, boss = changing.client("judge"), changing.client("boss")
    path = f"/api/v1/suggestions/{name}"
    before = _shown(judge)["total"]
    preview = Preview.model_validate(judge.get(f"{path}/preview").json())
    assert preview.alarms_before == before > preview.alarms_after

    refused = judge.post(f"{path}/apply")
    assert (refused.status_code, refused.json()["error"]) == (409, "ApprovalMissing")
    assert _shown(judge)["total"] == before

    digest = judge.get(path).json()["digest"]
    decided = boss.post(f"{path}/decision", json={"approved": True, "digest": digest, "reason": "planned rollout"})
    assert decided.status_code == 200, decided.json()
    assert decided.json()["status"] == "approved"
    assert decided.json()["decision"] | {"time": "", "expires": ""} == {
        "suggestion": name, "digest": digest, "approved": True, "by": "boss", "channel": "http", "time": "", "expires": "",
        "reason": "planned rollout", "override": [],
    }  # fmt: skip

    applied = judge.post(f"{path}/apply")
    assert applied.status_code == 200, applied.json()
    assert applied.json()["version_after"] == applied.json()["version_before"] + 1
    assert _shown(judge)["total"] == preview.alarms_after
    again = judge.post(f"{path}/apply")
    assert again.json()["version_after"] == applied.json()["version_after"], "sent again, it changes nothing more (P4)"

    ledger = judge.get("/api/v1/effects").json()
    assert [each["suggestion"] for each in ledger["effects"]] == [name]
    assert ledger["effects"][0]["alarms_after"] == preview.alarms_after
    acts = [(each["action"], each["actor"], each["channel"]) for each in judge.get("/api/v1/audit").json()["entries"]]
    assert acts[:2] == [("apply_feedback", "judge", "http"), ("approve", "boss", "http")]


def test_an_approval_holds_once_and_for_that_content_only(changing, judged):
    """Another digest, a second decision and a rejected suggestion are refused as stale or missing."""
    name = judged(changing, "judge")
    boss, path = changing.client("boss"), f"/api/v1/suggestions/{name}/decision"
    digest = boss.get(f"/api/v1/suggestions/{name}").json()["digest"]
    other = boss.post(path, json={"approved": True, "digest": "0" * 32})
    assert (other.status_code, other.json()["error"]) == (409, "ApprovalStale")
    assert boss.post(path, json={"approved": False, "digest": digest, "reason": "no"}).json()["status"] == "rejected"
    replayed = boss.post(path, json={"approved": True, "digest": digest})
    assert (replayed.status_code, replayed.json()["error"]) == (409, "ApprovalStale")
    refused = changing.client("judge").post(f"/api/v1/suggestions/{name}/apply")
    assert (refused.status_code, refused.json()["error"]) == (409, "ApprovalMissing")


def test_four_at_once_make_one_decision_and_one_version(changing, judged):
    """Whoever comes second is told so; applying at the same moment gives everyone the same version (P4)."""
    name = judged(changing, "judge")
    path, start = f"/api/v1/suggestions/{name}", Barrier(4)
    digest = changing.client("boss").get(path).json()["digest"]

    def four(who: str, verb: str, body: dict | None) -> list:
        def one(_: int):
            client = changing.client(who)
            start.wait()
            return client.post(f"{path}/{verb}", json=body)

        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(one, range(4)))

    decided = four("boss", "decision", {"approved": True, "digest": digest})
    assert sorted(each.status_code for each in decided) == [200, 409, 409, 409]
    applied = four("judge", "apply", None)
    assert [each.status_code for each in applied] == [200] * 4, [each.text for each in applied]
    assert {each.json()["version_after"] for each in applied} == {2}
    assert changing.client("judge").get("/api/v1/baselines").json()["in_force"] == 2


def test_a_yes_has_to_be_the_word_true(reading):
    """Text or a number that could pass for true is refused, not taken for an approval."""
    for said in ("true", "yes", 1, None):
        body = {"approved": said, "digest": "0" * 32}
        assert reading.client("boss").post("/api/v1/suggestions/s-1/decision", json=body).status_code == 422


def test_settings_and_rollback_are_suggested_over_http_too(changing):
    """All three kinds of suggestion have a route; what there is no ground for is refused by name."""
    client = changing.client("judge")
    settings = client.post("/api/v1/suggestions/settings", json={"contamination": 0.01})
    assert settings.status_code == 201, settings.json()
    assert settings.json()["suggestions"][0]["suggestion"]["kind"] == "detector_settings"
    assert client.get("/api/v1/suggestions", params={"status": "pending"}).json()["total"] == 1
    rollback = client.post("/api/v1/suggestions/rollback", json={"to_version": 7})
    assert rollback.status_code in {404, 422}, rollback.json()


def test_a_rule_is_made_listed_and_ended(changing):
    """`expected` makes a rule with an end; a missed report and a recall answer as the tools do."""
    client = changing.client("judge")
    anomaly = client.get("/api/v1/anomalies", params={"limit": 1}).json()["anomalies"][0]
    body = {"verdict": "expected", "anomaly": anomaly["id"], "expires": "2030-01-01T00:00:00Z"}
    rule = client.post("/api/v1/feedback", json=body).json()["rule"]
    listed = client.get("/api/v1/rules").json()
    assert (listed["total"], listed["rules"][0]["id"]) == (1, rule["id"])
    assert client.post(f"/api/v1/rules/{rule['id']}/end").json()["ended"] is not None
    missed = {"device": "d03", "since": "2025-03-05T00:00:00Z", "until": "2025-03-05T05:00:00Z", "note": "no Wi-Fi"}
    assert client.post("/api/v1/feedback/missed", json=missed).json()["rows"] > 0
    assert client.get("/api/v1/feedback", params={"verdict": "expected"}).json()["total"] == 1
    assert client.get("/api/v1/feedback/recall", params={"words": "no Wi-Fi"}).json()["recalled"]


def test_a_filter_of_a_fleet_alone_judges_nothing(changing):
    """A verdict on everything that a fleet has is never meant."""
    refused = changing.client("judge").post("/api/v1/feedback", json={"verdict": "false_alarm", "fleet": "shop"})
    assert refused.status_code == 422
    assert changing.client("judge").get("/api/v1/feedback").json()["total"] == 0
