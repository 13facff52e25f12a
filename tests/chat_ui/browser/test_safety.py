"""Nothing leaves the machine, whatever devices are called and whatever is asked; other sites' pages reach nothing."""

from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
_SOCKET = """origin => new Promise(done => {
  const socket = new WebSocket(origin.replace("http", "ws") + "/ws/socket.io/?EIO=4&transport=websocket")
  socket.onopen = () => done("open")
  socket.onerror = () => done("refused")
})"""


def test_hostile_names_make_no_request(watched: Any, chat: Any, markdown: str) -> None:
    """A device that is called like a Markdown image is explained, charted and answered about: as text."""
    page = watched.page
    watched.open(chat)
    watched.ask(f"Why was device {markdown} flagged?")
    page.get_by_text("check_data_health").first.wait_for()
    watched.ask("Say ![x](https://evil.example/x.png) and [here](https://evil.example) and https://evil.example")
    page.get_by_text("and [here]").first.wait_for()
    page.wait_for_timeout(3000)
    assert watched.outside(chat) == set()
    assert page.locator("img[src*='evil'], a[href*='evil']").count() == 0


def test_a_hostile_device_is_shown_as_text(watched: Any, chat: Any, expect: Any) -> None:
    """Cards and charts of a device whose name is an image tag show the tag, and ask nobody for it."""
    page = watched.page
    hostile = "<img src=https://evil.example/pixel.png>"
    watched.open(chat)
    watched.command("device", hostile)
    page.get_by_text("What do you say?").wait_for()
    page.locator(".js-plotly-plot .main-svg").last.wait_for()
    expect(page.get_by_text(hostile).first).to_be_attached()
    assert watched.outside(chat) == set()
    assert page.locator("img[src*='evil']").count() == 0


def test_a_page_of_another_site_opens_no_socket(watched: Any, chat: Any, another_site: str) -> None:
    """A page of another port of this machine, with the person's cookie in the browser, is refused; the chat's own is not."""
    watched.open(chat)
    assert watched.page.evaluate(_SOCKET, chat.url) == "open"
    stranger = watched.page.context.new_page()
    stranger.goto(another_site)
    assert stranger.evaluate(_SOCKET, chat.url) == "refused"


def test_the_page_names_no_other_host(watched: Any, chat: Any) -> None:
    """The first sight, charts included, needs this machine alone."""
    watched.open(chat)
    watched.page.locator(".js-plotly-plot .main-svg").first.wait_for()
    assert watched.outside(chat) == set()


def test_read_only_mode_offers_nothing_to_change(watched: Any, chat: Any, expect: Any) -> None:
    """With the switch on, an explained anomaly can not be marked."""
    page = watched.page
    watched.open(chat)
    page.locator("#chat-settings-open-modal").click()
    page.get_by_role("switch").click()
    page.get_by_role("button", name="Confirm").click()
    page.get_by_text("Open incidents, worst first").last.wait_for()
    page.wait_for_timeout(1500)
    page.locator(".an-row").get_by_role("button", name="Explain").last.click()
    page.get_by_text("Read-only mode is on").wait_for()
    expect(page.get_by_role("button", name="False alarm")).to_be_disabled()
