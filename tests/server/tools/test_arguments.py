"""Arguments are taken exactly as the schema states them, or refused with what is right."""

import json

import pytest

from server.app import App
from server.errors import InvalidInput
from server.settings import Settings
from server.tools.arguments import StrictArguments
from server.tools.desk import Desk
from server.tools.server import offered_tools

pytestmark = pytest.mark.anyio
TOOLS = [offered.tool for offered in offered_tools(Desk(App(Settings(_env_file=None))))]  # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("list_run", {}, "Did you mean list_runs"),
        ("list_runs", {"limits": 5}, "no argument `limits`. Did you mean `limit`?"),
        ("list_runs", {"fleets": "a", "limit": 1}, "Its arguments: fleet, limit, cursor."),
        ("list_runs", {"limit": "5"}, "`limit` has to be of type integer; it is '5'"),
        ("list_runs", {"limit": True}, "`limit` has to be of type integer; it is True"),
        ("list_runs", {"limit": 5.5}, "`limit` has to be of type integer"),
        ("list_runs", {"limit": 10**400}, "a number of hundreds of digits"),
        ("list_runs", {"limit": 0}, "`limit` has to be at least 1"),
        ("list_runs", {"cursor": "next"}, "`cursor` has to match"),
        ("list_runs", {"fleet": "A fleet"}, "`fleet` has to match"),
        ("list_anomalies", {"min_severity": "70"}, "`min_severity` has to be of type number"),
        ("list_anomalies", {"device": "d" * 201}, "`device` may have at most 200 characters"),
        ("list_anomalies", {"since": "yesterday"}, "`since` 'yesterday' is no ISO 8601 time"),
        ("list_incidents", {"kind": "devices"}, "`kind` has to be one of device, telemetry"),
        ("get_run", {}, "'run' is a required property"),
        ("advance_run", {"run": "r", "to": "persist"}, "`to` has to be one of ingest_telemetry"),
        ("ingest_telemetry", {"location": "x", "options": {"devices": 5}}, "`options.devices` has to be of type string"),
        (
            "ingest_telemetry",
            {"location": "x", "settings": {"contamination": 0.7}},
            "`settings.contamination` has to be at most 0.5",
        ),
        ("ingest_telemetry", {"location": "x", "settings": {"min_rows": "9"}}, "`settings.min_rows` has to be of type integer"),
        ("ingest_telemetry", {"location": "x", "settings": {"contaminaton": 0.1}}, "Did you mean `contamination`?"),
        ("ingest_telemetry", {"location": "x", "settings": {"window": "soon"}}, "`settings.window`: 'soon' is no duration"),
        ("ingest_telemetry", {"location": "x", "settings": {"lag": "0h"}}, "`settings.lag`: Input should be greater than 0"),
        ("ingest_telemetry", {"location": "x", "settings": {"detector": "hybird"}}, "Did you mean hybrid?"),
        ("suggest_detector_settings", {"domain_weights": {"battery": 11}}, "has to be at most 10"),
        ("record_feedback", {"verdict": "missed"}, "`verdict` has to be one of false_alarm, true, expected"),
        ("record_feedback", {"verdict": "true", "approve": True}, "no argument `approve`"),
        ("apply_feedback", {"suggestion": "s-1", "answer": {"approve": True}}, "no argument `answer`"),
        ("apply_feedback", {"suggestion": "s-1", "approved": True}, "Its arguments: suggestion."),
    ],
)
async def test_what_is_loose_or_unknown_is_refused(reader, tool: str, arguments: dict, says: str) -> None:
    """Neither dropped nor coerced, in both eras; the refusal says what is right."""
    async with reader() as client:
        assert says in await client.refused(tool, **arguments)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e308, 10**400], ids=str)
def test_no_number_that_json_cannot_hold_passes(value: float) -> None:
    """Some parsers read NaN and Infinity, and NaN is neither below nor above any bound."""
    strict = StrictArguments(TOOLS)
    with pytest.raises(InvalidInput, match="min_severity"):
        strict.checked("list_anomalies", {"min_severity": value})


async def test_null_for_an_optional_argument_means_that_it_is_left_out(reader) -> None:
    """Some models send every argument; null is the same as none."""
    async with reader() as client:
        assert (await client.ok("list_runs", fleet=None, cursor=None))["runs"]


async def test_refused_values_are_shown_in_part_only(reader) -> None:
    """A megabyte in an argument does not come back."""
    async with reader() as client:
        assert len(await client.refused("list_runs", fleet="x" * 100_000)) < 300


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_every_argument_is_bounded(tool) -> None:
    """Texts in length or pattern, numbers on both sides, lists and tables in size: nothing is taken that has no limit."""
    for name, schema in tool.parameters["properties"].items():
        assert bounded(schema, tool.parameters.get("$defs", {})), (tool.name, name, json.dumps(schema))
    assert tool.parameters["additionalProperties"] is False


def bounded(schema: dict, named: dict) -> bool:
    """Whether a schema limits what it takes."""
    if "$ref" in schema:
        return bounded(named[schema["$ref"].rpartition("/")[2]], named)
    if "properties" in schema:
        return schema["additionalProperties"] is False and all(bounded(each, named) for each in schema["properties"].values())
    if "enum" in schema or "const" in schema or schema["type"] == "boolean":
        return True
    if schema["type"] == "string":
        return "maxLength" in schema
    if schema["type"] in {"integer", "number"}:
        return ("minimum" in schema or "exclusiveMinimum" in schema) and "maximum" in schema
    return "maxProperties" in schema and bounded(schema["additionalProperties"], named)
