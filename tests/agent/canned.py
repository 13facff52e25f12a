"""Small canned answers in the server's shapes, of one fleet whose incident is battery drain after an update to 13.4."""

from typing import Any

ANOMALY, INCIDENT, SUGGESTION, DEVICE = "a-1a2b3c4d5e6f", "i-77aa88bb", "s-9f8e7d6c", "D-1042"
BATTERY = "TotalBatteryLevelDrop"
UNTIL = "2026-03-12T08:00:00Z"
WINDOW = {"first": "2026-02-10T00:00:00Z", "last": UNTIL, "zone": "UTC"}
ANSWER: dict[str, Any] = {"fleet": "demo", "run": "demo-20260312", "window": WINDOW, "telemetry_until": UNTIL}
PAGE = {**ANSWER, "offset": 0, "truncated": False}


def health(**changed: Any) -> dict[str, Any]:
    return {
        **ANSWER,
        "summary": "Telemetry until 2026-03-12 08:00 UTC, half an hour ago; 1.2 % of rows came late.",
        "health": {
            "fleet": {"tenant": "default", "name": "demo"},
            "rows_in": 20400,
            "rows": 20160,
            "devices": 60,
            "first": "2026-02-10T00:00:00Z",
            "last": UNTIL,
            "rejected": {},
            "late_share": 0.012,
            "missing_share": {BATTERY: 0.031},
        },
        "hours_since": 0.5,
        "run_created": UNTIL,
        "run_finished": UNTIL,
        "pending": [],
        "rows_since_run": 0,
        "stale": False,
        "trusted": True,
        "warnings": [],
        "next_tool": None,
        **changed,
    }


def card(
    name: str = INCIDENT, title: str = "TC57 / 13.4: battery drain on 12 of 20 devices", devices: int = 12
) -> dict[str, Any]:
    return {
        "id": name,
        "kind": "device",
        "title": title,
        "metrics": [BATTERY],
        "scope": {"ModelId": "TC57", "OsVersionId": "13.4"},
        "start": "2026-03-10T02:00:00Z",
        "end": UNTIL,
        "severity": 81.0,
        "band": "high",
        "devices": devices,
        "devices_in_scope": 20,
        "elsewhere_share": 0.025,
        "anomalies": 96,
        "rolling": True,
        "chance": 0.0001,
        "device_examples": [DEVICE],
        "muted_by": "",
    }


CARDS = [
    card(),
    card("i-0c0d0e0f", "store-004: disconnects on 5 of 20 devices", 5),
    card("i-12341234", "storage on 2 of 20 devices", 2),
]
RATE_IN, RATE_OUT = {"count": 12, "of": 20, "what": "devices"}, {"count": 1, "of": 40, "what": "devices"}
CONTRAST = {"group": "Zebra / TC57 / 13.4", "inside": RATE_IN, "outside": RATE_OUT}
TOP = {
    "metric": BATTERY,
    "feature": f"{BATTERY}_mean",
    "unit": "%",
    "value": 12.1,
    "typical": 4.3,
    "z": 6.5,
    "direction": "above",
    "level": "cohort",
    "group": "Zebra / TC57 / 13.4",
    "n": 1440,
    "version": 1,
    "share": 0.71,
    "day_before": 4.9,
    "change": 7.2,
}
SIGNAL = {
    **TOP,
    "metric": "WiFiSignalStrength",
    "feature": "WiFiSignalStrength_mean",
    "unit": "dBm",
    "value": -71.5,
    "typical": -60.2,
    "z": -2.1,
    "direction": "below",
    "n": 1380,
    "share": 0.1,
    "day_before": -61.0,
    "change": -10.5,
}


def incident(name: str = INCIDENT) -> dict[str, Any]:
    found = next((each for each in CARDS if each["id"] == name), card(name))
    return {
        **ANSWER,
        "summary": "Battery drain on 12 of 20 devices.",
        "incident": found,
        "devices": {"names": [DEVICE, "D-1043"], "total": found["devices"], "truncated": True},
        "metrics": [{"metric": BATTERY, "anomalies": 96}],
        "verdicts": {},
        "unjudged": 96,
        "notes": [],
        "contrast": CONTRAST,
        "muted_by": None,
    }


