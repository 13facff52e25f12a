"""The approval card, drawn from the stored suggestion: what would change, what that does, and what a decision is bound to."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from chat_ui.words import UTC_ZONE, count, feature_words, foreign, moment, number, sentence, verdict_words

Payload = Mapping[str, Any]
_STATUS = {
    "pending": ("waits for a decision", "warn"),
    "approved": ("approved, not applied yet", "warn"),
    "rejected": ("rejected", "bad"),
    "applied": ("applied", "ok"),
    "expired": ("expired: not now", ""),
    "stale": ("stale: the baselines are others now", ""),
}
_OPEN = frozenset({"pending", "approved"})


def title_of(suggestion: Payload) -> str:
    """A suggestion in one line."""
    if suggestion["kind"] == "rollback":
        return f"Go back to what was normal in version {suggestion['rollback_to']}"
    if suggestion["kind"] == "detector_settings":
        return "Other settings of the detector"
    groups = sorted({_whom(each) for each in suggestion["adjustments"]})
    features = "; ".join(sorted({feature_words(each["feature"]) for each in suggestion["adjustments"]}))
    return foreign(f"Move what is normal for {', '.join(groups)}: {features}", 160)


def approval(
    standing: Payload, person: str, zone: ZoneInfo = UTC_ZONE, *, in_force: Payload | None = None, refusal: str = ""
) -> dict[str, Any]:
    """Props of `Approval`, of a standing suggestion and its newest preview. `person` is who would decide.

    `in_force` are the detector's settings now, None where there is none. `refusal` says why this person may not decide; it is
    empty if they may.
    """
    suggestion, preview, status = standing["suggestion"], standing["preview"], standing["status"]
    words, tone = _STATUS[status]
    return {
        "suggestion": suggestion["id"],
        "digest": digest_of(standing),
        "preview": preview["digest"] if preview else "",
        "title": title_of(suggestion),
        "status": words,
        "statusTone": tone,
        "statusNote": outcome(standing, zone),
        "reason": sentence(foreign(suggestion["reason"], 900)),
        "moves": [_move(each, zone) for each in suggestion["adjustments"][:20]],
        "settings": _settings(suggestion["settings"], in_force) if status in _OPEN and in_force else [],
        "facts": _facts(standing, person, zone),
        "counts": _counts(preview),
        "totals": _totals(preview),
        "gate": [{**each, "detail": sentence(foreign(each["detail"], 300))} for each in preview["gate"]] if preview else [],
        "hidden": _hidden(preview),
        "removed": _examples(preview, "removed_examples", zone),
        "added": _examples(preview, "added_examples", zone),
        "canDecide": status == "pending" and not refusal,
        "refusal": refusal if status == "pending" else "",
        "blocked": blocked(preview),
        "overrides": overridable(preview),
    }


def digest_of(standing: Payload) -> str:
    """The digest that a decision is bound to, as the server states it."""
    return str(standing.get("digest", ""))


def outcome(standing: Payload, zone: ZoneInfo = UTC_ZONE) -> str:
    """Who decided what, when and why; empty while nobody has."""
    decision = standing["decision"]
    if decision is None:
        return ""
    said = "Approved" if decision["approved"] else "Rejected"
    reason = f": {foreign(decision['reason'], 200)}" if decision["reason"] else ""
    version = f" Baseline version {standing['applied_version']} came of it." if standing["applied_version"] else ""
    by = f"{foreign(decision['by'], 40)}, {moment(decision['time'], zone)}, through {decision['channel']}"
    return f"{said} by {by}{reason}.{version}"


def blocked(preview: Payload | None) -> str:
    """Why nobody can approve it as it stands; empty if somebody can."""
    if preview is None:
        return "There is no preview of it, so there is nothing to approve."
    closed = [each["detail"] for each in preview["gate"] if not each["passed"] and not each["overridable"]]
    return f"It cannot be approved: {closed[0]}" if closed else ""


def overridable(preview: Payload | None) -> list[str]:
    """Names of the checks that do not pass and that a person may accept."""
    return [each["rule"] for each in preview["gate"] if not each["passed"] and each["overridable"]] if preview else []


def _facts(standing: Payload, person: str, zone: ZoneInfo) -> list[tuple[str, str]]:
    suggestion, preview = standing["suggestion"], standing["preview"]
    evidence = suggestion["evidence"]
    authors = ", ".join(foreign(name, 40) for name in evidence["authors"]) or "nobody"
    told = [
        ("Suggestion", suggestion["id"]),
        ("You decide as", person),
        ("Digest", digest_of(standing) or "none"),
        ("Base version", str(suggestion["base_version"])),
        ("Expires", moment(suggestion["expires"], zone)),
        ("Proposed by", f"{foreign(suggestion['proposer'], 40)}, {moment(suggestion['created'], zone)}"),
        ("Rests on", f"{count(evidence['verdicts'], 'verdict')} on {count(evidence['devices'], 'device')}, by {authors}"),
    ]
    if evidence["contradicting"]:
        told.append(("Against it", f"{count(evidence['contradicting'], 'verdict')} true on the same group"))
    if preview:
        told.append(
            ("Window", f"{moment(preview['start'], zone)} to {moment(preview['end'], zone)}, n = {preview['rows']:,} rows")
        )
    return told


def _whom(adjustment: Payload) -> str:
    return "the whole fleet" if adjustment["level"] == "global" else f"{adjustment['level']} {adjustment['group']}"


def _move(each: Payload, zone: ZoneInfo) -> dict[str, str]:
    return {
        "feature": foreign(feature_words(each["feature"]), 60),
        "group": foreign(_whom(each), 80),
        "now": number(each["base_median"], 4),
        "then": number(each["base_median"] + each["amount"], 4),
        "move": f"{each['amount']:+.4g} ({each['amount'] / each['scale']:+.1f} scales)",
        "full": f"{each['full']:+.4g}",
        "since": moment(each["since"], zone) if each["since"] else "all rows",
    }


def _settings(settings: Payload | None, in_force: Payload) -> list[tuple[str, str, str]]:
    """What would change: name, value now, value then. The reason says it too, once it is applied and no longer differs."""
    differing = [name for name, value in (settings or {}).items() if in_force.get(name) != value]
    return [(name.replace("_", " "), _value(in_force.get(name)), _value((settings or {})[name])) for name in differing]


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} x {number(weight)}" for name, weight in value.items()) or "all equal"
    return "not set" if value is None else str(value)


def _totals(preview: Payload | None) -> list[dict[str, str]]:
    if preview is None:
        return []
    gone, come = sum(preview["removed"].values()), sum(preview["added"].values())
    hidden = len(preview["hidden_true"])
    return [
        {"name": "Anomalous rows now", "value": f"{preview['alarms_before']:,}", "note": f"of {preview['rows']:,}", "tone": ""},
        {
            "name": "After",
            "value": f"{preview['alarms_after']:,}",
            "note": f"{preview['alarms_after'] - preview['alarms_before']:+,}",
            "tone": "",
        },
        {"name": "Removed", "value": f"{gone:,}", "note": "would no longer be shown", "tone": ""},
        {
            "name": "Hidden true ones",
            "value": f"{hidden:,}",
            "note": "marked true by a person",
            "tone": "bad" if hidden else "ok",
        },
        {
            "name": "Added",
            "value": f"{come:,}",
            "note": f"on {count(preview['devices'], 'device')} in all",
            "tone": "warn" if come else "",
        },
    ]


def _counts(preview: Payload | None) -> list[dict[str, Any]]:
    if preview is None:
        return []
    names = sorted({*preview["removed"], *preview["added"]})
    return [
        {
            "verdict": verdict_words(name),
            "removed": f"{preview['removed'].get(name, 0):,}",
            "added": f"{preview['added'].get(name, 0):,}",
        }
        for name in names
    ]


def _hidden(preview: Payload | None) -> str:
    if not preview or not preview["hidden_true"]:
        return ""
    devices = ", ".join(sorted({foreign(row["device"], 40) for row in preview["hidden_true"]})[:5])
    return f"It would hide {count(len(preview['hidden_true']), 'anomaly marked true').replace('trues', 'true')}: {devices}."


def _examples(preview: Payload | None, kind: str, zone: ZoneInfo) -> list[dict[str, str]]:
    if preview is None:
        return []
    return [
        {
            "anomaly": row["anomaly"],
            "device": foreign(row["device"], 60),
            "time": moment(row["time"], zone),
            "metric": foreign(row["metric"], 60),
            "before": number(row["severity_before"]),
            "after": number(row["severity_after"]),
            "verdict": verdict_words(row["verdict"]),
        }
        for row in preview[kind][:10]
    ]
