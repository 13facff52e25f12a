"""Answers about the telemetry, the detector, the baselines, runs and what else stands behind the numbers."""

from agent.narration.words import Payload, Reader, counted, figure, percent, rate, said, sentences, table
from agent.offline.thread import Turn
from agent.quoting import plain

STALE_HOURS = 36
"""Telemetry that ended longer ago is spoken of as of its end."""


def warning(turn: Turn, reader: Reader) -> str:
    """What leads an answer when the numbers cannot be trusted as they are; empty if they can, or if that was not asked."""
    health = turn.payload("check_data_health")
    old = (health.get("hours_since") or 0) > STALE_HOURS
    last = reader.time((health.get("health") or {}).get("last")) if old else ""
    ended = f"telemetry ends {last} ({reader.zone_name}); words such as yesterday are meant from there." if old else ""
    words = " ".join(plain(each, 200) for each in health.get("warnings", ())[:3])
    if health.get("trusted", True) and not old:
        return ""
    return f"**Careful:** {'; '.join(filter(None, (words, ended))) or 'the telemetry is stale.'}"


def health(turn: Turn, reader: Reader) -> str:
    """Whether the numbers can be trusted."""
    found = turn.payload("check_data_health")
    kept = found["health"]
    missing = max(kept["missing_share"].items(), key=lambda item: item[1], default=("", 0.0))
    rejected = sum(kept["rejected"].values())
    pending = ", ".join(f"{each['stage']} ({plain(each['why'])})" for each in found.get("pending", ()))
    most = f", missing values at most {percent(missing[1])} ({plain(missing[0])})" if missing[0] else ""
    return sentences(
        ("Yes. " if found["trusted"] and not found.get("warnings") else "Not without care. ") + said(found),
        f"{counted(kept['rows'], 'row')} of {counted(kept['devices'], 'device')}; "
        f"late {percent(kept['late_share'])}{most}; {counted(rejected, 'row')} rejected.",
        f"Last telemetry {reader.time(kept['last'])} ({reader.zone_name}); "
        f"last run finished {reader.time(found.get('run_finished'))}.",
        f"Still to be done: {pending}. Next: {found['next_tool']}." if pending else "Every stage is done and fresh.",
        said(turn.payload("check_drift")),
    )


def drift(turn: Turn, _: Reader) -> str:
    """What has moved since the baselines were estimated."""
    found = turn.payload("check_drift")
    rows = [
        (f["feature"], f"{f['level']} {f['group']}", figure(f["psi"]), figure(f["median_shift"]), f"{f['n']:,}")
        for f in found["features"][:8]
    ]
    return sentences(said(found), table(("feature", "group", "PSI", "shift in scales", "rows"), rows) if rows else "")


def baselines(turn: Turn, _: Reader) -> str:
    """What counts as normal."""
    found = turn.payload("list_baselines")
    rows = [
        (b["feature"], f"{b['level']} {b['group']}", figure(b["median"]), figure(b["scale"] / 1.4826), f"{b['n']:,}")
        for b in found["baselines"][:10]
    ]
    adjusted = f"Adjustments in force: {len(found['adjustments']):,}." if found["adjustments"] else "No adjustment is in force."
    head = ("feature", "group", "median", "MAD", "rows")
    return sentences(said(found), f"Version in force: {found['in_force']}. {adjusted}", table(head, rows) if rows else "")


def detector(turn: Turn, _: Reader) -> str:
    """The detector and its threshold."""
    found = turn.payload("get_detector")
    version = found["version"]
    basis = f"baseline version {found['baseline_version']}" if found["baseline_version"] else "raw features"
    return sentences(
        said(found),
        f"Detector version {version['version']}, threshold {figure(version['threshold'])}, "
        f"on {basis}; trained on {counted(found['trained_rows'], 'row')}.",
        f"Flagged: {rate(found['flagged'])}; expected {percent(found['expected_share'])}.",
    )


def distribution(turn: Turn, _: Reader) -> str:
    """How severities spread."""
    found = turn.payload("get_score_distribution")
    rows = [(name, figure(value)) for name, value in found["severity_quantiles"].items()]
    return sentences(said(found), f"Flagged: {rate(found['flagged'])}.", table(("quantile", "severity"), rows) if rows else "")


def overview(turn: Turn, _: Reader) -> str:
    """The fleet in a few lines."""
    found = turn.payload("get_overview")
    cards = found["incidents"]["incidents"][:5]
    rows = [(c["id"], c["title"], f"{c['devices']:,} of {c['devices_in_scope']:,}", c["band"]) for c in cards]
    return sentences(
        said(found),
        said(found["health"]),
        table(("incident", "what", "devices", "severity"), rows) if rows else "",
        f"Waiting for a decision: {counted(found['suggestions_pending'], 'suggestion')}. "
        f"In force: {counted(found['rules_in_force'], 'expected rule')}.",
    )


def query(turn: Turn, _: Reader) -> str:
    """Rows of a SELECT."""
    found = turn.payload("query_telemetry")
    rows: list[list[object]] = found["rows"][:20]
    more = f"{len(rows):,} of {counted(len(found['rows']), 'row')} returned shown." if len(found["rows"]) > len(rows) else ""
    cut = f"There are more rows than the {found['limit']:,} asked for." if found["truncated"] else ""
    return sentences(said(found), table([plain(each, 60) for each in found["columns"]], rows) if rows else "", more, cut)


def walk(turn: Turn, _: Reader) -> str:
    """What was done of a run, call by call, and what comes next."""
    done = [made for made in turn.made if made.tool in _WALK and not made.refusal]
    refused = [made for made in turn.made if made.tool in _WALK and made.refusal]
    lines = [f"- {made.tool}: {said(made.payload)}" for made in done]
    why = [f"{plain(made.refusal, 300)}" for made in refused[:1]]
    return sentences(*(f"First refused: {each} So I did that." for each in why if done), "\n".join(lines))


def runs(turn: Turn, reader: Reader) -> str:
    """Runs, or one run."""
    one = turn.payload("get_run")
    if one:
        return sentences(
            said(one), table(("stage", "state", "rows"), [(s["stage"], s["state"], f"{s['rows']:,}") for s in one["stages"]])
        )
    page = turn.payload("list_runs")
    rows = [
        (r["run"], r["fleet"], reader.time(r["created"]), "yes" if r["complete"] else "no", _count(r)) for r in page["runs"]
    ]
    return sentences(said(page), table(("run", "fleet", "started", "complete", "anomalies"), rows) if rows else "")


def _count(run: Payload) -> str:
    return "none yet" if run["anomalies"] is None else f"{run['anomalies']:,}"


_WALK = (
    "ingest_telemetry",
    "engineer_features",
    "compute_baselines",
    "train_detector",
    "score_telemetry",
    "persist_anomalies",
    "advance_run",
    "cancel_run",
)