def explanation(anomaly: str | None = None, device: str | None = None) -> dict[str, Any]:
    return {
        **ANSWER,
        "summary": f"{device or DEVICE} used 12.1 % battery an hour, above the typical 4.3 %.",
        "anomaly": anomaly or ANOMALY,
        "device": device or DEVICE,
        "time": "2026-03-12T01:00:00Z",
        "cohort": "Zebra / TC57 / 13.4",
        "site": "store-017",
        "incident": INCIDENT,
        "score": -0.72,
        "threshold": -0.55,
        "severity": 81.0,
        "band": "high",
        "confidence": 0.9,
        "fallback": "",
        "metrics": [TOP, SIGNAL],
        "peers": CONTRAST,
        "changes": [],
        "decisions": [],
        "verdict": None,
        "muted_by": "",
        "claims": [],
        "text": f"{device or DEVICE} used 12.1 % battery, above the typical 4.3 % of its cohort.",
        "next_tool": "what_changed",
    }


def anomalies(total: int = 3, **named: Any) -> dict[str, Any]:
    row = {
        "id": ANOMALY,
        "device": named.get("device") or DEVICE,
        "time": "2026-03-12T01:00:00Z",
        "severity": 81.0,
        "band": "high",
        "confidence": 0.9,
        "metric": BATTERY,
        "feature": f"{BATTERY}_mean",
        "value": 12.1,
        "typical": 4.3,
        "unit": "%",
        "z": 6.5,
        "level": "cohort",
        "n": 1440,
        "incident": INCIDENT,
        "verdict": None,
        "muted_by": "",
    }
    rows = [{**row, "id": f"{ANOMALY[:-1]}{place}"} for place in range(min(total, named.get("limit") or 50))]
    return {**PAGE, "summary": f"{total:,} anomalies.", "total": total, "truncated": total > len(rows), "anomalies": rows}


def peers(device: str, metric: str | None) -> dict[str, Any]:
    row = {
        "metric": metric or BATTERY,
        "unit": "%",
        "device_median": 11.9,
        "device_rows": 336,
        "cohort_median": 4.4,
        "cohort_q1": 4.0,
        "cohort_q3": 5.1,
        "devices": 20,
        "rank": 1,
        "percentile": 100.0,
    }
    return {
        **ANSWER,
        "summary": f"{device} is the highest of 20 devices.",
        "device": device,
        "cohort": "Zebra / TC57 / 13.4",
        "metrics": [row],
        "device_rate": {"count": 8, "of": 336, "what": "rows"},
        "contrast": CONTRAST,
    }


def timeline(device: str, metric: str) -> dict[str, Any]:
    points = [
        {
            "time": f"2026-03-12T0{hour}:00:00Z",
            "value": value,
            "mean": value,
            "low": 1.0,
            "centre": 4.3,
            "high": 7.6,
            "peers_low": 4.0,
            "peers_centre": 4.4,
            "peers_high": 5.1,
            "anomalies": [],
            "severity": None,
        }
        for hour, value in enumerate((4.1, None, 12.1))
    ]
    return {
        **ANSWER,
        "summary": "3 steps of one hour.",
        "device": device,
        "metric": metric,
        "unit": "%",
        "level": "cohort",
        "n": 1440,
        "version": 1,
        "step": "PT1H",
        "interval": "PT1H",
        "rows": 3,
        "values": 2,
        "peers": 19,
        "anomalies": 1,
        "points": points,
        "truncated": False,
    }


def changes(found: bool = True, named: str = "") -> dict[str, Any]:
    change = {
        "id": "c-1",
        "change": {
            "time": "2026-03-10T00:00:00Z",
            "kind": "os_update",
            "description": "OS update of the TC57",
            "scope": {"ModelId": "TC57", "OsVersionId": "13.4"},
            "before": "13.3",
            "after": "13.4",
        },
        "hours_before_onset": 2.0,
        "exposed": RATE_IN,
        "unexposed": RATE_OUT,
        "difference": 0.575,
        "chance": 0.0001,
        "enough": True,
        "words": "12 of 20 against 1 of 40",
    }
    return {
        **PAGE,
        "summary": "1 recorded change." if found else "No recorded change.",
        "total": int(found),
        "incident": named,
        "onset": "2026-03-10T02:00:00Z",
        "affected": 13,
        "changes": [change] if found else [],
    }


