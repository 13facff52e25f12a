"""Which model of the setting would answer now: what `anomalyst doctor` says of the agent."""

from collections.abc import Iterator
from dataclasses import dataclass

import httpx2
from pydantic import ValidationError
from pydantic_ai.models import Model

from agent.models import UnknownModel, language_models
from agent.offline.model import NAME
from agent.settings import AgentSettings

_SECONDS = 2.0
"""How long a model's address is waited for. No model is asked anything: that may cost money."""


@dataclass(frozen=True)
class Standing:
    """One row of the doctor's table; `state` is ok, warning or wrong."""

    part: str
    state: str
    what: str
    advice: str = ""


def examine() -> Iterator[Standing]:
    """A row for each language model of the setting, and first the one that would answer now. Raises nothing."""
    try:
        settings = AgentSettings()
        models = language_models(settings)
    except ValidationError as error:
        wrong = error.errors()[0]
        yield Standing("model", "wrong", f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}", "Mend the agent's settings.")
        return
    except UnknownModel as error:
        yield Standing("model", "wrong", str(error), "Mend ANOMALYST_MODEL, or install and authorize what it names.")
        return
    if not models:
        yield Standing("model", "ok", f"{NAME} answers: built in, no network is needed")
        return
    rows = [_of(model, settings) for model in models]
    answering = next((each for each in rows if each.state == "ok"), None)
    chain = ", then ".join((*(model.model_name for model in models), NAME))
    if answering is rows[0]:
        yield Standing("model", "ok", f"{models[0].model_name} would answer now (tried in turn: {chain})")
    else:
        name = models[rows.index(answering)].model_name if answering else NAME
        yield Standing("model", "warning", f"{name} would answer now (tried in turn: {chain})", rows[0].advice)
    yield from rows


def _of(model: Model, settings: AgentSettings) -> Standing:
    part, where = f"model {model.model_name}", model.base_url
    if not where:
        return Standing(part, "ok", "has no address to look at; it is asked at the first question")
    ollama = where.rstrip("/") == settings.ollama_url.rstrip("/")
    try:
        reply = httpx2.get(f"{where.rstrip('/')}/models" if ollama else where, timeout=_SECONDS)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        start = "Start Ollama (`ollama serve`), or mend ANOMALYST_OLLAMA_URL." if ollama else "Look at the network."
        return Standing(part, "warning", f"nothing answers at {where} ({type(error).__name__})", f"{start} {_BEHIND}")
    if not ollama:
        return Standing(part, "ok", f"{where} answers; whether it takes the key shows at the first question")
    if model.model_name not in _served(reply):
        return Standing(part, "warning", f"{where} does not serve it", f"`ollama pull {model.model_name}`. {_BEHIND}")
    return Standing(part, "ok", f"is served at {where}")


_BEHIND = "Until then the next one of the setting answers, in the end offline."


def _served(reply: httpx2.Response) -> frozenset[str]:
    """The models that Ollama names; `qwen3` is `qwen3:latest` to it."""
    try:
        names = [str(each["id"]) for each in reply.json()["data"]]
    except (ValueError, KeyError, TypeError):
        return frozenset()
    return frozenset((*names, *(name.removesuffix(":latest") for name in names)))
