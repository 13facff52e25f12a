# ruff: noqa: ARG001 - a fake model may ignore what it is given
"""What a model that reads little at a time is offered and shown."""

import json

import canned
import pytest
from pydantic_ai.messages import ModelRequest, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import FunctionModel

from agent.offline.model import offline_model
from agent.small import SmallModel, shortened

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("question", "tool"),
    [
        ("Why was D-1042 flagged?", "explain_anomaly"),
        ("worst 5 stores for wifi", "rank_groups"),
        ("retrain now", "train_detector"),
    ],
)
async def test_the_tool_that_a_question_needs_is_among_the_few_offered(state, talk, question, tool):
    """At most a handful with the steps of a walk, without patterns and lengths, and no answer before a call."""
    seen = []

    def listening(messages, info):
        seen.append(info)
        return ModelResponse(parts=[TextPart("done")])

    async with talk(state, SmallModel(FunctionModel(listening))) as conversation:
        await conversation.ask(question)
    offered = [each.name for each in seen[0].function_tools]
    assert tool in offered
    assert len(offered) <= 12
    assert not seen[0].allow_text_output
    assert not {"pattern", "maxLength"} & set(
        json.dumps([each.parameters_json_schema for each in seen[0].function_tools]).split('"')
    )


async def test_a_greeting_may_be_answered_without_a_call(state, talk):
    """Nothing of the fleet is asked for."""
    seen = []

    def listening(messages, info):
        seen.append(info.allow_text_output)
        return ModelResponse(parts=[TextPart("hello")])

    async with talk(state, SmallModel(FunctionModel(listening))) as conversation:
        await conversation.ask("what can you do?")
    assert seen == [True]


async def test_long_answers_are_shown_shortened_and_kept_whole(state, talk):
    """The model sees the first rows and a few digits; the history has all of them."""
    state.anomalies = 50
    seen = []

    def listening(messages, info):
        seen.append(messages)
        answered = any(isinstance(part, ToolReturnPart) for part in messages[-1].parts)
        return ModelResponse(parts=[TextPart("listed") if answered else ToolCallPart("list_anomalies", {})])

    async with talk(state, SmallModel(FunctionModel(listening))) as conversation:
        reply = await conversation.ask("list all anomalies")
    (shown,) = [part for part in seen[-1][-1].parts if isinstance(part, ToolReturnPart)]
    assert len(shown.content["anomalies"]) == 5
    assert len(reply.calls[-1].payload["anomalies"]) > 5


def test_digits_beyond_the_fourth_are_left_out():
    """81.85304257576522 costs a small model more than it says."""
    part = ToolReturnPart("x", {"severity": 81.85304257576522, "rows": 12345, "none": None}, "1")
    (message,) = shortened([ModelRequest(parts=[part])])
    assert message.parts[0].content == {"severity": 81.85, "rows": 12345}


@pytest.mark.parametrize(("question", "offered"), [("Why was D-1042 flagged last night?", False), ("you missed one", True)])
async def test_a_tool_that_records_is_offered_only_where_the_person_asked_for_it(state, talk, question, offered):
    """Left among the choices, a small model takes `report_missed` because the question names a time."""
    seen = []

    def listening(messages, info):
        seen.append({each.name for each in info.function_tools})
        return ModelResponse(parts=[TextPart("done")])

    async with talk(state, SmallModel(FunctionModel(listening))) as conversation:
        await conversation.ask(question)
    assert ("report_missed" in seen[0]) is offered
    assert not seen[0] & {"apply_feedback", "cancel_run", "record_feedback"}


async def test_it_reads_only_the_words_of_earlier_answers_and_writes_little(state, talk):
    """What is asked now has to be looked up in any case; the long answers before it would fill its context.

    Its reply ends at 300 tokens, whatever the settings of the model itself allow.
    """
    seen = []

    def listening(messages, info):
        seen.append((messages, info.model_settings))
        return ModelResponse(parts=[TextPart("done")])

    async with talk(state, SmallModel(FunctionModel(listening, settings={"max_tokens": 1500}))) as conversation:
        with conversation.agent.override(model=offline_model()):
            await conversation.ask("Why was D-1042 flagged?")
        await conversation.ask("Compared to what?")
    messages, settings = seen[0]
    returned = [part for each in messages for part in each.parts if isinstance(part, ToolReturnPart)]
    (earlier,) = [part for part in returned if part.tool_name == "explain_anomaly"]
    assert earlier.content["anomaly"] == canned.ANOMALY
    assert "metrics" not in earlier.content
    assert settings["max_tokens"] == 300
