"""Read on a phone, in the dark, with the keyboard and with a screen reader."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
_WIDER = """() => [...document.querySelectorAll("body, .an, .an-card, .an-tiles, .an-row, .an-chip, .inline-plotly-container")]
  .filter(each => each.getBoundingClientRect().right > document.documentElement.clientWidth + 1).map(each => each.className)"""
_UNNAMED = """() => [...document.querySelectorAll(".an button, .an input, .an select")]
  .filter(each => !(each.getAttribute("aria-label") || each.innerText || each.labels?.length)).length"""
# relative luminance and contrast as the accessibility guidelines define them, against the nearest painted background
_FAINT = """least => {
  const rgb = text => (text.match(/[\\d.]+/g) || []).map(Number)
  const light = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0)
  const ground = node => { for (let each = node; each; each = each.parentElement) {
    const colour = rgb(getComputedStyle(each).backgroundColor)
    if (colour.length === 3 || colour[3] === 1) return colour }
    return [255, 255, 255] }
  const named = ".an :is(h2, h3, p, td, th, dt, dd), .an .an-note, .an-tile span, .js-plotly-plot :is(.gtitle, .xtick text)"
  const words = [...document.querySelectorAll(named)]
  return words.filter(each => each.textContent.trim() && each.getBoundingClientRect().width).map(each => {
    const style = getComputedStyle(each), drawn = each.closest("svg")
    const both = [light(rgb(drawn ? style.fill : style.color)), light(ground(each))].sort((one, other) => other - one)
    return [(both[0] + 0.05) / (both[1] + 0.05), each.textContent]
  }).filter(([contrast]) => contrast < least).map(String)
}"""


def test_a_phone_shows_all_without_scrolling_sideways(browsing: Any, chat: Any, pending: Callable[[], str]) -> None:
    """Dashboard, finding and approval fit into 390 points; words are large enough; wide tables scroll within their card."""
    suggestion = pending()
    watched = browsing(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    page = watched.page
    watched.open(chat)
    page.locator(".js-plotly-plot .main-svg").first.wait_for()
    watched.shot("phone_dashboard")
    watched.explain()
    watched.shot("phone_finding")
    watched.open_card(suggestion).get_by_role("button", name="Approve").wait_for()
    page.wait_for_timeout(1000)
    watched.shot("phone_approval")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.evaluate(_WIDER) == []
    sizes = page.evaluate(
        "[...document.querySelectorAll('.an *')].filter(each => each.childElementCount === 0 && each.innerText)"
        ".map(each => parseFloat(getComputedStyle(each).fontSize))"
    )
    assert min(sizes) >= 10


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_in_both_schemes(browsing: Any, chat: Any, scheme: str, expect: Any) -> None:
    """Cards and charts: a contrast of 4.5 and more, as the accessibility guidelines want it."""
    watched = browsing()
    watched.page.add_init_script(f"localStorage.setItem('vite-ui-theme', '{scheme}')")
    watched.open(chat)
    watched.page.locator(".js-plotly-plot .main-svg").nth(1).wait_for(state="attached")
    watched.page.wait_for_timeout(1000)
    watched.shot(f"scheme_{scheme}")
    expect(watched.page.locator(f"html.{scheme}")).to_be_attached()
    assert watched.page.evaluate(_FAINT, 4.5) == []


def test_the_local_user_meets_no_login(watched: Any, chat: Any) -> None:
    """One page is loaded, and nothing is asked; a cookie of an earlier chat, which holds no more, does not stand in the way."""
    opened: list[str] = []
    watched.page.on("framenavigated", lambda frame: opened.append(urlsplit(frame.url).path))
    watched.open(chat)
    assert set(opened) == {"/"}
    watched.page.context.add_cookies([{"name": "access_token", "value": "of.an.earlier", "url": chat.url}])
    watched.open(chat)
    assert set(opened) == {"/"}


def test_light_or_dark_as_the_system_is_until_the_person_chooses(browsing: Any, chat: Any, expect: Any) -> None:
    """A fresh browser follows its system; a choice outlives a reload."""
    watched = browsing(color_scheme="dark")
    watched.open(chat)
    expect(watched.page.locator("html.dark")).to_be_attached()
    watched.page.evaluate("localStorage.setItem('vite-ui-theme', 'light')")
    watched.open(chat)
    expect(watched.page.locator("html.light")).to_be_attached()


def test_keyboard_and_screen_reader_reach_everything(watched: Any, chat: Any, served: Any, expect: Any) -> None:
    """Every button and field has a name, charts say what they show, and an incident is explained without a mouse."""
    page = watched.page
    watched.open(chat)
    flagged = served.get("/overview")["detector"]["flagged"]
    said = f"n = {flagged['count']:,} of {flagged['of']:,} rows"
    expect(page.locator(f'.js-plotly-plot[aria-label*="{said}"]').first).to_be_attached()
    expect(page.locator(".js-plotly-plot:not([aria-label])")).to_have_count(0)
    button = page.locator(".an-row").get_by_role("button", name="Explain").first
    button.focus()
    outline = button.evaluate("each => getComputedStyle(each).outlineStyle")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Look into it")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    watched.in_thread()
    page.get_by_role("button", name="Expected until").focus()
    page.keyboard.press("Space")
    page.get_by_label("Expected until").last.wait_for()
    assert outline is not None
    assert page.evaluate(_UNNAMED) == 0


def test_a_table_sorts_pages_and_downloads(watched: Any, chat: Any, served: Any, expect: Any) -> None:
    """Sorted by a click on its head, ten rows a page, and the file has all rows in that order."""
    page = watched.page
    watched.open(chat)
    watched.command("review")
    table = page.get_by_label("Open incidents", exact=True)
    total = len(served.get("/incidents", limit=100)["incidents"])
    expect(table.locator("tbody tr")).to_have_count(min(total, 10))
    table.get_by_role("button", name="Sort by devices").click()
    expect(table.locator("th").nth(2)).to_have_attribute("aria-sort", "descending")
    counts = [int(each.inner_text()) for each in table.locator("tbody tr td:nth-child(3)").all()]
    assert counts == sorted(counts, reverse=True)
    if total > 10:
        table.get_by_role("button", name="Next page").click()
        table.get_by_text("page 2 of").wait_for()
    with page.expect_download() as downloading:
        table.get_by_role("button", name="Download").click()
    lines = Path(downloading.value.path()).read_text("utf-8").splitlines()
    assert len(lines) == total + 1
    devices = [int(line.split('","')[2]) for line in lines[1:]]
    assert devices == sorted(devices, reverse=True)
