"""Prose by a language model that writes no figure itself: it leaves blanks, which code fills; what does not hold is dropped."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, Field, WithJsonSchema
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models import Model

from agent.explanations.readers import Audience
from agent.grounding import Facts, check, filled, supported

PROMPT_VERSION = 1
"""Raised with each change of the prompts below: what was written after an older one is not reused."""
MOST_WORDS = 150
_FOR = {
    Audience.OPERATOR: "an operator who runs the fleet",
    Audience.STORE_MANAGER: "a store manager who knows no statistics; use everyday words",
}


_MEANT = {
    "device": "the device",
    "when": "the time",
    "place": "the store",
    "metric": "what was measured",
    "value": "the measured value",
    "direction": "above or below",
    "typical": "the usual value",
    "rows": "how many rows the usual value rests on",
    "level": "whose usual value it is",
    "others": "how many similar devices were unusual that day",
    "change": "the recorded change before it, and its date",
    "severity": "how severe it is",
}
Sentence = Annotated[str, WithJsonSchema({"type": "string", "pattern": r'^[^0-9"\\\n]{1,160}$'})]
"""The schema lets a model write no digit, nor a quote, which would end the text in some grammars.

One that does not keep to schemas loses the sentence, not the whole draft.
"""


class Draft(BaseModel):
    """What a model fills in: a grammar keeps a small one to it."""

    sentences: list[Sentence] = Field(min_length=1, max_length=4, description="with blanks such as {device}, no digits")


@dataclass(frozen=True)
class Written:
    """Prose in which every claim holds, and the sentences that were dropped because they did not."""

    text: str
    dropped: tuple[str, ...]


async def write(model: Model, blanks: Mapping[str, str], facts: Facts, audience: Audience) -> Written:
    """The model's prose of at most 150 words; empty if nothing of it can be used.

    Raises:
        pydantic_ai.exceptions.AgentRunError: the model did not reply, or not with a draft.
    """
    told = await Agent(model, output_type=NativeOutput(Draft), retries=1).run(_prompt(blanks, audience))
    kept, dropped = list[str](), list[str]()
    for sentence in told.output.sentences:
        whole = _whole(sentence, blanks)
        (kept if whole and not check(whole, facts) else dropped).append(whole or sentence)
    text = supported(" ".join(kept), facts)
    usable = "{value}" in " ".join(told.output.sentences) and len(text.split()) <= MOST_WORDS
    return Written(text if usable else "", tuple(dropped))


def _whole(sentence: str, blanks: Mapping[str, str]) -> str:
    try:
        return filled(sentence, blanks)
    except ValueError:
        return ""


def _prompt(blanks: Mapping[str, str], audience: Audience) -> str:
    """What is asked. The blanks' texts are left out: a model that sees a figure copies it, and foreign text stays outside."""
    lines = "\n".join(f"{{{name}}} = {_MEANT[name]}" for name in blanks)
    return (
        f"A device was flagged as abnormal. For {_FOR[audience]}, say what happened, what may be behind it, what to do next.\n"
        "Write at most 4 short sentences. Write no digits: where a figure or a name belongs, write its blank in braces, as in\n"
        f'"On {{device}}, {{metric}} was {{value}}, {{direction}} the usual {{typical}}."\nThe blanks:\n{lines}'
    )
