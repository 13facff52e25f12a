"""Answers about verdicts, suggestions, previews and what came of them."""

from agent.narration.words import Payload, Reader, counted, figure, rate, said, sentences, table
from agent.offline.entities import entities_in
from agent.offline.thread import Turn, suggestion_id
from agent.quoting import plain, quoted

WHERE = (
    "A person with the scope `approve` decides: in the chat on the suggestion's card, on the server's approval page, "
    "or with `anomalyst approve`."
)


def recorded(turn: Turn, reader: Reader) -> str:
    """A verdict was stored; what it covers, and what it did not do."""
    found = turn.payload("record_feedback")
    made = turn.last("record_feedback")
    rule = found.get("rule")
    lasting = f"The rule ends {reader.time(rule['until'])} ({reader.zone_name})." if rule else ""
    one = made is not None and "anomaly" in made.args
    scope = "It covers this anomaly only. If you meant its whole incident, or all such devices, say so." if one else ""
    return sentences(f"{said(found)} No score changed.", lasting, scope)


def missed(turn: Turn, reader: Reader) -> str:
    """A missed report."""
    made = turn.last("report_missed")
    args = made.args if made else {}
    window = f"Window: {reader.time(args.get('since'))} to {reader.time(args.get('until'))} ({reader.zone_name})."
    return sentences(said(turn.payload("report_missed")), window)


def recalled(turn: Turn, reader: Reader) -> str:
    """Earlier decisions on like cases."""
    found = turn.payload("recall_feedback")
    rows = [
        (
            reader.time(d["time"]),
            d["by"],
            d["outcome"] + (", undone" if d.get("undone") else ""),
            f"{d['rows']:,}",
            quoted(d["words"], 90),
        )
        for d in (each["decision"] for each in found["recalled"])
    ]
    none = "" if rows else "Nobody has decided on a case like this before."
    return sentences(said(found), table(("when", "who", "decided", "rows", "words"), rows) if rows else none)


def suggested(turn: Turn, _: Reader) -> str:
    """What was suggested, what it would do, and who decides."""
    made = next((m for m in reversed(turn.made) if m.tool.startswith("suggest_")), None)
    found = made.payload if made else {}
    lines = [f"- {suggestion_id(each)}: {plain(_inner(each).get('reason', ''), 300)}" for each in found.get("suggestions", ())]
    refused = [f"- not suggested: {plain(each['reason'], 300)}" for each in found.get("refused", ())[:5]]
    preview = effect_of(turn.payload("preview_suggestion")) if turn.payload("preview_suggestion") else ""
    ending = f"Nothing was applied. {WHERE}" if lines else ""
    return sentences(said(found), "\n".join(lines), preview, "\n".join(refused), ending, _to_judge(turn))


def _to_judge(turn: Turn) -> str:
    """What verdicts could be given, where there are none to draft a change from."""
    ranked = turn.payload("rank_groups")
    names = entities_in(turn.prompt)
    groups = [
        each for each in ranked.get("groups", ()) if not names.model or each["group"].casefold() == names.model.casefold()
    ]
    if not groups or not groups[0]["anomalies"]:
        return ""
    about = f" with {plain(ranked['metric'], 40)} most at fault" if ranked.get("metric") else ""
    shown = "\n".join(
        f"- {plain(each['group'], 60)}: {counted(each['anomalies'], 'anomaly')}{about}, "
        f"devices affected: {each['affected']:,} of {each['devices']:,}"
        for each in groups[:3]
    )
    return (
        f"There to be judged:\n{shown}\nSay which are false alarms, by anomaly or incident, and I draft the change from that. "
        "If there are too many of every kind, ask for fewer alerts overall: that moves the threshold instead."
    )


def preview(turn: Turn, _: Reader) -> str:
    """What a suggestion would remove and add."""
    return sentences(effect_of(turn.payload("preview_suggestion")), f"Nothing was applied. {WHERE}")


def effect_of(found: Payload) -> str:
    """A preview in words: removed and added by verdict, true ones by name, and the gate."""
    hidden = [
        (row["anomaly"], row["device"], row["metric"], figure(row["severity_before"]), quoted(row.get("note", ""), 60))
        for row in found.get("hidden_true", ())[:10]
    ]
    closed = [f"- {plain(each['rule'])}: {plain(each['detail'], 200)}" for each in found.get("gate", ()) if not each["passed"]]
    return sentences(
        f"Preview of {found['suggestion']} on {counted(found['rows'], 'row')}: "
        f"anomalies {found['alarms_before']:,} → {found['alarms_after']:,}; "
        f"removed: {_counts(found['removed'])}; added: {_counts(found['added'])}; "
        f"{counted(found['devices'], 'device')} touched.",
        "It would hide anomalies that a person marked true:\n\n"
        + table(("anomaly", "device", "metric", "severity", "note"), hidden)
        if hidden
        else "It would hide nothing that a person marked true.",
        "The gate is closed:\n" + "\n".join(closed) if closed else "",
    )


def suggestions(turn: Turn, _: Reader) -> str:
    """Suggestions and where they stand."""
    page = turn.payload("list_suggestions")
    rows = [
        (suggestion_id(e), _inner(e).get("kind", ""), e.get("status", ""), _inner(e).get("reason", ""))
        for e in page["suggestions"]
    ]
    waiting = any(each.get("status") == "pending" for each in page["suggestions"])
    head = ("suggestion", "kind", "status", "reason")
    return sentences(f"{counted(page['total'], 'suggestion')}.", table(head, rows) if rows else "", WHERE if waiting else "")


def applied(turn: Turn, _: Reader) -> str:
    """What applying did."""
    found = turn.payload("apply_feedback")
    return (
        f"Applied {found['suggestion']}: baseline version {found['version_before']} → {found['version_after']} on the word of "
        f"{plain(found['effect']['approver'], 60)}. Undo it with a rollback."
    )


def effects(turn: Turn, reader: Reader) -> str:
    """What applied changes promised and did."""
    found = turn.payload("list_effects")
    rows = [
        (
            e["suggestion"],
            f"{e['version_before']} → {e['version_after']}",
            reader.time(e["applied"]),
            plain(e["approver"], 40),
            f"{e['promised']['alarms_before']:,} → {e['promised']['alarms_after']:,}",
            f"{e['alarms_before']:,} → {_after(e)}",
            _counts(e["removed"]),
            "yes" if e["undone_by"] else "no",
        )
        for e in found["effects"][:5]
    ]
    head = (
        "suggestion",
        "version",
        "applied",
        "approved by",
        "promised",
        "anomalies",
        "removed",
        "undone",
    )
    return sentences(said(found), table(head, rows) if rows else "", _precision(found))


def _precision(found: Payload) -> str:
    """Share of judged anomalies that are true, before the newest change and after it."""
    before, after = found.get("judged_before"), found.get("judged_after")
    if not (before and after):
        return ""
    return f"Precision on verdicts, before the newest change: {rate(before)}; after it: {rate(after)}."


def _after(effect: Payload) -> str:
    return "not scored yet" if effect["alarms_after"] is None else f"{effect['alarms_after']:,}"


def _counts(by_verdict: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in sorted(by_verdict.items()) if count) or "none"


def _inner(entry: Payload) -> Payload:
    inner = entry.get("suggestion")
    return inner if isinstance(inner, dict) else entry
