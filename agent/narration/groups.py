"""Answers about peers, groups, changes and time."""

from agent.narration.words import Payload, Reader, figure, percent, rate, said, sentences, table
from agent.offline.entities import Entities
from agent.offline.thread import Turn
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
        f"{spread}{gaps:,} of {len(found['points']):,} steps are gaps; {found['anomalies']:,} anomalies are marked; "
        f"the peers' band rests on {found['peers']:,} devices.",
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
    meant = [change for change in ranked if names and _fits(change, names)]
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
        said(found), missing, quiet, table(head, rows) if rows else "", "Association, not proof of a cause." if rows else ""
    )


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
        said(found), f"Of those exposed, {rate(found['exposed'])} are affected.", table(head, rows) if rows else "", more
    )


def _fits(change: Payload, names: Entities) -> bool:
    row = change["change"]
    words = " ".join((row["description"], row["before"], row["after"], *row["scope"].values())).casefold()
    return all(each.casefold() in words for each in (*names.versions[:1], names.model) if each)


def _named(names: Entities | None) -> str:
    return plain(" / ".join(part for part in ((names.model, *names.versions) if names else ()) if part))


def _weight(change: Payload) -> str:
    if not change["enough"]:
        return "too few devices to conclude anything"
    points = figure(100 * change["difference"]) if change["difference"] is not None else "not known"
    return f"{points} percentage points; by chance {percent(change['chance'])}"
