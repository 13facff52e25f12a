"""Asks the language model of `scripts/with_local_model` the cases and for explanations, and writes tables of what came out."""

import argparse
import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.exceptions import AgentRunError
from pydantic_ai.models import Model

from agent import evaluation, first_hand
from agent.conversation import Conversation
from agent.explanations import Audience
from agent.explanations.readers import blanks
from agent.explanations.writing import write
from agent.grounding import facts_of, supported, unsupported_rate
from agent.looking import Looks, NothingThere
from agent.models import language_models
from agent.narration.words import Reader
from agent.sessions import session
from agent.settings import AgentSettings

_SHOWN = ("device", "time", "cohort", "site", "score", "threshold", "severity", "band")
_OF_METRIC = ("metric", "value", "typical", "unit", "direction", "z", "level", "n")


async def main(asked: argparse.Namespace) -> None:
    """Ask what is not in the folder yet, at most so many, and write the tables."""
    name = os.environ["ANOMALYST_LOCAL_MODEL"]
    settings = AgentSettings(
        model=f"ollama:{name}",
        ollama_url=os.environ["ANOMALYST_LOCAL_MODEL_URL"],
        small_model=True,
        model_timeout=asked.seconds,
    )
    async with session(settings) as conversation:
        health = await Looks(conversation).at("check_data_health")
        end = datetime.fromisoformat(health["telemetry_until"])  # the fleet is from 2025: "today" is the end of its telemetry
        conversation.asking = replace(conversation.asking, clock=lambda: end)
        for cases in asked.cases:
            await _ask_cases(conversation, cases, asked.folder / f"{name}.{cases}.jsonl", asked.most)
        await _ask_for_prose(conversation, language_models(settings)[0], asked.folder / f"{name}.prose.jsonl", asked)
    tables = [_table(asked.folder / f"{name}.{cases}.jsonl", name) for cases in asked.cases]
    tables.append(_table_of_prose(asked.folder / f"{name}.prose.jsonl", name, conversation))
    (asked.folder / f"{name}.md").write_text("\n\n".join(filter(None, tables)) + "\n", "utf-8")
    print((asked.folder / f"{name}.md").read_text("utf-8"))  # noqa: T201 - this is a command


async def _ask_cases(conversation: Conversation, cases: str, kept: Path, most: int) -> None:
    done = {each.case.id for each in evaluation.outcomes_in(kept)}
    seen: evaluation.State = {}
    for case in [each for each in evaluation.read_cases(Path(cases)) if each.id not in done][:most]:
        try:
            outcome = await evaluation.evaluate(case, conversation, seen, last_only=True)
        except NothingThere as error:
            print(f"{case.id} is left out: {error}")  # noqa: T201 - as above
            continue
        _append(kept, outcome.model_dump_json())


async def _ask_for_prose(conversation: Conversation, model: Model, kept: Path, asked: argparse.Namespace) -> None:
    """Free prose, and prose with blanks, on the worst anomaly of a device of each of the worst incidents."""
    looks = Looks(conversation)
    page = await looks.at("list_incidents", {"limit": asked.prose, "kind": "device"}) if asked.prose else {"incidents": []}
    done = {line["told"]["device"] for line in _lines(kept)}
    devices = dict.fromkeys(card["device_examples"][0] for card in page["incidents"])
    for device in [each for each in devices if each not in done][: asked.most]:
        told = await looks.at("explain_anomaly", {"device": device})
        free, whole = await _prose(model, told, conversation, asked.seconds)
        if free:  # one that did not come in time is asked for again by the next call
            _append(kept, json.dumps({"told": dict(told), "free": free, "blanks": whole}))


async def _prose(model: Model, told: Mapping[str, Any], conversation: Conversation, seconds: float) -> tuple[str, str]:
    zone, now = conversation.asking.zone, conversation.asking.clock()
    metrics = [{name: _short(each[name]) for name in _OF_METRIC} for each in told["metrics"][:3]]
    payload = json.dumps({**{name: _short(told[name]) for name in _SHOWN}, "metrics": metrics})
    prompt = f"Explain to an operator, in three sentences with numbers, why this device was flagged: {payload}"
    free = whole = ""
    try:
        async with asyncio.timeout(seconds):
            free = (await Agent(model).run(prompt)).output
        async with asyncio.timeout(seconds):
            asked = blanks(told, Audience.OPERATOR, Reader(zone, now))
            whole = (await write(model, asked, facts_of([told], zone), Audience.OPERATOR)).text
    except (AgentRunError, TimeoutError) as error:
        print(f"{told['device']}: {type(error).__name__} {error}")  # noqa: T201 - as above
    return free, whole


def _short(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _table(kept: Path, name: str) -> str:
    outcomes = evaluation.outcomes_in(kept)
    if not outcomes:
        return ""
    own = first_hand.table_of_own([each.own for each in outcomes if each.own], name)
    failed = [f"- {each.case.id}: {'; '.join(each.why) or each.trouble}" for each in outcomes if not each.passed]
    vetted = evaluation.table_of(outcomes, f"{name}, vetted, with the offline model behind it")
    return "\n\n".join((f"## {kept.stem}", vetted, own, "\n".join(failed)))


def _table_of_prose(kept: Path, name: str, conversation: Conversation) -> str:
    zone = conversation.asking.zone
    texts = [(line["free"], facts_of([line["told"]], zone)) for line in _lines(kept) if line["free"]]
    if not texts:
        return ""
    after = unsupported_rate([(supported(prose, facts), facts) for prose, facts in texts])
    used = sum(bool(line["blanks"]) for line in _lines(kept))
    head = "| model | texts | unsupported before validation | after | texts used, with blanks |"
    return (
        f"## Prose\n\n{head}\n|---|---|---|---|---|\n"
        f"| {name} | {len(texts)} | {unsupported_rate(texts):.3f} | {after:.3f} | {used} of {len(_lines(kept))} |"
    )


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def _append(path: Path, line: str) -> None:
    with path.open("a", encoding="utf-8") as kept:
        kept.write(f"{line}\n")


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("--cases", nargs="*", default=["acceptance", "demo"], help="files of agent/cases")
    options.add_argument("--most", type=int, default=1000, help="cases of each file, and texts, to ask for now")
    options.add_argument("--prose", type=int, default=20, help="texts to have in the end")
    options.add_argument("--seconds", type=float, default=90, help="for one reply")
    asyncio.run(main(options.parse_args()))
