"""What a language model did by itself is counted from its replies, used or not."""

from zoneinfo import ZoneInfo

import canned
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.usage import RequestUsage

from agent.first_hand import by_itself, table_of_own
from agent.grounding import facts_of
from agent.models import Vetted

FACTS = facts_of([canned.explanation()], ZoneInfo("Europe/Berlin"))
EXPECTED = {"explain_anomaly": {"device": "D-1042"}}


def reply(*parts, why=""):
    return Vetted("fake", ModelResponse(parts=list(parts), usage=RequestUsage(input_tokens=100, output_tokens=10)), why, 2.0)


def own(*vetted, expected=EXPECTED, forbidden=("record_feedback",)):
    return by_itself(vetted, expected, forbidden, FACTS)


def test_a_right_call_and_a_sentence_that_holds_count():
    """Tool, arguments, answer, time and tokens."""
    called = reply(ToolCallPart("explain_anomaly", {"device": "D-1042"}))
    found = own(called, reply(TextPart("Its battery drain was 12.1 %, above the typical 4.3 %.")))
    assert (found.tool, found.arguments, found.forbidden) == (True, True, False)
    assert (found.answers, found.unsupported) == (1, 0)
    assert (found.seconds, found.read, found.written) == (4.0, 200, 20)


def test_what_the_vetting_stopped_counts_against_the_model():
    """A forbidden call and an invented number, though nobody saw them."""
    bad = reply(ToolCallPart("record_feedback", "{"), why="nobody asked for record_feedback")
    found = own(bad, reply(TextPart("It drained 47 % in an hour."), why="unsupported: 47"))
    assert (found.tool, found.arguments, found.forbidden) == (False, False, True)
    assert (found.answers, found.unsupported) == (1, 1)


def test_no_reply_is_no_right_tool():
    """A model that was too slow is not left out of the count."""
    found = own(Vetted("fake", None, "TimeoutError: ", 90.0))
    assert found.tool is False
    assert "| right tool | 0 of 1 |" in table_of_own([found], "fake")
    assert "| not used: TimeoutError | 1 |" in table_of_own([found], "fake")


def test_a_case_that_needs_no_tool_is_not_counted_among_those_that_do():
    """Refusals need none."""
    assert own(reply(TextPart("I cannot approve that.")), expected={}).tool is None


def test_without_a_language_model_there_is_no_table():
    """The offline model has no replies of its own to vet."""
    assert table_of_own([], "offline") == ""