def ranking(by: str, metric: str | None) -> dict[str, Any]:
    rows = [
        {
            "group": f"store-{place:03d}",
            "anomalies": 90 - 9 * place,
            "rows": 1000,
            "rate": (90 - 9 * place) / 1000,
            "affected": 4,
            "devices": 20,
            "worst_metric": metric or BATTERY,
        }
        for place in (1, 2, 3)
    ]
    whole = {"count": 216, "of": 20160, "what": "rows"}
    return {**PAGE, "summary": "3 groups.", "total": 3, "by": by, "metric": metric, "groups": rows, "whole": whole}


def at_risk() -> dict[str, Any]:
    row = {
        "device": "D-1050",
        "cohort": "Zebra / TC57 / 13.4",
        "site": "store-017",
        "exposed_since": "2026-03-11T00:00:00Z",
        "last_seen": UNTIL,
    }
    return {
        **PAGE,
        "summary": "1 device is exposed and not affected.",
        "total": 1,
        "scope": {},
        "exposed": RATE_IN,
        "devices": [row],
    }


def baselines() -> dict[str, Any]:
    row = {
        "feature": f"{BATTERY}_mean",
        "level": "cohort",
        "group": "Zebra / TC57 / 13.4",
        "median": 4.3,
        "scale": 1.2,
        "n": 1440,
    }
    version = {
        "fleet": {"tenant": "default", "name": "demo"},
        "version": 1,
        "run": "demo-20260312",
        "artifact": "b",
        "digest": "d",
        "created": UNTIL,
    }
    return {
        **ANSWER,
        "summary": "Baselines of version 1.",
        "version": version,
        "in_force": 1,
        "adjustments": [],
        "baselines": [row],
        "offset": 0,
        "total": 1,
        "truncated": False,
    }


def suggestion(name: str = SUGGESTION, status: str = "pending") -> dict[str, Any]:
    move = {
        "level": "cohort",
        "group": "Samsung / S21 / 14.1",
        "feature": f"{BATTERY}_mean",
        "amount": 0.9,
        "full": 2.6,
        "base_median": 4.0,
        "scale": 1.1,
        "since": None,
    }
    inner = {
        "id": name,
        "fleet": {"tenant": "default", "name": "demo"},
        "run": "demo-20260312",
        "kind": "baseline_adjustment",
        "base_version": 1,
        "adjustments": [move],
        "settings": None,
        "rollback_to": None,
        "learning_rate": 0.35,
        "evidence": {"verdicts": 34, "devices": 9},
        "reason": "34 false alarms on 9 devices",
        "proposer": "mia",
        "created": UNTIL,
        "expires": "2026-03-19T08:00:00Z",
    }
    return {"suggestion": inner, "status": status, "decision": None, "applied_version": None, "preview": None}


def preview(name: str) -> dict[str, Any]:
    hidden = {
        "anomaly": "a-0000aaaa",
        "device": "D-1099",
        "time": UNTIL,
        "metric": BATTERY,
        "severity_before": 55.0,
        "severity_after": 40.0,
        "verdict": "true",
        "note": "swollen",
    }
    return {
        "suggestion": name,
        "digest": "d",
        "run": "demo-20260312",
        "base_version": 1,
        "start": WINDOW["first"],
        "end": UNTIL,
        "rows": 20160,
        "rows_rescored": 2000,
        "devices": 9,
        "alarms_before": 228,
        "alarms_after": 196,
        "removed": {"false_alarm": 31, "true": 1},
        "added": {},
        "by_day": [],
        "removed_examples": [],
        "added_examples": [],
        "hidden_true": [hidden],
        "incidents": [],
        "injected_recall_before": None,
        "injected_recall_after": None,
        "false_alarms_left": [3],
        "gate": [{"rule": "hides_true", "passed": False, "overridable": True, "detail": "it would hide 1 anomaly marked true"}],
        "seconds": 0.2,
    }


