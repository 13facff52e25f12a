"""Cards show what is stored, cap foreign text, and offer a decision only where one can be made."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from chat_ui.cards.dashboard import dashboard, grounds
from chat_ui.cards.finding import finding
from chat_ui.cards.suggestion import approval, outcome, title_of
from chat_ui.words import feature_words, foreign, moment, number, quiet, sentence, verdict_words

Answer = Callable[[str], dict[str, Any]]
NOW = datetime(2025, 3, 23, 12, tzinfo=UTC)


def standing(drawn: Answer) -> dict[str, Any]:
    """A pending suggestion with its preview."""
    return {**drawn("standing"), "preview": drawn("preview")}


def test_the_dashboard_shows_the_overviews_counts_with_denominators(drawn: Answer) -> None:
    """Tiles and incidents are the server's numbers; each incident says of how many."""
    overview = drawn("overview")
    props = dashboard(overview)
    tiles = {each["name"]: each for each in props["tiles"]}
    assert tiles["Open incidents"]["value"] == f"{overview['incidents']['total']:,}"
    assert tiles["Anomalous rows"]["value"] == f"{overview['detector']['flagged']['count']:,}"
    assert tiles["To decide"]["value"] == str(overview["suggestions_pending"])
    first = overview["incidents"]["incidents"][0]
    shown = props["incidents"][0]
    assert (shown["title"] + shown["note"]).count(f"{first['devices']} of {first['devices_in_scope']} device") == 1
    assert len(props["incidents"]) <= 5


def test_a_fleet_without_a_run_has_a_dashboard(drawn: Answer) -> None:
    """Before anything was persisted the card says so and shows no figure."""
    empty = {**drawn("overview"), "detector": None, "baseline": None, "by_day": (), "telemetry_until": None}
    assert dashboard(empty)["freshness"].startswith("last telemetry -")
    props = grounds(empty)
    assert props["facts"] == [("State", "no run has persisted anomalies yet")]
    assert props["levels"] == []


def test_a_finding_shows_score_level_n_and_version(drawn: Answer) -> None:
    """What the explanation rests on is on the card; the tool that a model would call next is not."""
    told = drawn("explanation")
    props = finding(told, NOW, in_incident=3)
    strongest = told["metrics"][0]
    against = props["metrics"][0]["against"].replace("\u00a0", " ")  # kept on one line
    assert against.endswith(f"n = {strongest['n']:,}, version {strongest['version']}")
    assert f"threshold {told['threshold']:.3g}" in props["note"]
    assert "Next:" not in props["text"]
    assert props["expires"] == "2025-03-26"


def test_the_approval_card_names_what_a_decision_is_bound_to(drawn: Answer) -> None:
    """Who decides, the digest, the base version and the expiry are on the card, as stored."""
    stored = standing(drawn)
    facts = dict(approval(stored, "boss")["facts"])
    assert facts["You decide as"] == "boss"
    assert facts["Digest"] == stored["digest"]
    assert facts["Base version"] == str(stored["suggestion"]["base_version"])
    assert facts["Expires"] == moment(stored["suggestion"]["expires"])


def test_the_totals_are_the_previews(drawn: Answer) -> None:
    """Now, after, removed and added are the preview's numbers."""
    preview = drawn("preview")
    totals = {each["name"]: each["value"] for each in approval(standing(drawn), "boss")["totals"]}
    assert totals["Anomalous rows now"] == f"{preview['alarms_before']:,}"
    assert totals["After"] == f"{preview['alarms_after']:,}"
    assert totals["Removed"] == f"{sum(preview['removed'].values()):,}"


def test_only_a_pending_suggestion_can_be_decided_on(drawn: Answer) -> None:
    """The buttons go with the status, and where the person may not decide, the card says why."""
    stored = standing(drawn)
    assert approval(stored, "boss")["canDecide"]
    refused = approval(stored, "olga", refusal="olga lacks the right")
    assert (refused["canDecide"], refused["refusal"]) == (False, "olga lacks the right")
    for status in ("approved", "rejected", "applied", "expired", "stale"):
        assert not approval({**stored, "status": status}, "boss")["canDecide"]


