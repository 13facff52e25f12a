"""Each tool of the server is reached by some wish of the offline model, or left out on purpose: a new one must be decided."""

import pytest
from fake_server import fake_server

from server.app import App
from server.settings import Settings
from server.tools.desk import Desk
from server.tools.server import offered_tools

pytestmark = pytest.mark.anyio
OFFERED = {each.tool.name: each.tool for each in offered_tools(Desk(App(Settings(_env_file=None))))}
REACHED = {
    "ingest_telemetry": ("", "load march.parquet"),
    "engineer_features": ("", "engineer the features"),
    "compute_baselines": ("", "compute the baselines again"),
    "train_detector": ("", "retrain the detector"),
    "score_telemetry": ("", "score the telemetry"),
    "persist_anomalies": ("", "persist the anomalies"),
    "advance_run": ("", "do the missing stages of the run"),
    "get_run": ("", "how far is run demo-20260312?"),
    "list_runs": ("", "list the runs"),
    "cancel_run": ("", "stop run demo-20260312"),
    "get_overview": ("", "sum up the fleet"),
    "list_incidents": ("", "list the incidents, the worst first"),
    "get_incident": ("", "show incident i-77aa88bb"),
    "list_anomalies": ("", "list the anomalies"),
    "explain_anomaly": ("", "why is a-1a2b3c4d5e6f an anomaly?"),
    "compare_device_with_peers": ("", "hold D-1042 against its peers"),
    "get_device_timeline": ("", "chart the battery of D-1042"),
    "what_changed": ("incident", "what changed before it?"),
    "list_at_risk_devices": ("incident", "which devices may be next?"),
    "rank_groups": ("", "rank the stores by anomalies"),
    "check_data_health": ("", "can the answers be trusted now?"),
    "list_baselines": ("", "what is normal for the battery?"),
    "get_detector": ("", "show the detector's settings"),
    "get_score_distribution": ("", "histogram of the scores"),
    "check_drift": ("", "have the features drifted since training?"),
    "query_telemetry": ("", "SELECT count(*) FROM telemetry"),
    "record_feedback": ("explained", "that is a false alarm"),
    "report_missed": ("", "you missed one: D-1042 was offline on Tuesday at 14:00"),
    "recall_feedback": ("explained", "what did people decide on cases like this?"),
    "suggest_baseline_adjustments": ("", "suggest a correction for the battery of the S21"),
    "suggest_detector_settings": ("", "too many alerts overall, flag fewer"),
    "suggest_rollback": ("", "go back to baseline version 1"),
    "preview_suggestion": ("suggested", "what exactly would it do?"),
    "list_suggestions": ("", "list the suggestions"),
    "apply_feedback": ("suggested", "apply it"),
    "list_effects": ("", "what have the applied changes done?"),
}
"""By tool, where the conversation stands and a wish that reaches it."""
LEFT_OUT = {
    "get_anomaly": "the bare record, for programs: explain_anomaly says the same of an anomaly in words",
}


def test_each_tool_of_the_server_is_reached_or_left_out_on_purpose():
    """A new tool fails here until a wish of the offline model, or a reason against one, is written down."""
    assert set(OFFERED) == {*REACHED, *LEFT_OUT}


@pytest.mark.parametrize("tool", REACHED)
async def test_a_wish_reaches_the_tool(tool, state, talk):
    """It is called, or held for a person where it is destructive."""
    thread, said = REACHED[tool]
    async with talk(state, thread=thread) as conversation:
        reply = await conversation.ask(said)
    held = [call.tool_name for call in reply.waiting]
    assert tool in [name for name, _ in state.calls] + held, (state.calls, reply.text[:200])


async def test_the_fake_server_asks_for_nothing_that_the_real_one_does_not(state):
    """Same names, and no argument that the real tool does not take: what was tried on it can be asked of the server."""
    for tool in await fake_server(state).list_tools():
        known = set(OFFERED[tool.name].parameters["properties"])
        assert set(tool.input_schema["properties"]) <= known, tool.name
