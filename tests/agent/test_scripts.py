"""Scripted runs, their traces and reports, and the evaluation of a model."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import FunctionModel

from agent import evaluation, reports, scripts
from agent.models import chain

SCRIPT = """
title: Morning review
steps:
  - ask: What needs my attention this morning?
    expect: {calls: {list_incidents: {}}, says: [i-77aa88bb], never: [record_feedback]}
  - ask: open the second one
    expect: {calls: {get_incident: {incident: i-0c0d0e0f}}}
"""


@pytest.mark.anyio
async def test_a_script_whose_expectations_hold_passes_and_replays_alike(tmp_path, state, talk):
    """The trace says what was called, can be read back, and asking again leads to the same calls."""
    (tmp_path / "morning.yaml").write_text(SCRIPT)
    async with talk(state) as conversation:
        trace = await scripts.run_script(scripts.read_script(tmp_path / "morning.yaml"), conversation)
    assert trace.passed
    (tmp_path / "trace.json").write_text(trace.model_dump_json())
    read = scripts.read_trace(tmp_path / "trace.json")
    async with talk(state) as conversation:
        assert await scripts.replay(read, conversation) == ()
    assert "<table>" in reports.page(trace)
    assert "all held" in reports.markdown(trace)


@pytest.mark.anyio
async def test_a_script_says_what_did_not_hold(state, talk):
    """A call that was not made and words that were not said fail the run, by name."""
    steps = [{"ask": "fleet overview", "expect": {"calls": {"get_run": {}}, "says": ["unicorn"], "never": ["get_overview"]}}]
    async with talk(state) as conversation:
        trace = await scripts.run_script(scripts.Script.model_validate({"title": "x", "steps": steps}), conversation)
    assert not trace.passed
    assert [each.split()[0] for each in trace.steps[0].failures] == ["get_run", "get_overview", "the"]


@pytest.mark.parametrize("text", ["title: x", "title: x\nsteps: [{say: hi}]", "{", "[1, 2]"])
def test_a_script_that_cannot_be_read_is_refused(text, tmp_path):
    """The message names the file."""
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(scripts.ScriptError, match=r"s\.yaml"):
        scripts.read_script(tmp_path / "s.yaml")


def test_a_report_runs_nothing_of_what_it_quotes():
    """Markup in questions and answers is escaped."""
    step = scripts.TracedStep(ask="<script>x</script>", answer="<img src=x>", calls=(), model="offline")
    page = reports.page(scripts.Trace(title="<b>", started=datetime(2026, 3, 12, tzinfo=UTC), steps=(step,), history="[]"))
    assert "<script>" not in page
    assert "<img" not in page


@pytest.mark.anyio
async def test_an_evaluation_counts_tools_arguments_facts_and_forbidden_calls(tmp_path, state, talk):
    """A right case passes; one with wrong arguments and a forbidden call does not."""
    (tmp_path / "cases.jsonl").write_text(
        '{"id": "a", "conversation": ["Why was D-1042 flagged?", "Compared to what?"], '
        '"expect": {"explain_anomaly": {"anomaly": "a-1a2b3c4d5e6f"}}, '
        '"facts": ["1,440"], "forbid": ["record_feedback"]}\n'
        '{"id": "b", "conversation": ["fleet overview"], "expect": {"get_run": {}}, "forbid": ["get_overview"]}\n'
    )
    outcomes = []
    for case in evaluation.read_cases(tmp_path / "cases.jsonl"):
        async with talk(state) as conversation:
            outcomes.append(await evaluation.evaluate(case, conversation))
    assert [each.passed for each in outcomes] == [True, False], outcomes
    assert outcomes[1].forbidden
    assert "| cases passed | 1 of 2 |" in evaluation.table_of(outcomes, "offline")


def test_a_line_that_is_no_case_is_named(tmp_path):
    """The line's number stands in the message."""
    (tmp_path / "cases.jsonl").write_text('{"id": "a", "conversation": ["x"]}\n{"id": 1}\n')
    with pytest.raises(scripts.ScriptError, match="line 2"):
        evaluation.read_cases(tmp_path / "cases.jsonl")


@pytest.mark.anyio
async def test_an_evaluation_tells_what_the_language_model_did_itself_and_can_be_kept(tmp_path, state, talk):
    """Only the last question is put to it if so asked; the outcome is read back as it was written."""
    asked = []

    def fake(messages, _info):
        asked.append(messages)
        done = any(part.part_kind == "tool-return" for part in messages[-1].parts)
        part = TextPart("It is 47 times too high.") if done else ToolCallPart("explain_anomaly", {"anomaly": "a-1a2b3c4d5e6f"})
        return ModelResponse(parts=[part])

    case = evaluation.Case(
        id="a",
        conversation=("Why was D-1042 flagged?", "Compared to what?"),
        expect={"explain_anomaly": {"anomaly": "a-1a2b3c4d5e6f"}},
    )
    async with talk(state, chain([FunctionModel(fake, model_name="fake")], 5)) as conversation:
        outcome = await evaluation.evaluate(case, conversation, last_only=True)
    assert outcome.passed
    assert (outcome.own.tool, outcome.own.arguments, outcome.own.unsupported) == (True, True, 1)
    assert len(asked) == 2
    (tmp_path / "kept.jsonl").write_text(f"{outcome.model_dump_json()}\n")
    assert evaluation.outcomes_in(tmp_path / "kept.jsonl") == [outcome]
    assert evaluation.outcomes_in(tmp_path / "none.jsonl") == []


def test_a_line_that_is_no_outcome_is_named(tmp_path):
    """So that a file that was cut off is not measured as if it were whole."""
    (tmp_path / "kept.jsonl").write_text('{"case":\n')
    with pytest.raises(scripts.ScriptError, match=r"kept\.jsonl, line 1"):
        evaluation.outcomes_in(tmp_path / "kept.jsonl")


@pytest.mark.parametrize(("name", "least"), [("demo", 35), ("acceptance", 20)])
def test_the_shipped_cases_are_read_by_name(name, least):
    """As the scripts of the package are."""
    assert len(evaluation.read_cases(Path(name))) >= least