def effect() -> dict[str, Any]:
    return {
        "suggestion": SUGGESTION,
        "fleet": {"tenant": "default", "name": "demo"},
        "run": "demo-20260312",
        "kind": "baseline_adjustment",
        "version_before": 1,
        "version_after": 2,
        "feedback": [],
        "approver": "ada",
        "applied": UNTIL,
        "promised": preview(SUGGESTION),
        "alarms_before": 228,
        "alarms_after": 196,
        "removed": {"false_alarm": 31, "true": 1},
        "added": {},
        "undone_by": "",
    }


def remembered() -> dict[str, Any]:
    decision = {
        "id": "d-1",
        "kind": "verdict",
        "fleet": {"tenant": "default", "name": "demo"},
        "outcome": "false_alarm",
        "words": "docked kiosks",
        "signature": {},
        "domains": {},
        "cohort": [],
        "devices": [DEVICE],
        "metrics": [BATTERY],
        "rows": 4,
        "by": "mia",
        "time": UNTIL,
        "subject": "",
        "undone": False,
    }
    return {"recalled": [{"decision": decision, "score": 0.9, "likeness": 0.97}], "summary": "1 like case: false_alarm."}


def run_answer(run: str, stage: str, next_tool: str | None) -> dict[str, Any]:
    return {
        "summary": f"{stage} is done.",
        "run": run,
        "fleet": "demo",
        "source": "files: march.parquet",
        "created": UNTIL,
        "complete": next_tool is None,
        "next_tool": next_tool,
        "stages": [],
        "walking": None,
        "raw_features": "",
    }


def detector() -> dict[str, Any]:
    version = {
        "fleet": {"tenant": "default", "name": "demo"},
        "version": 1,
        "run": "demo-20260312",
        "detector": "hybrid",
        "digest": "d",
        "artifact": "x",
        "baseline_version": 1,
        "threshold": -0.55,
        "calibration": "contamination 0.03",
        "created": UNTIL,
    }
    return {
        **ANSWER,
        "summary": "hybrid, contamination 0.03.",
        "version": version,
        "settings": {},
        "feature_window": "PT6H",
        "feature_lag": "PT24H",
        "baseline_version": 1,
        "fallback": "",
        "trained_rows": 20000,
        "flagged": {"count": 216, "of": 20160, "what": "rows"},
        "expected_share": 0.03,
        "reference_quantiles": {"0.5": -0.4},
    }


def distribution() -> dict[str, Any]:
    return {
        **ANSWER,
        "summary": "Severities of 20,160 rows.",
        "edges": [0, 50, 100],
        "normal": [19944, 0],
        "anomalous": [0, 216],
        "threshold_severity": 50.0,
        "threshold": -0.55,
        "severity_quantiles": {"0.5": 21.0},
        "flagged": {"count": 216, "of": 20160, "what": "rows"},
    }


def drift() -> dict[str, Any]:
    row = {"feature": f"{BATTERY}_mean", "level": "global", "group": "", "psi": 0.31, "median_shift": 0.8, "n": 20160}
    scores = {"psi": 0.05, "share_flagged": 0.011, "expected_share": 0.03, "median_shift": 0.1, "n": 20160}
    return {
        **PAGE,
        "summary": "1 feature drifted.",
        "total": 1,
        "since": "2026-03-05T08:00:00Z",
        "features": [row],
        "drifted": 1,
        "scores": scores,
    }


def overview() -> dict[str, Any]:
    incidents = {**PAGE, "summary": "3 incidents.", "total": 3, "incidents": CARDS, "muted_left_out": 0}
    return {
        **ANSWER,
        "summary": "60 devices, 3 incidents.",
        "health": health(),
        "incidents": incidents,
        "by_day": [],
        "detector": None,
        "baseline": None,
        "suggestions": [],
        "suggestions_pending": 1,
        "rules": [],
        "rules_in_force": 0,
    }
