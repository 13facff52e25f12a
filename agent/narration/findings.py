"""Answers about incidents and anomalies."""

from typing import Any

from agent.narration.words import Payload, Reader, counted, figure, percent, rate, said, sentences, table
from agent.offline.thread import Turn
from agent.quoting import plain, quoted

SHOWN = 10
"""Rows of a list that an answer shows; it says how many there are."""


def attention(turn: Turn, reader: Reader) -> str:
    """The incidents, the worst first."""
    page = turn.payload("list_incidents")
    cards = page.get("incidents", ())[:5]
    rows = [
        (
            place,
            card["id"],
            card["title"],
            f"{card['devices']:,} of {card['devices_in_scope']:,}",
            card["band"],
            reader.time(card["start"]),
        )
        for place, card in enumerate(cards, 1)
    ]
    listed = table(("#", "incident", "what", "devices", "severity", "since"), rows) if rows else "Nothing needs attention."
    muted = page.get("muted_left_out", 0)
    return sentences(said(page), listed, f"{counted(muted, 'incident')} muted as expected left out." if muted else "")


def incident(turn: Turn, reader: Reader) -> str:
    """One incident in detail."""
    detail = turn.payload("get_incident")
    card, devices, contrast = detail["incident"], detail["devices"], detail.get("contrast")
    names = ", ".join(plain(name, 60) for name in devices["names"][:SHOWN])
    more = f" and {devices['total'] - SHOWN:,} more" if devices["total"] > SHOWN else ""
    verdicts = ", ".join(f"{count:,} {verdict}" for verdict, count in detail.get("verdicts", {}).items())
    return sentences(
        said(detail),
        f"From {reader.time(card['start'])} to {reader.time(card['end'])}; "
        f"severity {figure(card['severity'])} ({card['band']}).",
        f"Devices ({devices['total']:,}): {names}{more}.",
        f"In {plain(contrast['group'])}: {rate(contrast['inside'])}; elsewhere: {rate(contrast['outside'])}."
        if contrast
        else "",
        f"Verdicts so far: {verdicts}; {detail['unjudged']:,} not judged." if verdicts else "",
        *(
            f"Noted by {plain(each['author'], 40)}: {quoted(each['note'])}"
            for each in detail.get("notes", ())[:2]
            if each["note"]
        ),
    )


def anomalies(turn: Turn, reader: Reader) -> str:
    """Single anomalies: how many there are, the worst, and how to get all of them."""
    page = turn.payload("list_anomalies")
    cards = page.get("anomalies", ())[:SHOWN]
    rows = [
        (
            c["id"],
            c["device"],
            reader.time(c["time"]),
            f"{figure(c['severity'])} ({c['band']})",
            c["metric"],
            figure(c["value"], c["unit"]),
            figure(c["typical"], c["unit"]),
            c.get("verdict") or "",
        )
        for c in cards
    ]
    head = ("anomaly", "device", "time", "severity", "metric", "value", "typical", "verdict")
    rest = (
        f"Of {page['total']:,}, the worst are shown. `anomalyst export` writes all of them to a file."
        if page["total"] > len(cards)
        else ""
    )
    return sentences(said(page), table(head, rows) if rows else "", rest)


def explanation(turn: Turn, reader: Reader) -> str:
    """Why one row is an anomaly: the claims in words, then what they rest on."""
    told = turn.payload("explain_anomaly")
    rows = [_metric_row(metric) for metric in told["metrics"]]
    head = ("metric", "value", "typical", "z", "level", "rows", "version", "a day before")
    score = (
        f"Score {figure(told['score'])}, threshold {figure(told['threshold'])}; "
        f"severity {figure(told['severity'])} ({told['band']}); "
        f"confidence {percent(told['confidence'])}. {reader.time(told['time'])} ({reader.zone_name}), {told['anomaly']}."
    )
    elsewhen = _elsewhen(turn, reader)
    shown = table(head, rows) if rows else ""
    return sentences(elsewhen, plain(told["text"], 1500), score, shown, _peers_of(told), _decisions(told))


def _elsewhen(turn: Turn, reader: Reader) -> str:
    """That the device has no anomaly at the time asked about, where its worst one is told instead."""
    asked = next(
        (made for made in turn.made if made.tool == "explain_anomaly" and made.refusal and "around" in made.args), None
    )
    if asked is None:
        return ""
    around = f"{reader.time(asked.args['around'])} ({reader.zone_name})"
    return f"{plain(asked.args['device'], 60)} has no anomaly within a day of {around}. Its most severe one:"


