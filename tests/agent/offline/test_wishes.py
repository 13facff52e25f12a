"""Which wish a sentence states: courtesies say nothing of it, a question is no verdict, and nothing starts by accident."""

from datetime import UTC, datetime

import pytest

from agent.offline.plainly import plainly
from agent.offline.thread import Turn
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


def test_all_wishes_are_ranked_with_the_stated_one_first():
    """What a small model is offered follows from it."""
    ranked = likeliest([Turn("which stores are the worst for wifi")], NOW)
    assert ranked[0] == "rank"
    assert len(ranked) == len(set(ranked)) > 30
