"""The wishes of operators in words that no phrase was trained on lead to the right tool with the right arguments."""

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

SETS = sorted(Path(__file__).parent.glob("held_out*.yaml"))
FREE = {"note", "limit", "points"}
QUIET = {"check_data_health"}
STORING = {
    "record_feedback",
    "report_missed",
    "apply_feedback",
    "cancel_run",
    "ingest_telemetry",
    "advance_run",
    "train_detector",
    "compute_baselines",
    "score_telemetry",
    "persist_anomalies",
    "engineer_features",
}


def cases(path: Path) -> list[dict[str, Any]]:
    found = []
    for group in yaml.safe_load(path.read_text("utf-8")):
        for entry in group["cases"]:
            case = {"say": entry} if isinstance(entry, str) else entry
            found.append({"intent": group["intent"], "tool": group.get("tool"), "thread": "", **case})
    return found


def is_right(case: dict[str, Any], calls: list[tuple[str, dict[str, Any]]]) -> bool:
    """The right tool was called with exactly these arguments, and nothing was stored that was not asked for."""
    asked = [(tool, args) for tool, args in calls if tool not in QUIET or tool == case["tool"]]
    if case["tool"] == "none":
        return not asked
    hits = [args for tool, args in asked if tool == case["tool"]]
    also = {"advance_run"} if case["intent"] in ("ingest", "stage") else set()
    stored = [tool for tool, _ in asked if tool in STORING and tool != case["tool"] and tool not in also]
    return bool(hits) and not stored and same(hits[-1], case)


def same(args: dict[str, Any], case: dict[str, Any]) -> bool:
    wanted = dict(case.get("args", {}))
    if case["intent"] in ("stage", "rank", "attention"):
        wanted = {**{name: args[name] for name in ("run", "by") if name in args}, **wanted}
    given = {
        name: value for name, value in args.items() if name not in FREE and not (name == "words" and "words" not in wanted)
    }
    return {name: moment(value) for name, value in given.items()} == {name: moment(value) for name, value in wanted.items()}


def moment(value: Any) -> Any:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) and "T" in value else value
    except ValueError:
        return value


async def measured(path: Path, state: Any, talk: Any) -> tuple[dict[str, tuple[int, int]], list[str], list[str]]:
    """Right and all by intent; the misses; and among them those that stored what nobody asked for."""
    right, all_, misses, harm = Counter(), Counter(), [], []
    threads = sorted({case["thread"] for case in cases(path)})
    for thread in threads:
        async with talk(state, thread=thread) as conversation:
            begun = list(conversation.history)
            for case in (each for each in cases(path) if each["thread"] == thread):
                state.calls.clear()
                conversation.history = list(begun)
                reply = await conversation.ask(case["say"])
                calls = [*state.calls, *((call.tool_name, call.args_as_dict()) for call in reply.waiting)]
                all_[case["intent"]] += 1
                right[case["intent"]] += (ok := is_right(case, calls))
                if not ok:
                    misses.append(f"{case['intent']}: {case['say']!r} [{thread}] -> {calls or reply.text[:90]}")
                    harm += [m for tool, _ in calls if tool in STORING and tool != case["tool"] for m in misses[-1:]]
    return {intent: (right[intent], all_[intent]) for intent in all_}, misses, harm


@pytest.mark.anyio
@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
async def test_nine_of_ten_wishes_lead_to_the_right_call_and_none_to_a_wrong_change(path, state, talk):
    """At least .9 of unseen wordings get tool and arguments right; none stores, starts or stops what was not asked for."""
    by_intent, misses, harm = await measured(path, state, talk)
    right, whole = (sum(pair[place] for pair in by_intent.values()) for place in (0, 1))
    shown = {intent: f"{good}/{n}" for intent, (good, n) in by_intent.items() if good < n}
    assert right / whole >= 0.9, (right, whole, shown, misses)
    assert not harm, harm
