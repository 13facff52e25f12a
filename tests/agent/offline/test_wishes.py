"""Which wish a sentence states: courtesies say nothing of it, a question is no verdict, and nothing starts by accident."""

from datetime import UTC, datetime

import canned
import pytest

from agent.offline.plainly import plainly, written_out
from agent.offline.thread import Made, Turn
from agent.offline.wishes import CHANGING, likeliest, wish_of

NOW = datetime(2026, 3, 12, 8, 30, tzinfo=UTC)


def wish(said: str) -> str:
    return wish_of([Turn(said)], NOW).intent


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("Could you please tell me whats wrong?", "tell me what is wrong?"),
        ("hi, pls show the handhelds", "show the devices"),
        ("Would you mind listing the shops, please", "listing the stores"),
        ("please", "please"),
        ("what can you do", "what can you do"),
    ],
)
def test_courtesies_and_short_forms_say_nothing_of_the_wish(said, left):
    """What is left is never empty."""
    assert plainly(said) == left


@pytest.mark.parametrize(
    "said",
    ["are we certain it isn't noise", "is it a false alarm?", "was that expected", "could this be real", "is i-77aa88bb real"],
)
def test_a_question_is_no_verdict(said):
    """Asking whether it is a false alarm does not make it one."""
    assert wish(said) not in {"false_alarm", "expected", "real"}


@pytest.mark.parametrize("said", ["wrong again", "again", "once more", "go", "now"])
def test_nothing_is_started_without_a_word_of_the_walk(said):
    """However near it comes to `train again`."""
    assert wish(said) not in CHANGING - {"apply", "false_alarm"}


@pytest.mark.parametrize("said", ["forget it", "do not apply it", "never apply that", "not yet, hold off", "leave it as it is"])
def test_what_is_called_off_is_not_applied(said):
    """The thread speaks of a suggestion, so that `apply it` would be near."""
    drafted = Made("suggest_baseline_adjustments", {}, {"suggestions": [canned.suggestion()], "refused": [], "summary": ""})
    assert wish_of([Turn("fix it", (drafted,)), Turn(said)], NOW).intent not in {"apply", "cancel"}


@pytest.mark.parametrize("said", ["do not stop run demo-1", "never mind run demo-1", "leave run demo-1 alone"])
def test_what_is_called_off_is_not_stopped(said):
    """Nor anything that names no stopping at all."""
    assert wish(said) != "cancel"


@pytest.mark.parametrize(
    ("said", "left"),
    [("seen b4?", "seen before?"), ("open nr 2", "open number 2"), ("model b4", "model b4"), ('device "b4"', 'device "b4"')],
)
def test_what_is_typed_in_a_hurry_is_written_out_unless_it_is_a_name(said, left):
    """`b4` is no model, and `nr 2` the second one."""
    assert written_out(said) == left


def test_all_wishes_are_ranked_with_the_stated_one_first():
    """What a small model is offered follows from it."""
    ranked = likeliest([Turn("which stores are the worst for wifi")], NOW)
    assert ranked[0] == "rank"
    assert len(ranked) == len(set(ranked)) > 30