def test_a_closed_gate_or_a_missing_preview_blocks_approving(drawn: Answer) -> None:
    """What nobody can override blocks; what a person may accept is listed to be accepted."""
    stored = standing(drawn)
    finding_of = {"rule": "size_of_move", "passed": False, "overridable": False, "detail": "too large"}
    closed = approval({**stored, "preview": {**stored["preview"], "gate": [finding_of]}}, "boss")
    accepted = approval({**stored, "preview": {**stored["preview"], "gate": [{**finding_of, "overridable": True}]}}, "boss")
    assert "too large" in closed["blocked"]
    assert (accepted["blocked"], accepted["overrides"]) == ("", ["size_of_move"])
    assert approval({**stored, "preview": None}, "boss")["blocked"]


def test_a_settings_suggestion_shows_what_changes_alone(drawn: Answer) -> None:
    """Of all settings only those that would be others, each as it is and as it would be; weights are told in words."""
    now = {"name": "hybrid", "contamination": 0.03, "alerts_per_day": None, "domain_weights": {}}
    then = {**now, "alerts_per_day": 20.0, "domain_weights": {"battery": 0.5}}
    stored = standing(drawn)
    stored["suggestion"] = {**stored["suggestion"], "settings": then}
    shown = approval(stored, "boss", in_force=now)["settings"]
    assert shown == [("alerts per day", "not set", "20.0"), ("domain weights", "all equal", "battery x 0.5")]


def test_a_decision_is_told_with_person_channel_and_reason(drawn: Answer) -> None:
    """Whoever opens the card later reads who decided what, and why."""
    decision = {"approved": False, "by": "ann", "time": "2025-03-23T12:00:00Z", "channel": "http", "reason": "not yet"}
    words = outcome({**standing(drawn), "decision": decision})
    assert words == "Rejected by ann, 2025-03-23 12:00 UTC, through http: not yet."


def test_a_suggestions_title_names_whom_and_what(drawn: Answer) -> None:
    """The line on the dashboard says whose normal would move."""
    assert title_of(drawn("standing")["suggestion"]).startswith("Move what is normal for ")


def test_markdown_cannot_load_or_link() -> None:
    """Images, links and bare addresses in an answer stay text, however a stream cuts them."""
    hostile = "![x](https://evil.example/a) [y](javascript:alert) <img src=x> www.evil.example mailto:a@b.example"
    for text in (quiet(hostile), " ".join(quiet(piece) for piece in hostile.split(" "))):
        assert re.search(r"(?<!\\)\[", text) is None
        assert "<" not in text
        assert not any(address in text for address in ("://", "www.", "mailto:a", "javascript:a"))


def test_foreign_text_is_capped_and_its_unseen_signs_spelled_out() -> None:
    """A name can neither fill the page nor steer how it is read."""
    assert foreign("a\u202eb\n") == "a\\u202eb\\n"
    assert foreign("x" * 500, 10) == "x" * 10 + "…"


def test_numbers_and_times_are_readable() -> None:
    """Thousands stand apart, small numbers keep digits, and a time names its zone."""
    told = [number(each) for each in (None, 1234567, 0.123456, 12.5, 2.0, 0.00001)]
    assert told == ["-", "1,234,567", "0.123", "12.5", "2", "1.0e-05"]
    assert moment("2025-07-01T12:00:00Z", ZoneInfo("Europe/Berlin")) == "2025-07-01 14:00 CEST"


def test_words_of_the_server_read_as_sentences() -> None:
    """Begun large and ended; features and verdicts as people say them, and what has no such name as it is."""
    assert sentence("the last row is old") == "The last row is old."
    assert (feature_words("Upload_mean"), feature_words("heat_std"), feature_words("heat")) == (
        "Upload, mean",
        "heat, spread",
        "heat",
    )
    assert (verdict_words("false_alarm"), verdict_words("unlabelled")) == ("false alarm", "not judged")


def test_old_telemetry_is_not_called_sound(drawn: Answer) -> None:
    """A warning above the tiles and a green word below it would contradict each other."""
    overview = drawn("overview")
    tiles = {each["name"]: each["value"] for each in dashboard(overview)["tiles"]}
    assert tiles["Telemetry"] == ("look first" if overview["health"]["warnings"] else "sound")
    quiet = {**overview, "health": {**overview["health"], "warnings": [], "trusted": True}}
    assert {each["name"]: each["value"] for each in dashboard(quiet)["tiles"]}["Telemetry"] == "sound"
