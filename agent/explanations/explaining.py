"""One anomaly explained for a reader: kept from before, else written by a model, else by the template."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx2
from pydantic_ai.exceptions import AgentRunError
from pydantic_ai.models import Model

from agent.explanations.keeping import Kept, digest, found, keep
from agent.explanations.readers import Audience, blanks, template
from agent.explanations.writing import PROMPT_VERSION, write
from agent.grounding import check, facts_of
from agent.narration.words import Reader

TEMPLATE = "offline"
_FAILURES = (AgentRunError, OSError, TimeoutError, httpx2.HTTPError)


@dataclass(frozen=True)
class Explained:
    """An explanation, what it was made by and from, and whether it was written before."""

    kept: Kept
    reused: bool = False

    @property
    def text(self) -> str:
        """The prose; every claim in it holds."""
        return self.kept.text


async def explain(
    told: Mapping[str, Any],
    audience: Audience,
    reader: Reader,
    *,
    folder: Path,
    models: Sequence[Model] = (),
    timeout: float = 30.0,
) -> Explained:
    """What `explain_anomaly` answered, in prose of at most 150 words for that reader.

    The models are tried in turn; the template, which cannot fail, comes last. What was written is kept in `folder`.
    """
    facts = facts_of([told], reader.zone)
    asked = blanks(told, audience, reader)
    for model in models:
        wanted = _blank(told, audience, reader, model.model_name)
        before = found(folder, wanted)
        if before and not check(before.text, facts):
            return Explained(before, reused=True)
        try:
            with anyio.fail_after(timeout):
                written = await write(model, asked, facts, audience)
        except _FAILURES:
            continue
        if written.text:
            done = wanted.model_copy(update={"text": written.text, "dropped": written.dropped})
            keep(folder, done)
            return Explained(done)
    wanted = _blank(told, audience, reader, TEMPLATE)
    done = wanted.model_copy(update={"text": template(told, audience, reader)})
    before = found(folder, wanted)
    if before is not None and before == done:
        return Explained(before, reused=True)
    keep(folder, done)
    return Explained(done)


def _blank(told: Mapping[str, Any], audience: Audience, reader: Reader, model: str) -> Kept:
    return Kept(
        anomaly=told["anomaly"],
        audience=audience,
        zone=reader.zone_name,
        model=model,
        prompt_version=PROMPT_VERSION,
        payload=digest(told),
        text="",
    )
