# ruff: noqa: ARG001 - a fake model may ignore what it is given
"""What one question may cost: a model that never stops calling is stopped, and the question is answered all the same."""

import pytest
from pydantic_ai.messages import ModelResponse, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import FunctionModel

from agent.building import limits_of
from agent.models import chain
from agent.settings import AgentSettings

pytestmark = pytest.mark.anyio
QUESTION = "Why was D-1042 flagged?"
OFFLINE_CALLS = ["check_data_health", "explain_anomaly"]


def never_done(messages, info):
    """Calls on and on, never twice alike, so that only a limit can end it."""
    done = sum(isinstance(part, ToolReturnPart) for message in messages for part in message.parts)
    return ModelResponse(parts=[ToolCallPart("list_anomalies", {"limit": done + 1})])


def many_at_once(messages, info):
    """Twenty calls in a single reply."""
    return ModelResponse(parts=[ToolCallPart("list_anomalies", {"limit": place}) for place in range(1, 21)])


@pytest.mark.parametrize("vetted", [True, False], ids=["in a chain", "by itself"])
@pytest.mark.parametrize(
    ("limits", "at_most"), [({"calls_a_question": 4}, 4), ({"requests_a_question": 5}, 5)], ids=["calls", "requests"]
)
async def test_an_endless_caller_is_stopped_by_the_limits_and_the_question_is_answered(state, talk, vetted, limits, at_most):
    """By pydantic-ai's usage limits; the offline model answers from the start, and says in `trouble` what happened."""
    model = FunctionModel(never_done, model_name="fake")
    async with talk(state, chain([model], 5) if vetted else model) as conversation:
        conversation.settings = AgentSettings(_env_file=None, **limits)
        reply = await conversation.ask(QUESTION)
        calls = [tool for tool, _ in state.calls]
        follow_up = await conversation.ask("Compared to what?")
    assert reply.trouble.startswith("UsageLimitExceeded")
    assert 0 < calls.count("list_anomalies") <= at_most
    assert calls[-2:] == OFFLINE_CALLS
    assert "above the typical 4.3 %" in reply.text
    assert [made.tool for made in reply.calls] == OFFLINE_CALLS
    assert "Median 4.3" in follow_up.text
    assert not state.recorded


async def test_calls_beyond_the_limit_in_one_reply_are_not_made(state, talk):
    """The limit holds before the calls go out: none of the twenty is made."""
    async with talk(state, FunctionModel(many_at_once, model_name="fake")) as conversation:
        conversation.settings = AgentSettings(_env_file=None, calls_a_question=10)
        reply = await conversation.ask(QUESTION)
    assert not any(tool == "list_anomalies" for tool, _ in state.calls)
    assert "above the typical 4.3 %" in reply.text


def test_the_settings_are_the_limits():
    """Replies and calls a question, as pydantic-ai counts them."""
    limits = limits_of(AgentSettings(_env_file=None, requests_a_question=7, calls_a_question=9))
    assert (limits.request_limit, limits.tool_calls_limit) == (7, 9)
