"""Telemetry from a person's own file: sent to the server, which looks at it; walked after a yes; and the dashboard anew."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import chainlit as cl

from chat_ui.client import Refused
from chat_ui.desk import Talk
from chat_ui.screen import AUTHOR, GOOD, WARNING, button, say
from chat_ui.showing import show_dashboard
from chat_ui.walking import followed, walked
from chat_ui.words import count, foreign

Payload = Mapping[str, Any]
MOST_MEGABYTES = 100
_KINDS = {
    "text/csv": [".csv"],
    "text/tab-separated-values": [".tsv"],
    "application/octet-stream": [".parquet"],
    "application/vnd.ms-excel": [".csv"],
}
_PATIENCE = 300


async def ask_for_file(talk: Talk) -> None:
    """Ask for a telemetry file and send it on; nothing is ingested before the person says so. Silence is a no."""
    refusal = talk.why_not("run")
    if refusal:
        await say(WARNING, refusal)
        return
    # Chainlit keeps what it asked for by the step that it asked in, and refuses the file where there is none, as below a button
    async with cl.Step(name="upload", type="run"):
        asked = cl.AskFileMessage(
            content="A CSV or Parquet file of telemetry: a row for each device and time, with a header that names the columns.",
            accept=_KINDS,
            max_size_mb=MOST_MEGABYTES,
            timeout=_PATIENCE,
            author=AUTHOR,
        )
        sent = await asked.send()
    if not sent:
        await say("an-card", "No file came; nothing has changed.")
        return
    await _taken(talk, sent[0].name, Path(sent[0].path))


async def _taken(talk: Talk, name: str, path: Path) -> None:
    try:
        told = await talk.client.upload(name, path)
    except Refused as error:
        await say(WARNING, f"Not taken: {foreign(error, 600)} Nothing has changed.", button("Send another file", "upload"))
        return
    finally:
        path.unlink(missing_ok=True)
    await say(
        "an-card",
        words_of(told),
        button("Ingest and walk it", "walk", main=True, location=told["location"]),
    )


def words_of(told: Payload) -> str:
    """What a file's columns are taken for."""
    metrics = ", ".join(foreign(name, 40) for name in told["metrics"][:8])
    more = f" and {len(told['metrics']) - 8} more" if len(told["metrics"]) > 8 else ""
    cohort = ", ".join(foreign(name, 40) for name in told["cohort"]) or "none"
    return (
        f"{foreign(told['summary'], 200)} Device: {foreign(told['device'], 40)}; time: {foreign(told['time'], 40)}; alike by: "
        f"{cohort}; store: {foreign(told['store'] or 'none', 40)}; metrics: {metrics}{more}."
    )


async def walk_upload(talk: Talk, location: str) -> None:
    """Ingest the file that is kept under that name and walk it to its anomalies, then draw the dashboard."""
    fleet = await _fleet(talk)
    run = (await talk.client.post("/runs", connector="uploads", location=location, fleet=fleet, request_id=location))["run"]
    state = await followed(talk, run, f"Walking the file into fleet {fleet}", walked(talk, run))
    if not state["complete"]:
        trouble = [each["error"] for each in state["stages"] if each["error"]]
        again = button("Go on", "walk", main=True, location=location)
        await say(WARNING, f"It stopped: {foreign(trouble[0] if trouble else state['summary'], 400)}", again)
        return
    rows = state["stages"][0]
    await say(GOOD, f"{count(rows['rows'], 'row')} ingested. {foreign(rows['summary'], 300)}")
    await show_dashboard(talk)


async def _fleet(talk: Talk) -> str:
    try:
        return (await talk.client.overview())["fleet"]
    except Refused as error:
        if not error.before_ingestion:
            raise
        return "default"
