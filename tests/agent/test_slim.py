"""Schemas as a small model is shown them: only what the question can fill, with what it names."""

from datetime import datetime
from zoneinfo import ZoneInfo

from agent.offline.thread import Made, Turn
from agent.slim import named_arguments, slim

NOW = datetime(2026, 3, 12, 9, 30, tzinfo=ZoneInfo("Europe/Berlin"))
TEXT = {"type": "string", "maxLength": 80, "description": "A text."}
SCHEMA = {
    "type": "object",
    "$defs": {"Kind": {"enum": ["a", "b"], "type": "string", "title": "Kind"}},
    "properties": dict.fromkeys(("fleet", "run", "cursor", "anomaly", "device", "metric", "since", "note"), TEXT)
    | {"kind": {"$ref": "#/$defs/Kind"}, "verdict": {"$ref": "#/$defs/Kind"}},
    "required": ["verdict"],
    "additionalProperties": False,
}


def shown(*turns: Turn) -> dict[str, str]:
    """The arguments that are left, with their descriptions."""
    left = slim(SCHEMA, named_arguments(turns, NOW))["properties"]
    return {name: each.get("description", "") for name, each in left.items()}


def test_arguments_that_nothing_fills_are_left_out():
    """Fleet, run, cursor and kind are made up by small models; a device or a time is offered where one is named."""
    assert set(shown(Turn("what is going on?"))) == {"note", "verdict"}


def test_what_the_question_names_is_told_as_the_tools_spell_it():
    """So that `wifi` is not guessed, and `yesterday` not computed."""
    left = shown(Turn("wifi of d1042 since yesterday"))
    assert left["device"] == "D-1042 is named."
    assert left["metric"] == "WiFiSignalStrength is named."
    assert left["since"] == "2026-03-11T00:00:00+01:00 is named."


def test_of_what_a_call_may_name_one_of_only_one_is_offered():
    """What is spoken of; a device that the question names goes before."""
    before = Turn("why", (Made("explain_anomaly", {}, {"anomaly": "a-1a2b3c4d5e6f", "device": "D-1"}),))
    follow_up = shown(before, Turn("is that sure?"))
    assert "a-1a2b3c4d5e6f" in follow_up["anomaly"]
    assert "device" not in follow_up
    assert "anomaly" not in shown(before, Turn("and D-1043?"))


def test_shared_types_are_written_in_and_lengths_left_out():
    """A grammar of patterns and lengths takes a small model minutes a reply."""
    left = slim(SCHEMA, {})
    assert left["properties"]["verdict"] == {"enum": ["a", "b"], "type": "string"}
    assert "$defs" not in left
    assert "maxLength" not in left["properties"]["note"]
    assert (left["required"], left["additionalProperties"]) == (["verdict"], False)
