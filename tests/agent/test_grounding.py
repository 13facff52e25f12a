"""Claims in prose are computed again from what the tools returned."""

from zoneinfo import ZoneInfo

import canned
import pytest

from agent.grounding import check, facts_of, filled, supported, unsupported_rate

FACTS = facts_of([canned.explanation(), canned.changes(), canned.incident()], ZoneInfo("Europe/Berlin"))

HOLDS = [
    "Battery drain was 12.1 %, above the typical 4.3 %.",
    "D-1042 used 12 % battery, higher than usual.",
    "WiFiSignalStrength fell to -71.5 dBm, below the typical -60.2 dBm.",
    "12 of 20 devices (60 %) are affected, against 1 of 40 (2.5 %) elsewhere.",
    "It rests on 1,440 rows of the cohort, baseline version 1.",
    "Battery drain rose by 7.2 points since the day before.",
    "It was flagged on 2026-03-12 at 02:00.",
    "Nothing with a number in it.",
]
FAILS = [
    ("Battery drain was 12.1 %, below the typical 4.3 %.", "not below"),
    ("Battery drain was unusually low.", "other way round"),
    ("WiFiSignalStrength was higher than usual.", "other way round"),
    ("Battery drain was -71.5 %.", "not what was measured of TotalBatteryLevelDrop"),
    ("WiFiSignalStrength was 12.1 dBm.", "not what was measured"),
    ("Battery drain was 13 %.", "13 is not"),
    ("Battery: the typical 12.1 % was exceeded.", "not what is typical"),
    ("Battery drain fell since the day before.", "other way round"),
    ("D-9999 has the same trouble.", "D-9999"),
    ("Incident i-deadbeef is related.", "i-deadbeef"),
    ("It was flagged on 2026-03-11.", "2026-03-11"),
    ("It affects seven devices.", "7 is not"),
    ("The 14 devices share a model.", "14 is not"),
]


@pytest.mark.parametrize("sentence", HOLDS)
def test_what_holds_is_let_through(sentence):
    """Rounding, percentages of counts and the reader's zone are no faults."""
    assert check(sentence, FACTS) == ()


@pytest.mark.parametrize(("sentence", "why"), FAILS)
def test_what_does_not_hold_is_named(sentence, why):
    """A number of another metric, a wrong direction, a name or a time that is not there: each is found."""
    assert any(why in finding.why for finding in check(sentence, FACTS)), check(sentence, FACTS)


def test_only_the_failing_sentence_is_dropped():
    """What holds stays, in its order."""
    prose = "Battery drain was 12.1 %. It will cost 900 euros. It rests on 1,440 rows."
    assert supported(prose, FACTS) == "Battery drain was 12.1 %. It rests on 1,440 rows."


def test_the_rate_counts_claims_that_do_not_hold():
    """One of two claims invented is a half."""
    assert unsupported_rate([("Battery drain was 12.1 %. It will cost 900 euros.", FACTS)]) == 0.5
    assert unsupported_rate([]) == 0


def test_placeholders_are_filled_with_what_was_measured():
    """The model writes where, code writes what."""
    told = filled("{device}: {metrics.0.value}, {metrics.0.direction} the typical {metrics.0.typical}.", canned.explanation())
    assert told == "D-1042: 12.1 %, above the typical 4.3 %."


@pytest.mark.parametrize("prose", ["about 12 %", "{metrics.9.value}", "{nothing}"])
def test_digits_of_its_own_or_a_field_that_is_not_there_are_refused(prose):
    """A placeholder that names nothing is an error, not an empty place."""
    with pytest.raises(ValueError, match=r"placeholders|no field"):
        filled(prose, canned.explanation())
