"""Calls over HTTP are counted, timed and limited as tool calls are."""

import re
from typing import Any

from server.domain.identity import Principal
from server.tools.caller import Caller


def counted(meters: Any) -> dict[tuple[str, str], float]:
    """How many calls there were, by tool and outcome."""
    pattern = re.compile(r'^anomalyst_calls_total\{outcome="(\w+)",tool="(\w+)"\} (\S+)', re.MULTILINE)
    return {(tool, outcome): float(number) for outcome, tool, number in pattern.findall(meters.text().decode())}


def test_each_route_counts_under_its_name_with_how_it_ended(reading: Any) -> None:
    """Foreign addresses make no series of their own."""
    before = counted(reading.desk.meters)
    for path in ("overview", "incidents?limit=1", "anomalies/a-none", "runs?limit=none", "there/is/no/such"):
        reading.client("reader").get(f"/api/v1/{path}")
    reading.client().get("/api/v1/drift")
    after = counted(reading.desk.meters)
    grown = {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key, 0)}
    assert grown == {
        ("get_overview", "ok"): 1,
        ("list_incidents", "ok"): 1,
        ("get_anomaly", "error"): 1,
        ("list_runs", "refused"): 1,
        ("check_drift", "refused"): 1,
        ("unknown", "error"): 1,
    }
    assert 'anomalyst_call_seconds_count{tool="get_overview"}' in reading.desk.meters.text().decode()


def test_both_surfaces_take_from_one_allowance(unhurried: Any) -> None:
    """What a bearer's tool calls have used up is gone for their HTTP calls as well, and for nobody else's."""
    by = Caller(Principal(name="reader", channel="mcp"))
    for _ in range(2):
        unhurried.desk.limit.take(by)
    refused = unhurried.client("reader").get("/api/v1/runs")
    assert refused.status_code == 503
    assert "too many calls" in refused.json()["message"]
    assert unhurried.client("runner").get("/api/v1/runs").status_code in {200, 403}
