"""What a client is told of the tools: enough to use each, and nothing but the truth."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

from server.app import App
from server.domain.identity import Scope
from server.settings import Settings
from server.tools.desk import Desk
from server.tools.guide import guide
from server.tools.server import offered_tools

ROOT = Path(__file__).parents[3]
OFFERED = offered_tools(Desk(App(Settings(_env_file=None))))  # pyright: ignore[reportCallIssue]
EXPECTED = [
    "ingest_telemetry",
    "engineer_features",
    "compute_baselines",
    "train_detector",
    "score_telemetry",
    "persist_anomalies",
    "advance_run",
    "get_run",
    "list_runs",
    "cancel_run",
    "list_incidents",
    "get_incident",
    "list_anomalies",
    "get_anomaly",
    "explain_anomaly",
    "compare_device_with_peers",
    "get_device_timeline",
    "list_baselines",
    "get_detector",
    "get_score_distribution",
    "check_drift",
    "what_changed",
    "list_at_risk_devices",
    "rank_groups",
    "check_data_health",
    "query_telemetry",
    "get_overview",
    "record_feedback",
    "report_missed",
    "recall_feedback",
    "suggest_baseline_adjustments",
    "suggest_detector_settings",
    "preview_suggestion",
    "list_suggestions",
    "apply_feedback",
    "suggest_rollback",
    "list_effects",
]


def test_the_tools_are_those_of_the_contract() -> None:
    """None is missing, none is extra, none is named twice."""
    assert sorted(offered.tool.name for offered in OFFERED) == sorted(EXPECTED)


@pytest.mark.parametrize("offered", OFFERED, ids=lambda offered: offered.tool.name)
def test_every_tool_says_what_it_does_with_an_example_that_its_schema_takes(offered) -> None:
    """A first sentence, an example that can be sent as it is, a word on every argument, and a typed answer."""
    tool = offered.tool
    about, _, example = tool.description.partition("Example: ")
    assert about.strip().splitlines()[0].endswith((".", ":"))
    jsonschema.validate(json.loads(example), tool.parameters)
    assert all(argument.get("description") for argument in tool.parameters["properties"].values())
    assert tool.output_schema["type"] == "object"
    assert tool.output_schema["properties"]
    assert tool.title


@pytest.mark.parametrize("offered", OFFERED, ids=lambda offered: offered.tool.name)
def test_annotations_agree_with_the_scope(offered) -> None:
    """What needs only `read` is announced as reading, and the other way round; what a person should be asked about says so."""
    hints = offered.tool.annotations
    assert hints.read_only_hint is (offered.scope is Scope.READ)
    assert hints.open_world_hint is False
    assert hints.destructive_hint is (offered.tool.name in {"apply_feedback", "cancel_run"})


def test_no_tool_can_be_used_with_the_scope_approve() -> None:
    """No tool approves: that scope opens none."""
    assert Scope.APPROVE not in {offered.scope for offered in OFFERED}


def test_descriptions_name_only_tools_that_there_are() -> None:
    """A model that follows a pointer arrives."""
    verbs = "get|list|explain|compare|check|rank|query|record|report|recall|suggest|preview|apply|advance|ingest|cancel|what"
    for offered in OFFERED:
        named = set(re.findall(rf"\b(?:{verbs})_[a-z_]+\b", offered.tool.description))
        assert named <= set(EXPECTED) | set(offered.tool.parameters["properties"]), offered.tool.name


def test_the_page_of_tools_is_current() -> None:
    """Run `python -m server.tools.guide > docs/tools.md` after changing a tool."""
    assert (ROOT / "docs/tools.md").read_text() == guide(OFFERED)
