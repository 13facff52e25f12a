"""What the templates say is grounded in what the tools returned, for every wish."""

import canned
import pytest

from agent.grounding import check, facts_of

pytestmark = pytest.mark.anyio
QUESTIONS = [
    ("", "What needs my attention this morning?"),
    ("", "Why was D-1042 flagged?"),
    ("explained", "Compared to what?"),
    ("explained", "How sure are you?"),
    ("explained", "Is it only this device or the whole model?"),
    ("incident", "What changed before this started?"),
    ("", "Did the 13.4 update hurt battery on the TC57s?"),
    ("incident", "Which devices will hit this next?"),
    ("", "Show me the worst 10 stores for Wi-Fi this week"),
    ("", "Chart battery for D-1042, last 14 days"),
    ("", "List anomalies of D-1042"),
    ("incidents", "open the second one"),
    ("", "show the baselines"),
    ("", "how is the detector set up"),
    ("", "show the distribution of scores"),
    ("", "Has anything drifted?"),
    ("", "Can I trust today's numbers?"),
    ("explained", "Have we seen this before?"),
    ("suggested", "What would that hide?"),
    ("", "list all suggestions"),
    ("applied", "Did it work?"),
    ("", "Undo yesterday's change"),
    ("", "fleet overview"),
    ("", "list runs"),
    ("", "select count(*) from telemetry"),
    ("incident", "Write two lines for the store manager"),
]


@pytest.mark.parametrize(("thread", "question"), QUESTIONS)
async def test_every_number_of_a_template_holds(thread, question, state, talk):
    """No template states a number, a name or a direction that its payload does not."""
    async with talk(state, thread=thread) as conversation:
        reply = await conversation.ask(question)
        zone = conversation.asking.zone
    said = "\n".join((question, *(str(made.args) for made in reply.calls)))
    assert reply.calls
    assert check(reply.text, facts_of((made.payload for made in reply.calls), zone, said)) == ()


async def test_a_note_for_a_store_has_two_lines_and_no_jargon(state, talk):
    """Counts and one action, in plain words."""
    async with talk(state, thread="incident") as conversation:
        reply = await conversation.ask("Write two lines for the store manager")
    assert len(reply.text.split("\n")) == 2
    assert "12 handhelds" in reply.text
    assert not any(word in reply.text for word in (canned.BATTERY, "z-score", "cohort", "baseline", "anomal"))


async def test_an_update_is_held_against_what_was_not_updated(state, talk):
    """Both rates, their numbers, and that it is no proof."""
    async with talk(state) as conversation:
        reply = await conversation.ask("Did the 13.4 update hurt battery on the TC57s?")
    assert "12 of 20 devices (60 %)" in reply.text
    assert "1 of 40 devices (2.5 %)" in reply.text
    assert "not proof" in reply.text
