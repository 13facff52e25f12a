# ruff: noqa: ARG001 - the arguments are those of the real tools, whether an answer depends on them or not
"""An MCP server with the names and arguments of the real one, canned answers, and a memory of what was stored."""

from dataclasses import dataclass, field
from typing import Any, Literal

import canned
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations

STAGES = (
    "ingest_telemetry",
    "engineer_features",
    "compute_baselines",
    "train_detector",
    "score_telemetry",
    "persist_anomalies",
)
KNOWN_DEVICES = ("D-1042", "D-1043", "D-1203")


@dataclass
class State:
    """What the fake has stored, and how it is set up."""

    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    recorded: list[dict[str, Any]] = field(default_factory=list)
    version: int = 1
    approved: bool = False
    done: list[str] = field(default_factory=lambda: list(STAGES))
    health: dict[str, Any] = field(default_factory=canned.health)
    title: str = canned.CARDS[0]["title"]
    unknown: str = ""
    anomalies: int = 3

    def called(self, tool: str, **args: Any) -> None:
        self.calls.append((tool, {name: value for name, value in args.items() if value not in (None, "")}))


def fake_server(state: State) -> MCPServer[Any]:  # noqa: C901 - one function a tool
    server: MCPServer[Any] = MCPServer("anomalyst")
    reads = ToolAnnotations(read_only_hint=True)
    changes = ToolAnnotations(read_only_hint=False, destructive_hint=False)
    destroys = ToolAnnotations(read_only_hint=False, destructive_hint=True)

    def known(device: str | None) -> None:
        if device == state.unknown and device:
            raise ToolError(f"no device {device!r}. Did you mean D-1042, D-1043? list_anomalies lists them.")

    @server.tool(annotations=reads)
    def check_data_health(fleet: str | None = None) -> dict[str, Any]:
        """Health."""
        state.called("check_data_health")
        return state.health

    @server.tool(annotations=reads)
    def list_incidents(
        limit: int = 20, since: str | None = None, until: str | None = None, device: str | None = None
    ) -> dict[str, Any]:
        """Incidents."""
        state.called("list_incidents", since=since, until=until, device=device)
        cards = [{**canned.CARDS[0], "title": state.title}, *canned.CARDS[1:]][:limit]
        return {**canned.PAGE, "summary": "3 incidents.", "total": 3, "incidents": cards, "muted_left_out": 0, "cursor": None}

    @server.tool(annotations=reads)
    def get_incident(incident: str) -> dict[str, Any]:
        """Incident."""
        state.called("get_incident", incident=incident)
        return canned.incident(incident)

    @server.tool(annotations=reads)
    def list_anomalies(
        device: str | None = None,
        metric: str | None = None,
        incident: str | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int = 50,
    ) -> dict[str, Any]:
        """Anomalies."""
        state.called("list_anomalies", device=device, metric=metric, incident=incident, since=since, until=until)
        return canned.anomalies(state.anomalies, device=device, limit=limit)

    @server.tool(annotations=reads)
    def explain_anomaly(anomaly: str | None = None, device: str | None = None, around: str | None = None) -> dict[str, Any]:
        """Explain."""
        known(device)
        state.called("explain_anomaly", anomaly=anomaly, device=device, around=around)
        return canned.explanation(anomaly, device)

    @server.tool(annotations=reads)
    def compare_device_with_peers(
        device: str, metric: str | None = None, since: str | None = None, until: str | None = None
    ) -> dict[str, Any]:
        """Peers."""
        state.called("compare_device_with_peers", device=device, metric=metric, since=since, until=until)
        return canned.peers(device, metric)

    @server.tool(annotations=reads)
    def get_device_timeline(
        device: str, metric: str, since: str | None = None, until: str | None = None, points: int = 200
    ) -> dict[str, Any]:
        """Timeline."""
        state.called("get_device_timeline", device=device, metric=metric, since=since, until=until)
        return canned.timeline(device, metric)

    @server.tool(annotations=reads)
    def what_changed(
        incident: str | None = None, since: str | None = None, until: str | None = None, limit: int = 20
    ) -> dict[str, Any]:
        """Changes."""
        state.called("what_changed", incident=incident, since=since, until=until)
        return canned.changes(named=incident or "")

    @server.tool(annotations=reads)
    def list_at_risk_devices(incident: str | None = None, change: str | None = None, limit: int = 50) -> dict[str, Any]:
        """At risk."""
        state.called("list_at_risk_devices", incident=incident, change=change)
        return canned.at_risk()

    @server.tool(annotations=reads)
    def rank_groups(
        by: str = "store", metric: str | None = None, since: str | None = None, until: str | None = None, limit: int = 10
    ) -> dict[str, Any]:
        """Rank."""
        state.called("rank_groups", by=by, metric=metric, since=since, until=until, limit=limit)
        return canned.ranking(by, metric)

    @server.tool(annotations=reads)
    def list_baselines(
        level: str | None = None,
        group: str | None = None,
        feature: str | None = None,
        version: int | None = None,
        limit: int = 50,
    ) -> dict[str, Any]:
        """Baselines."""
        state.called("list_baselines", level=level, group=group, feature=feature, version=version)
        return canned.baselines()

    plain = {
        "get_detector": canned.detector,
        "get_score_distribution": canned.distribution,
        "get_overview": canned.overview,
        "list_effects": lambda: {"summary": "1 change.", "effects": [canned.effect()], "truncated": False},
    }
    for name, answer in plain.items():
        server.add_tool(_plain(state, name, answer), name=name, description=name, annotations=reads)

    @server.tool(annotations=reads)
    def check_drift(since: str | None = None) -> dict[str, Any]:
        """Drift."""
        state.called("check_drift", since=since)
        return canned.drift()

    @server.tool(annotations=reads)
    def query_telemetry(sql: str, limit: int = 200) -> dict[str, Any]:
        """SQL."""
        state.called("query_telemetry", sql=sql)
        return {
            **canned.ANSWER,
            "summary": "1 row.",
            "columns": ["n"],
            "types": ["BIGINT"],
            "rows": [[20160]],
            "truncated": False,
            "limit": limit,
            "seconds": 0.1,
            "source": "telemetry",
            "source_columns": [],
        }

    @server.tool(annotations=changes)
    def record_feedback(  # noqa: PLR0917
        verdict: Literal["false_alarm", "true", "expected"],
        anomaly: str | None = None,
        incident: str | None = None,
        device: str | None = None,
        metric: str | None = None,
        since: str | None = None,
        until: str | None = None,
        note: str = "",
        expires: str | None = None,
        scope: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """Record."""
        args = {"verdict": verdict, "anomaly": anomaly, "incident": incident, "device": device, "expires": expires}
        state.called("record_feedback", **args, note=note)
        state.recorded.append({**args, "note": note})
        return {
            "act": "act-1",
            "verdict": verdict,
            "anomalies": 1,
            "devices": 1,
            "superseded": 0,
            "rule": None,
            "summary": "Recorded on 1 anomaly of 1 device.",
            "next_tool": None,
        }

    @server.tool(annotations=changes)
    def report_missed(
        since: str, until: str, device: str | None = None, store: str | None = None, metric: str | None = None, note: str = ""
    ) -> dict[str, Any]:
        """Missed."""
        state.called("report_missed", since=since, until=until, device=device, store=store, metric=metric, note=note)
        state.recorded.append({"verdict": "missed", "device": device, "store": store, "since": since, "until": until})
        return {"act": "act-2", "rows": 2, "devices": 1, "flagged": 0, "summary": "Recorded on 2 rows of 1 device."}

    @server.tool(annotations=reads)
    def recall_feedback(
        anomaly: str | None = None, incident: str | None = None, words: str = "", limit: int = 5
    ) -> dict[str, Any]:
        """Recall."""
        state.called("recall_feedback", anomaly=anomaly, incident=incident, words=words)
        return canned.remembered()

    @server.tool(annotations=changes)
    def suggest_baseline_adjustments(
        device: str | None = None, metric: str | None = None, cohort: str | None = None
    ) -> dict[str, Any]:
        """Suggest."""
        state.called("suggest_baseline_adjustments", device=device, metric=metric, cohort=cohort)
        return {"suggestions": [canned.suggestion()], "refused": [], "summary": "1 suggestion."}

    @server.tool(annotations=changes)
    def suggest_detector_settings(
        direction: str | None = None, contamination: float | None = None, alerts_per_day: float | None = None
    ) -> dict[str, Any]:
        """Suggest."""
        state.called(
            "suggest_detector_settings", direction=direction, contamination=contamination, alerts_per_day=alerts_per_day
        )
        return {"suggestions": [canned.suggestion()], "refused": [], "summary": "1 suggestion."}

    @server.tool(annotations=changes)
    def suggest_rollback(to_version: int | None = None) -> dict[str, Any]:
        """Suggest."""
        state.called("suggest_rollback", to_version=to_version)
        return {"suggestions": [canned.suggestion()], "refused": [], "summary": "1 suggestion."}

    @server.tool(annotations=reads)
    def preview_suggestion(suggestion: str) -> dict[str, Any]:
        """Preview."""
        state.called("preview_suggestion", suggestion=suggestion)
        return canned.preview(suggestion)

    @server.tool(annotations=reads)
    def list_suggestions(status: str | None = None, limit: int = 20) -> dict[str, Any]:
        """Suggestions."""
        state.called("list_suggestions", status=status)
        return {"suggestions": [canned.suggestion()], "total": 1, "truncated": False, "cursor": None}

    @server.tool(annotations=destroys)
    def apply_feedback(suggestion: str) -> dict[str, Any]:
        """Apply."""
        state.called("apply_feedback", suggestion=suggestion)
        if not state.approved:
            raise ToolError(
                f"suggestion {suggestion} is pending: no person approved it. Decide with `anomalyst approve {suggestion}`."
            )
        state.version += 1
        return {
            "suggestion": suggestion,
            "version_before": 1,
            "version_after": 2,
            "effect": canned.effect(),
            "run": "demo-20260312",
            "next_tool": None,
        }

    for stage in STAGES[1:]:
        server.add_tool(_stage(state, stage), name=stage, description=stage, annotations=changes)

    @server.tool(annotations=changes)
    def ingest_telemetry(
        location: str | None = None, connector: str = "files", fleet: str = "default", run: str | None = None
    ) -> dict[str, Any]:
        """Ingest."""
        state.called("ingest_telemetry", location=location, run=run)
        state.done = ["ingest_telemetry"]
        return canned.run_answer(run or "demo-20260312", "ingest_telemetry", "engineer_features")

    @server.tool(annotations=changes)
    def advance_run(run: str, to: str = "persist_anomalies") -> dict[str, Any]:
        """Advance."""
        state.called("advance_run", run=run)
        state.done = list(STAGES)
        return canned.run_answer(run, "persist_anomalies", None)

    @server.tool(annotations=reads)
    def get_run(run: str) -> dict[str, Any]:
        """Run."""
        state.called("get_run", run=run)
        return canned.run_answer(run, "persist_anomalies", None)

    @server.tool(annotations=reads)
    def list_runs(fleet: str | None = None, limit: int = 20) -> dict[str, Any]:
        """Runs."""
        state.called("list_runs")
        line = {
            "run": "demo-20260312",
            "fleet": "demo",
            "created": canned.UNTIL,
            "complete": True,
            "next_tool": None,
            "anomalies": 216,
        }
        return {"summary": "1 run.", "runs": [line], "truncated": False, "cursor": None}

    @server.tool(annotations=destroys)
    def cancel_run(run: str) -> dict[str, Any]:
        """Cancel."""
        state.called("cancel_run", run=run)
        return {"summary": "Asked to stop.", "run": run, "was_walking": True, "next_tool": "get_run"}

    return server


def _plain(state: State, name: str, answer: Any) -> Any:
    def tool() -> dict[str, Any]:
        state.called(name)
        return answer()

    return tool


def _stage(state: State, stage: str) -> Any:
    def tool(run: str) -> dict[str, Any]:
        state.called(stage, run=run)
        missing = next((each for each in STAGES[: STAGES.index(stage)] if each not in state.done), None)
        if missing:
            raise ToolError(f"{stage} needs {missing}, which is missing. Call {missing} next.")
        state.done.append(stage)
        return canned.run_answer(run, stage, None)

    return tool
