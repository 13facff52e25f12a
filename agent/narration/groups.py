"""Answers about peers, groups, changes and time."""

from typing import Any

from agent.narration.words import Payload, Reader, counted, figure, percent, rate, said, sentences, table
from agent.offline.entities import Entities
from agent.offline.thread import Turn, changes_meant
from agent.quoting import plain


def peers(turn: Turn, _: Reader) -> str:
    """A device beside its cohort."""
    found = turn.payload("compare_device_with_peers")
    rows = [
        (
            m["metric"],
            figure(m["device_median"], m["unit"]),
            figure(m["cohort_median"], m["unit"]),
            f"{figure(m['cohort_q1'])} to {figure(m['cohort_q3'])}",
            f"{m['rank'] or '?'} of {m['devices']:,}",
        )
        for m in found["metrics"][:8]
    ]
    inside, outside = found["contrast"]["inside"], found["contrast"]["outside"]
    return sentences(
        said(found),
        f"{plain(found['device'])}: {rate(found['device_rate'])}. "
        f"Its cohort {plain(found['cohort'])} without it: {rate(inside)}. "
        f"The rest of the fleet: {rate(outside)}.",
        table(("metric", "device", "cohort", "middle half", "rank (1 is highest)"), rows) if rows else "",
    )


def timeline(turn: Turn, _: Reader) -> str:
    """A metric through time; the chart itself is drawn from the tool's points."""
    found = turn.payload("get_device_timeline")
    values = [point["value"] for point in found["points"] if point["value"] is not None]
    gaps = sum(point["value"] is None for point in found["points"])
    unit = found["unit"]
    spread = f"Between {figure(min(values), unit)} and {figure(max(values), unit)}; " if values else "No values; "
    return sentences(
        said(found),
        f"{spread}gaps: {gaps:,} of {counted(len(found['points']), 'step')}; marked: {counted(found['anomalies'], 'anomaly')}; "
        f"the peers' band rests on {counted(found['peers'], 'device')}.",
    )


def ranking(turn: Turn, _: Reader) -> str:
    """Groups by their rate of anomalies."""
    found = turn.payload("rank_groups")
    rows = [
        (
            place,
            group["group"],
            percent(group["rate"]),
            f"{group['anomalies']:,}",
            f"{group['rows']:,}",
            f"{group['affected']:,} of {group['devices']:,}",
            group["worst_metric"],
        )
        for place, group in enumerate(found["groups"], 1)
    ]
    head = ("#", plain(found["by"]), "rate", "anomalies", "rows", "devices", "worst metric")
    more = f"{len(rows):,} of {found['total']:,} shown." if found["truncated"] else ""
    return sentences(said(found), table(head, rows) if rows else "", f"Whole fleet: {rate(found['whole'])}.", more)


def changes(turn: Turn, reader: Reader, names: Entities | None = None) -> str:
    """Recorded changes and how well each explains who is affected."""
    found = turn.payload("what_changed")
    ranked: list[Payload] = list(found["changes"])
    meant = changes_meant(ranked, names) if names else []
    named = names is not None and bool(names.versions or names.model)
    missing = f"No recorded change fits {_named(names)}." if named and names and ranked and not meant else ""
    shown = (meant or ranked)[:8]
    rows = [
        (
            reader.time(c["change"]["time"]),
            c["change"]["description"],
            f"{c['change']['before'] or '?'} → {c['change']['after'] or '?'}",
            rate(c["exposed"]),
            rate(c["unexposed"]),
            _weight(c),
        )
        for c in shown
    ]
    head = ("when", "change", "before → after", "affected with it", "affected without it", "what that says")
    quiet = "" if rows else "There is no recorded change."
    return sentences(
        side_by_side(turn),
        said(found),
        missing,
        quiet,
        table(head, rows) if rows else "",
        "Association, not proof of a cause." if rows else "",
    )


_FEW = 10
"""Devices below which nothing is concluded, as the server has it."""


def side_by_side(turn: Turn) -> str:
    """Updated devices beside the others of their models, with the size of the difference; empty if that was not asked."""
    found = turn.payload("query_telemetry")
    columns, rows = found.get("columns") or (), found.get("rows") or ()
    sides: dict[str, Any] = dict(zip(columns, rows[0], strict=True)) if rows and "updated_devices" in columns else {}
    if not sides:
        return ""
    both = min(sides["updated_devices"], sides["other_devices"])
    lines = [
        (name, f"{sides[f'{key}_devices']:,}", f"{sides[f'{key}_rows'] or 0:,}", figure(sides[f"{key}_median"]))
        for name, key in (("updated", "updated"), ("not updated", "other"))
    ]
    scales = figure(sides["difference_in_scales"])
    size = f"Difference {figure(sides['difference'])}, which is {scales} scales of those not updated. "
    verdict = (
        "Too few devices on one side to say that the update did anything."
        if both < _FEW
        else "It is an association, not proof of a cause: the updated were not drawn at random."
    )
    head = ("devices that are", "devices", "rows", "median of their medians")
    return sentences(table(head, lines), (size if both else "") + verdict)


def at_risk(turn: Turn, reader: Reader) -> str:
    """Devices that are exposed and not affected yet."""
    found = turn.payload("list_at_risk_devices")
    rows = [
        (d["device"], d["cohort"], d["site"], reader.time(d["exposed_since"]), reader.time(d["last_seen"]))
        for d in found["devices"][:20]
    ]
    head = ("device", "cohort", "site", "exposed since", "last seen")
    more = f"{len(rows):,} of {found['total']:,} shown." if found["total"] > len(rows) else ""
    return sentences(
        said(found), f"Affected of those exposed: {rate(found['exposed'])}.", table(head, rows) if rows else "", more
    )


def _named(names: Entities | None) -> str:
    return plain(" / ".join(part for part in ((names.model, *names.versions) if names else ()) if part))


def _weight(change: Payload) -> str:
    if not change["enough"]:
        return "too few devices to conclude anything"
    points = figure(100 * change["difference"]) if change["difference"] is not None else "not known"
    return f"{points} percentage points; by chance {percent(change['chance'])}"
