"""The dashboard's two cards: freshness, what is open and what waits; then what decides, and questions to begin with."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from chat_ui.cards.suggestion import title_of
from chat_ui.words import UTC_ZONE, ago, count, foreign, moment, number, percent, sentence, span

Payload = Mapping[str, Any]
QUESTIONS = (
    "What needs my attention this morning?",
    "Show me the worst 10 stores for Wi-Fi this week",
    "What changed before this started?",
    "Can I trust today's numbers?",
    "Have we seen this before? What did we decide?",
)
_SHOWN = 5


def dashboard(overview: Payload, zone: ZoneInfo = UTC_ZONE, *, again: bool = False) -> dict[str, Any]:
    """Props of `Dashboard`, of an overview; drawn `again`, it comes into view."""
    health, page = overview["health"], overview["incidents"]
    incidents = page["incidents"][:_SHOWN]
    return {
        "title": f"Fleet {foreign(overview['fleet'], 40)}",
        "freshness": f"last telemetry {moment(overview['telemetry_until'], zone)}, {ago(health['hours_since'])} · "
        f"window {span(overview['window'], zone)}",
        "warnings": [sentence(foreign(each, 300)) for each in health["warnings"]],
        "tiles": _tiles(overview),
        "incidents": [_incident(each, zone) for each in incidents],
        "incidentsNote": _how_many(page, len(incidents)),
        "pending": [_pending(each, zone) for each in overview["suggestions"]],
        "again": again,
    }


def grounds(overview: Payload, zone: ZoneInfo = UTC_ZONE) -> dict[str, Any]:
    """Props of `Grounds`, of an overview: detector, baselines and rules in force."""
    return {
        "facts": _detector(overview["detector"]),
        "levels": _levels(overview["baseline"]),
        "levelsNote": _version(overview["baseline"], zone),
        "rules": [_rule(each, zone) for each in overview["rules"][:3]],
        "questions": list(QUESTIONS),
    }


def _tiles(overview: Payload) -> list[dict[str, str]]:
    health, detector = overview["health"]["health"], overview["detector"]
    kept_aside = sum(health["rejected"].values())
    flagged = detector["flagged"] if detector else {"count": 0, "of": 0}
    share = flagged["count"] / flagged["of"] if flagged["of"] else 0.0
    open_ones, pending = overview["incidents"]["total"], overview["suggestions_pending"]
    sound = overview["health"]["trusted"] and not overview["health"]["warnings"]
    return [
        _tile("Open incidents", f"{open_ones:,}", _muted(overview["incidents"]), "bad" if open_ones else "ok"),
        _tile("Anomalous rows", f"{flagged['count']:,}", f"{percent(share)} of {flagged['of']:,} rows"),
        _tile("Devices", f"{health['devices']:,}", f"{health['rows']:,} rows stored"),
        _tile("To decide", f"{pending:,}", "suggestions pending", "warn" if pending else ""),
        _tile(
            "Telemetry",
            "sound" if sound else "look first",
            f"{percent(health['late_share'])} late, {kept_aside:,} of {health['rows_in']:,} kept aside",
            "ok" if sound else "warn",
        ),
    ]


def _tile(name: str, value: str, note: str, tone: str = "") -> dict[str, str]:
    return {"name": name, "value": value, "note": note, "tone": tone}


def _muted(page: Payload) -> str:
    left_out = page["muted_left_out"]
    return f"{left_out:,} muted by rules" if left_out else "none muted by rules"


def _how_many(page: Payload, shown: int) -> str:
    return f"{shown} of {page['total']:,}, by severity times devices"


def _incident(each: Payload, zone: ZoneInfo) -> dict[str, Any]:
    return {
        "id": each["id"],
        "title": foreign(each["title"], 160),
        "band": each["band"],
        "severity": round(each["severity"]),
        "note": f"{_spread(each)}{count(each['anomalies'], 'anomalous row')} · "
        f"{moment(each['start'], zone)} to {moment(each['end'], zone)} · {each['id']}",
    }


def _spread(each: Payload) -> str:
    """How many of how many devices, where the title does not say it."""
    devices, scope = each["devices"], each["devices_in_scope"]
    if scope == 1 or f"{devices} of {scope} device" in each["title"]:
        return ""
    return f"{devices} of {count(scope, 'device')} in scope, {percent(each['elsewhere_share'])} elsewhere · "


def _detector(report: Payload | None) -> list[tuple[str, str]]:
    if report is None:
        return [("State", "no run has persisted anomalies yet")]
    version, settings = report["version"], report["settings"]
    weights = ", ".join(f"{name} x {number(weight)}" for name, weight in settings["domain_weights"].items())
    told = [
        ("Detector", f"{version['detector']}, version {version['version']}"),
        ("Threshold", f"{version['threshold']:.4g} ({version['calibration']})"),
        ("Budget", budget(report)),
        ("Domain weights", weights or "all equal"),
        ("Trained on", f"{report['trained_rows']:,} rows, baseline version {report['baseline_version'] or 'none'}"),
    ]
    return [*told, ("Fallback", foreign(report["fallback"], 160))] if report["fallback"] else told


def budget(report: Payload) -> str:
    """How many anomalies the detector was told to expect, of its report."""
    settings = report["settings"]
    a_day = settings["alerts_per_day"]
    return f"{number(a_day)} anomalies a day" if a_day else f"{number(100 * settings['contamination'])} % of rows"


def _levels(version: Payload | None) -> list[dict[str, Any]]:
    if version is None:
        return []
    adjusted = Counter(each["level"] for each in version["adjustments"])
    return [
        {"level": level, "groups": f"{groups:,}", "adjusted": f"{adjusted[level]:,}"}
        for level, groups in version["groups"].items()
    ]


def _version(version: Payload | None, zone: ZoneInfo) -> str:
    return f"version {version['version']}, {moment(version['created'], zone)}" if version else "none yet"


def _pending(standing: Payload, zone: ZoneInfo) -> dict[str, str]:
    suggestion = standing["suggestion"]
    return {
        "id": suggestion["id"],
        "title": title_of(suggestion),
        "note": f"by {foreign(suggestion['proposer'], 40)}, {moment(suggestion['created'], zone)}, "
        f"expires {moment(suggestion['expires'], zone)} · {suggestion['id']}",
    }


def _rule(rule: Payload, zone: ZoneInfo) -> str:
    metrics = ", ".join(rule["metrics"]) or "any metric"
    return f"expected until {moment(rule['until'], zone)}: {foreign(metrics, 80)} on {scope_of(rule['scope'])}"


def scope_of(scope: Mapping[str, str]) -> str:
    """A scope in words."""
    return foreign(", ".join(f"{name} {value}" for name, value in scope.items()), 100) or "the whole fleet"


def incident_rows(page: Payload, zone: ZoneInfo) -> list[Sequence[Any]]:
    """Incidents as rows of a table: severity, incident, devices, of, anomalies, from, to."""
    return [
        (
            round(each["severity"], 1),
            foreign(each["title"], 120),
            each["devices"],
            each["devices_in_scope"],
            each["anomalies"],
            moment(each["start"], zone),
            moment(each["end"], zone),
            each["id"],
        )
        for each in page["incidents"]
    ]
