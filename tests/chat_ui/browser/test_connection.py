"""A connection that is lost and comes back: what was shown, what was said meanwhile, and what is asked next."""

from dataclasses import dataclass, field
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@dataclass
class Line:
    """The page's connection, to be cut; at the first message that holds `until`, if that is said, it cuts itself."""

    until: str = ""
    open: list[Any] = field(default_factory=list)
    made: int = 0
    passed: list[str] = field(default_factory=list)

    def cut(self) -> None:
        """Close both ends."""
        for end in self.open:
            end.close()
        self.open.clear()
        self.passed.clear()

    def wait_for(self, word: str, watched: Any, times: int = 1) -> None:
        """Wait until the page was sent that, so often, over the connection that it has now."""
        for _ in range(600):
            if self.open and sum(word in each for each in self.passed) >= times:
                return
            watched.page.wait_for_timeout(100)
        pytest.fail(f"the page was not sent {word!r} {times} times, but {[each[:40] for each in self.passed]}")

    def __call__(self, here: Any) -> None:
        """Between a page and the chat."""
        there = here.connect_to_server()
        self.made += 1
        self.passed.clear()
        self.open += [here, there]

        def pass_on(message: str | bytes) -> None:
            here.send(message)
            if here in self.open:
                self.passed.append(str(message))
            if self.until and self.until in str(message):
                self.until = ""
                self.cut()

        there.on_message(pass_on)


def _between(watched: Any, line: Line) -> Line:
    watched.page.route_web_socket("**/ws/socket.io/**", line)
    return line


@pytest.mark.parametrize("until", ["task_start", "set_commands", '"Dashboard"'])
def test_a_page_that_connects_twice_while_it_loads_has_one_dashboard(watched: Any, chat: Any, expect: Any, until: str) -> None:
    """As happens on a busy machine: the first connection is gone before, or while, the dashboard is drawn."""
    line = _between(watched, Line(until))
    watched.open(chat)
    watched.page.locator(".js-plotly-plot .main-svg").nth(1).wait_for(state="attached")
    assert line.made >= 2  # a busy page has done it by itself as well
    assert not line.until
    expect(watched.page.get_by_label("Fleet dashboard")).to_have_count(1)
    assert "7,680 rows" in watched.answer("Which stores are worst?")


def test_a_question_after_the_connection_was_lost_is_answered(watched: Any, chat: Any, expect: Any) -> None:
    """Before anything was said, and in a thread, whose words and cards are still there."""
    line = _between(watched, Line())
    watched.open(chat)
    line.cut()
    line.wait_for("Dashboard", watched)
    first = watched.answer("What needs my attention this morning?")
    line.cut()
    line.wait_for('42["resume_thread"', watched, times=2)
    assert "7,680 rows" in watched.answer("Which stores are worst?")
    said = watched.page.locator("[data-step-type=assistant_message]")
    expect(said.get_by_text(first.splitlines()[0]).first).to_be_visible()


def test_settings_outlive_the_connection(watched: Any, chat: Any, expect: Any) -> None:
    """Read-only mode stays on, and the settings say so."""
    page, line = watched.page, _between(watched, Line())
    watched.open(chat)
    page.locator("#chat-settings-open-modal").click()
    page.get_by_role("switch").click()
    page.get_by_role("button", name="Confirm").click()
    watched.answer("What needs my attention this morning?")
    line.cut()
    line.wait_for('42["chat_settings"', watched)
    page.locator("#chat-settings-open-modal").click()
    expect(page.get_by_role("switch")).to_be_checked()
    page.keyboard.press("Escape")
    watched.explain()
    page.get_by_text("Read-only mode is on").wait_for()


@pytest.mark.parametrize("until", ["task_start", "stream_start"])
def test_an_answer_that_comes_meanwhile_is_there_afterwards(watched: Any, chat: Any, expect: Any, until: str) -> None:
    """The connection is lost while the answer is made: it is shown when it is back, without asking again."""
    line = _between(watched, Line())
    watched.open(chat)
    watched.answer("What needs my attention this morning?")
    line.until = until
    watched.ask("Which stores are worst?")
    # what Chainlit has read before the answer came is drawn first, the thread as it is stored after that
    line.wait_for('42["resume_thread"', watched, times=2)
    expect(watched.page.get_by_role("heading", name="Groups by store")).to_be_visible()
    asked = watched.page.locator("[data-step-type=user_message]", has_text="Which stores are worst?")
    below = "xpath=./following::*[@data-step-type='assistant_message'] | ./descendant::*[@data-step-type='assistant_message']"
    expect(asked.locator(below).filter(has_text="Window:").first).to_be_visible()
