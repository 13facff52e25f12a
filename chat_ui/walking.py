"""Work that takes a while: its stages on a card as they are done, and a button that stops it."""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar

from chat_ui.client import Refused, Unreachable
from chat_ui.desk import Talk
from chat_ui.screen import card, show
from chat_ui.words import foreign

Payload = Mapping[str, Any]
Result = TypeVar("Result")
_WORDS = {
    "ingest_telemetry": "Take in and check the rows",
    "engineer_features": "Work out the features",
    "compute_baselines": "Learn what is normal",
    "train_detector": "Train the detector",
    "score_telemetry": "Score every row",
    "persist_anomalies": "Keep the anomalies",
}
_PAUSE = 0.4


async def followed(talk: Talk, run: str, title: str, work: Awaitable[Result]) -> Result:
    """What the work on that run gives, its progress shown while it lasts. Raises what it raises."""
    drawn = card("Walk", walk_props(title, {"run": run, "stages": (), "walking": None}, running=True))
    await show(drawn)
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            await _drawn_anew(talk, drawn, title, run, running=True)
            await asyncio.wait({task}, timeout=_PAUSE)
        return task.result()
    finally:
        task.cancel()
        await _drawn_anew(talk, drawn, title, run, running=False)


async def walked(talk: Talk, run: str) -> Payload:
    """Walk the run to its end, or to where it stopped; where it stands then."""
    await talk.client.post(f"/runs/{run}/advance")
    while (state := await talk.client.get(f"/runs/{run}"))["walking"]:
        await asyncio.sleep(_PAUSE)
    return state


async def _drawn_anew(talk: Talk, drawn: Any, title: str, run: str, *, running: bool) -> None:
    """The card as the run stands; a server that does not say leaves it as it was."""
    try:
        props = walk_props(title, await talk.client.get(f"/runs/{run}"), running=running)
    except (Refused, Unreachable):
        return
    if any(drawn.props.get(name) != value for name, value in props.items()):
        drawn.props = {**drawn.props, **props}
        await drawn.update()


def walk_props(title: str, state: Payload, *, running: bool) -> dict[str, Any]:
    """Props of `Walk`, of a run."""
    stages = [_stage(each) for each in state["stages"]]
    done = sum(each["state"] == "done" for each in stages)
    return {
        "title": title,
        "run": state["run"],
        "running": running,
        "stages": stages,
        "words": _where(state["walking"]) if running else f"{done} of {len(stages)} stages are done and fresh",
        "share": round(100 * _share(state, done, len(stages))),
    }


def _stage(each: Payload) -> dict[str, str]:
    stage, note = str(each["stage"]), each["error"] or each["summary"]
    return {"words": _WORDS.get(stage, stage), "state": str(each["state"]), "note": foreign(note, 300)}


def _where(walking: Payload | None) -> str:
    if walking is None or walking["stage"] is None:
        return "waiting for its turn"
    rows = f"{walking['rows_done']:,}"
    of = f" of {walking['rows_in_all']:,}" if walking["rows_in_all"] else ""
    return f"{_WORDS.get(walking['stage'], walking['stage'])}: {rows}{of} rows"


def _share(state: Payload, done: int, stages: int) -> float:
    walking = state["walking"]
    within = min(walking["rows_done"] / walking["rows_in_all"], 1.0) if walking and walking["rows_in_all"] else 0.0
    return min((done + within) / stages, 1.0) if stages else 0.0
