"""Scripted runs: a YAML of questions and what must hold after each, for cron and CI; the trace can be replayed and reported."""

from collections.abc import Mapping
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.conversation import Conversation, Reply


class ScriptError(Exception):
    """The script cannot be read; the message says where."""


class Expected(BaseModel):
    """What must hold after a step; what is left out is not looked at."""

    model_config = ConfigDict(extra="forbid")

    calls: dict[str, dict[str, Any]] = Field(
        default={}, description="tools that must be called, each with these arguments among its own"
    )
    never: tuple[str, ...] = Field(default=(), description="tools that must not be called")
    says: tuple[str, ...] = Field(default=(), description="words that the answer must contain, in any case")
    refused: bool = Field(default=False, description="whether a call may stay refused at the end")


class Step(BaseModel):
    """One question of a script."""

    model_config = ConfigDict(extra="forbid")

    ask: str = Field(min_length=1)
    expect: Expected = Expected()


class Script(BaseModel):
    """Questions asked in one conversation."""

    model_config = ConfigDict(extra="forbid")

    title: str
    steps: tuple[Step, ...] = Field(min_length=1)


class TracedCall(BaseModel):
    """One call and how it went."""

    tool: str
    args: dict[str, Any]
    refusal: str = ""


class TracedStep(BaseModel):
    """What a step led to."""

    ask: str
    answer: str
    calls: tuple[TracedCall, ...]
    model: str
    failures: tuple[str, ...] = ()


class Trace(BaseModel):
    """A run of a script. `history` is the conversation, which a later conversation can go on from."""

    title: str
    started: datetime
    steps: tuple[TracedStep, ...]
    history: str

    @property
    def passed(self) -> bool:
        """Whether every expectation held."""
        return not any(step.failures for step in self.steps)


def read_script(path: Path) -> Script:
    """The script in a YAML file, or the shipped one of that name. Raises `ScriptError` if it cannot be read or understood."""
    try:
        return Script.model_validate(yaml.safe_load(_text(path)))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ScriptError(f"{path.name} cannot be read: {error}") from error
    except ValidationError as error:
        wrong = error.errors()[0]
        raise ScriptError(f"{path.name}: {'.'.join(map(str, wrong['loc'])) or 'script'}: {wrong['msg']}") from error


def _text(path: Path) -> str:
    shipped = files("agent") / "examples" / f"{path.name}.yaml"
    if not path.suffix and not path.exists() and shipped.is_file():
        return shipped.read_text("utf-8")
    return path.read_text("utf-8")


def read_trace(path: Path) -> Trace:
    """A saved trace. Raises `ScriptError` if it is none."""
    try:
        return Trace.model_validate_json(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise ScriptError(f"{path.name} is no trace of a script: {error}") from error


async def run_script(script: Script, conversation: Conversation) -> Trace:
    """The trace of asking all steps, in order, whatever fails."""
    started = conversation.asking.clock()
    steps: list[TracedStep] = []
    for step in script.steps:
        reply = await conversation.ask(step.ask)
        steps.append(
            TracedStep(
                ask=step.ask, answer=reply.text, calls=calls_of(reply), model=reply.model, failures=failures(step.expect, reply)
            )
        )
    return Trace(title=script.title, started=started, steps=tuple(steps), history=conversation.saved().decode())


async def replay(trace: Trace, conversation: Conversation) -> tuple[str, ...]:
    """Ask the trace's questions again; the differences in calls and their arguments, in words."""
    differences: list[str] = []
    for place, step in enumerate(trace.steps, 1):
        reply = await conversation.ask(step.ask)
        then, now = ([(call.tool, call.args) for call in calls] for calls in (step.calls, calls_of(reply)))
        if then != now:
            differences.append(f"step {place} ({step.ask!r}): {then} then, {now} now")
    return tuple(differences)


def calls_of(reply: Reply) -> tuple[TracedCall, ...]:
    """The calls of a reply as a trace keeps them."""
    return tuple(TracedCall(tool=made.tool, args=dict(made.args), refusal=made.refusal) for made in reply.calls)


def failures(expected: Expected, reply: Reply) -> tuple[str, ...]:
    """What did not hold, in words."""
    made = [(call.tool, call.args) for call in reply.calls]
    wrong = [f"{tool} was not called with {args}" for tool, args in expected.calls.items() if not _among(tool, args, made)]
    wrong += [f"{tool} was called" for tool in expected.never if any(tool == called for called, _ in made)]
    wrong += [f"the answer does not say {words!r}" for words in expected.says if words.casefold() not in reply.text.casefold()]
    last = reply.calls[-1] if reply.calls else None
    if last and last.refusal and not expected.refused:
        wrong.append(f"{last.tool} was refused: {last.refusal}")
    return tuple(wrong)


def _among(tool: str, args: Mapping[str, Any], made: list[tuple[str, Mapping[str, Any]]]) -> bool:
    return any(called == tool and all(given.get(name) == value for name, value in args.items()) for called, given in made)
