"""Takes the screenshots of `scripts/screenshots`: the dashboard, an explained anomaly, and a suggestion before its decision."""

import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

_PATIENCE = 120_000


def main(url: str, folder: Path) -> None:
    """Walk the loop up to the decision, taking a picture at each station."""
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1080, "height": 1180})
        page.set_default_timeout(_PATIENCE)
        page.goto(url)
        page.get_by_text("Open incidents, worst first").wait_for()
        _taken(page, folder / "dashboard.png")
        page.locator(".an-row").get_by_role("button", name="Explain").first.click()
        page.get_by_text("What do you say?").wait_for()
        page.locator(".js-plotly-plot").nth(3).scroll_into_view_if_needed()
        _taken(page, folder / "finding.png")
        page.get_by_role("button", name="False alarm").click()
        page.get_by_label("Why").fill("access points were moved for the remodel")
        page.get_by_role("button", name="Record", exact=True).click()
        page.get_by_text("Recorded as").wait_for()
        page.get_by_role("button", name="Suggest adjustment").last.click()
        fewer = page.get_by_role("button", name="Suggest fewer anomalies")
        page.get_by_text("Your decision").or_(fewer).first.wait_for()
        if fewer.count():
            fewer.click()
        page.get_by_text("Your decision").first.wait_for()
        page.wait_for_timeout(3000)  # the card scrolls itself into view first
        page.get_by_role("button", name="Approve").first.scroll_into_view_if_needed()
        _taken(page, folder / "approval.png")
        browser.close()


def _taken(page: Any, path: Path) -> None:
    """A picture once the charts stand still."""
    page.locator(".js-plotly-plot .main-svg").last.wait_for(state="attached")
    page.mouse.move(5, 700)
    page.wait_for_timeout(3000)
    page.screenshot(path=path)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
