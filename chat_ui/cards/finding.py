"""The card of one explained anomaly, with the buttons to judge it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from chat_ui.words import UTC_ZONE, feature_words, foreign, moment, number, percent, verdict_words

Payload = Mapping[str, Any]
_DAYS_AHEAD = 3


def finding(
    told: Payload, now: datetime, zone: ZoneInfo = UTC_ZONE, *, in_incident: int = 0, blocked: str = ""
) -> dict[str, Any]:
    """Props of `Finding`, of an explanation. `in_incident` is how many anomalies its incident has.

    `blocked` says why the person may not mark it; empty if they may.
    """
    verdict = told["verdict"]
    return {
        "anomaly": told["anomaly"],
        "incident": told["incident"],
        "incidentCount": in_incident,
        "title": foreign(f"{told['device']} at {moment(told['time'], zone)}", 120),
        "severity": round(told["severity"]),
        "band": told["band"],
        "text": foreign(_words(told), 1500),
        "note": foreign(_standing(told), 300),
        "metrics": [_metric(each, told["device"]) for each in told["metrics"]],
        "lines": [foreign(each, 300) for each in (*_changes(told, zone), *_decisions(told, zone))],
        "verdict": verdict_words(verdict) if verdict else "",
        "blocked": blocked,
        "expires": (now.astimezone(zone) + timedelta(days=_DAYS_AHEAD)).date().isoformat(),
    }


def _words(told: Payload) -> str:
    """The claims as prose, without the one that names a tool: here that is a button."""
    return " ".join(claim["text"] for claim in told["claims"] if claim["kind"] != "next")


def _standing(told: Payload) -> str:
    parts = [
        f"score {told['score']:.3g}, threshold {told['threshold']:.3g}",
        f"confidence {percent(told['confidence'])}",
        told["cohort"],
        told["site"],
        f"anomaly {told['anomaly']}",
        f"incident {told['incident']}" if told["incident"] else "",
        f"muted by rule {told['muted_by']}" if told["muted_by"] else "",
        f"found on raw features: {told['fallback']}" if told["fallback"] else "",
    ]
    return " · ".join(part for part in parts if part)


def _against(each: Payload, device: str) -> str:
    """Whose baseline it is; the device's own needs no name."""
    if not each["level"]:
        return "raw features"
    return "this device" if each["group"] == device else f"{each['level']} {each['group']}".strip()


def _metric(each: Payload, device: str) -> dict[str, Any]:
    unit = f" {each['unit']}" if each["unit"] else ""
    against = _against(each, device)
    version = f", version\u00a0{each['version']}" if each["version"] else ""
    return {
        "feature": foreign(feature_words(each["feature"]), 60),
        "value": f"{number(each['value'])}{unit}",
        "typical": f"{number(each['typical'])}{unit}",
        "z": f"{each['z']:+.1f}",
        "against": foreign(f"{against}, n\u00a0=\u00a0{each['n']:,}{version}", 100),
        "before": number(each["day_before"]) + (unit if each["day_before"] is not None else ""),
        "share": f"{100 * min(max(each['share'], 0), 1):.0f}%",
        "above": each["direction"] == "above",
    }


def _changes(told: Payload, zone: ZoneInfo) -> list[str]:
    return [f"Change {moment(each['time'], zone)}: {each['description']}" for each in told["changes"][:3]]


def _decisions(told: Payload, zone: ZoneInfo) -> list[str]:
    return [_recalled(each["decision"], zone) for each in told["decisions"][:3]]


def _recalled(decision: Payload, zone: ZoneInfo) -> str:
    undone = ", undone since" if decision["undone"] else ""
    outcome = decision["outcome"].replace("_", " ")
    return f"Decided before, {moment(decision['time'], zone)}, by {decision['by']}: {outcome}{undone}: “{decision['words']}”"
