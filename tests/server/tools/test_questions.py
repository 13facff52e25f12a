"""Every question over MCP, in both eras: it answers with what the service says, as its schema promises, in bounded pages."""

import jsonschema
import pytest

from server.domain.identity import Principal
from server.tools.desk import Desk
from server.tools.policy import Policy
from server.tools.server import build_server

pytestmark = pytest.mark.anyio
ANN = Principal(name="ann")


async def test_every_reading_tool_answers_as_its_schema_promises(reader, walked) -> None:
    """Called the way a conversation goes, from the overview down; each answer has a sentence, and fits the output schema."""
    incident = walked.records.incidents("default")[0][0]
    anomaly = walked.questions.list_anomalies(ANN, limit=1).anomalies[0]
    device = {"device": anomaly.device}
    calls = {
        "get_overview": {},
        "list_incidents": {"limit": 5},
        "get_incident": {"incident": incident.id},
        "list_anomalies": {"limit": 5, **device},
        "get_anomaly": {"anomaly": anomaly.id},
        "explain_anomaly": {"anomaly": anomaly.id},
        "compare_device_with_peers": device,
        "get_device_timeline": {**device, "metric": "heat", "points": 50},
        "what_changed": {"incident": incident.id},
        "list_at_risk_devices": {"incident": incident.id},
        "rank_groups": {"by": "model"},
        "check_data_health": {},
        "list_baselines": {"limit": 5},
        "get_detector": {},
        "get_score_distribution": {"bins": 10},
        "check_drift": {"limit": 5},
        "query_telemetry": {"sql": "SELECT count(*) AS n FROM telemetry"},
        "list_runs": {},
        "get_run": {"run": anomaly_run(walked)},
        "list_suggestions": {},
        "list_effects": {},
        "recall_feedback": {"words": "fan"},
    }
    async with reader() as client:
        tools = {tool.name: tool for tool in (await client.client.list_tools()).tools}
        reading = {name for name, tool in tools.items() if tool.annotations.read_only_hint}
        assert reading - set(calls) == {"preview_suggestion"}
        for name, arguments in calls.items():
            answer = await client.ok(name, **arguments)
            jsonschema.validate(answer, tools[name].output_schema)
            assert name in {"list_suggestions"} or answer["summary"], name


def anomaly_run(walked) -> str:
    """The run that was walked."""
    return walked.records.runs("default")[0].id


async def test_pages_lead_through_all_anomalies_once(reader, walked) -> None:
    """By cursor, with the whole number on every page; the last one has none."""
    expected = [each.id for each in walked.questions.list_anomalies(ANN, limit=200).anomalies]
    seen, cursor = [], None
    async with reader() as client:
        while True:
            page = await client.ok("list_anomalies", limit=4, **({"cursor": cursor} if cursor else {}))
            assert page["total"] == len(expected)
            assert page["truncated"] is (page["cursor"] is not None)
            seen += [each["id"] for each in page["anomalies"]]
            cursor = page["cursor"]
            if cursor is None:
                break
    assert seen == expected


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("get_incident", {"incident": "gone"}, "no incident 'gone'"),
        ("get_anomaly", {"anomaly": "gone"}, "no anomaly 'gone'"),
        ("explain_anomaly", {}, "either `anomaly`, or `device`"),
        ("explain_anomaly", {"anomaly": "a", "device": "d1"}, "either `anomaly`, or `device`"),
        ("compare_device_with_peers", {"device": "d99"}, "d99"),
        ("list_incidents", {"fleet": "nobody"}, "nobody"),
        ("query_telemetry", {"sql": "DELETE FROM telemetry"}, "SELECT"),
        ("query_telemetry", {"sql": "SELECT * FROM read_csv('/etc/passwd')"}, ""),
        ("rank_groups", {"by": "colour"}, "colour"),
    ],
)
async def test_a_question_that_cannot_be_answered_says_why(reader, tool: str, arguments: dict, says: str) -> None:
    """In the words of the service; nothing of the machine."""
    async with reader() as client:
        said = await client.refused(tool, **arguments)
    assert says in said
    assert "log id" not in said
    assert "root:" not in said


async def test_what_drift_was_seen_is_counted(walked, connect) -> None:
    """For Prometheus, by fleet."""
    desk = Desk(walked)
    async with connect(build_server(walked, Policy.stdio(walked.settings), desk)) as client:
        report = await client.ok("check_drift", limit=5)
    assert f'anomalyst_drift_psi{{fleet="shop"}} {report["features"][0]["psi"]}' in desk.meters.text().decode()