def baseline_detail(turn: Turn, _: Reader) -> str:
    """What the strongest metric was compared with: level, group, rows, median and MAD."""
    told = turn.payload("explain_anomaly")
    if not told["metrics"]:
        return (
            f"{told['anomaly']} rests on raw features "
            f"({plain(told.get('fallback', ''))}): there is no baseline to compare with."
        )
    top = told["metrics"][0]
    rows: Any = turn.payload("list_baselines").get("baselines") or ()
    spread = f" {center_and_spread(rows[0])}" if rows else ""
    group = f" {plain(top['group'])}" if top.get("group") else ""
    return sentences(
        f"{plain(top['feature'])} was {figure(top['value'], top['unit'])}, {top['direction']} "
        f"the typical {figure(top['typical'], top['unit'])} "
        f"of level {top['level']}{group}: {counted(top['n'], 'row')}, baseline version {top['version']}, "
        f"z {figure(top['z'])}.{spread}",
        table(
            ("metric", "value", "typical", "z", "level", "rows", "version", "a day before"),
            [_metric_row(m) for m in told["metrics"]],
        ),
    )


def confidence(turn: Turn, _: Reader) -> str:
    """How sure an anomaly is, and what that rests on."""
    told = turn.payload("explain_anomaly")
    top = told["metrics"][0] if told["metrics"] else None
    basis = (
        f"What is typical rests on {counted(top['n'], 'row')} of level {top['level']}; "
        f"the value is {figure(abs(top['z']))} scales from it."
        if top
        else ""
    )
    return sentences(
        f"Confidence {percent(told['confidence'])} in {told['anomaly']} of {plain(told['device'])}. {basis}",
        f"Score {figure(told['score'])} against the threshold {figure(told['threshold'])} (lower is more abnormal).",
        _peers_of(told),
        _decisions(told),
    )


def manager_note(turn: Turn, reader: Reader) -> str:
    """Two plain lines for a store: what is going on, and one thing to do."""
    detail = turn.payload("get_incident")
    if not detail:
        return "All quiet: no incident is open.\nNothing to do."
    card = detail["incident"]
    what = _LAY.get(next(iter(card["metrics"]), ""), "are behaving unusually")
    where = plain(card["scope"].get("site") or card["scope"].get("store") or "your fleet", 60)
    devices = detail["devices"]["total"]
    some = detail["devices"]["names"][:3]
    verb = what if devices != 1 else what.replace("are ", "is ", 1).replace("have ", "has ", 1).replace("use ", "uses ", 1)
    return (
        f"Since {reader.time(card['start'])} ({reader.zone_name}), "
        f"{counted(devices, 'handheld')} ({where}) {verb}.\n"
        f"Please check {', '.join(plain(name, 40) for name in some)} and tell us whether this was planned."
    )


_LAY = {
    "TotalBatteryLevelDrop": "use up their battery faster than usual",
    "TotalFreeStorageKb": "are running out of storage space",
    "Download": "have unusual data traffic",
    "Upload": "have unusual data traffic",
    "OfflineTime": "are off the network longer than usual",
    "DisconnectCount": "have been losing their connection more often than usual",
    "WiFiSignalStrength": "have an unusual Wi-Fi signal",
    "ConnectionTime": "have an unusual time on the network",
}


def center_and_spread(baseline: Payload) -> str:
    """Median and MAD of a baseline in words; the scale it keeps is 1.4826 times the MAD, which is floored for constants."""
    return (
        f"Median {figure(baseline['median'])}, MAD {figure(baseline['scale'] / 1.4826)} over {counted(baseline['n'], 'row')}."
    )


def _metric_row(metric: Payload) -> tuple[object, ...]:
    unit = metric["unit"]
    level = f"{metric['level']} {metric.get('group', '')}".strip() if metric["level"] else "none"
    return (
        metric["feature"],
        figure(metric["value"], unit),
        figure(metric["typical"], unit),
        figure(metric["z"]),
        level,
        f"{metric['n']:,}",
        metric["version"] or "none",
        figure(metric["day_before"], unit),
    )


def _peers_of(told: Payload) -> str:
    peers = told.get("peers")
    return f"{plain(peers['group'])}: {rate(peers['inside'])} that day; the rest: {rate(peers['outside'])}." if peers else ""


def _decisions(told: Payload) -> str:
    past = [each["decision"] for each in told.get("decisions", ())[:3]]
    lines = [f"- {d['time'][:10]}, {plain(d['by'], 40)}: {d['outcome']}, {quoted(d['words'])}" for d in past]
    return "Earlier decisions on like cases:\n" + "\n".join(lines) if lines else ""
