"""axe-core finds nothing on any page, in any main state, in light and dark."""

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import chromium
from playwright.sync_api import Page, expect
from review_folder import make_folder
from review_server import finish, press, served, start_reading

pytestmark = pytest.mark.browser


def check(page: Page, state: str) -> None:
    """Fail with what axe found."""
    results = Axe().run(page)
    found = [
        f"{violation['id']} ({violation['impact']}): {node['html'][:160]}"
        for violation in results.response["violations"]
        for node in violation["nodes"]
    ]
    assert not found, f"{state}:\n" + "\n".join(found)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (820, 1180)])
def test_axe_finds_nothing(tmp_path: Path, scheme: str, width: int, height: int) -> None:
    folder = make_folder(tmp_path)
    with chromium() as browser, served(folder, "--images", tmp_path) as server:
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(server.address)
        check(page, "first page, empty")
        start_reading(page, server, "anna")
        check(page, "one study")
        press(page, "a")
        page.keyboard.press("o")
        check(page, "all labels open")
        page.keyboard.press("/")
        check(page, "jumping to a label")
        page.keyboard.press("Escape")
        for key, name in (("d", "definition"), ("?", "keys"), ("g", "go to"), ("r", "pause"), ("e", "same sentence")):
            page.keyboard.press(key)
            page.wait_for_selector("dialog[open]")
            check(page, name)
            page.keyboard.press("Escape")
        page.get_by_role("button", name="Settings").click()
        check(page, "settings")
        page.keyboard.press("Escape")
        page.keyboard.press("f")
        page.keyboard.press("w")
        page.wait_for_selector("dialog[open]")
        check(page, "wrong phrase")
        with page.expect_response("**/api/flag"):
            page.locator("#wrong").get_by_role("button", name="absent").first.click()
        page.wait_for_timeout(400)
        page.keyboard.press("Enter")
        page.wait_for_selector("dialog[open]")
        check(page, "finish so soon")
        page.keyboard.press("Escape")
        finish(page)
        finish(page)
        page.keyboard.press("[")
        expect(page.locator("#why")).to_contain_text("finished")
        check(page, "a finished study")
        start_reading(page, server, "ben", "second")
        finish(page)
        finish(page)
        expect(page.locator("h1")).to_contain_text("Thank you")
        check(page, "nothing left")
        start_reading(page, server, "cleo", "adjudicator")
        check(page, "adjudication")
        page.goto(server.address)
        expect(page.get_by_role("rowheader", name="anna, ben")).to_be_visible()
        check(page, "first page, filled")


def test_the_page_is_named_and_structured(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, 20)
    with chromium() as browser, served(folder) as server:
        page = browser.new_page()
        start_reading(page, server, "anna")
        assert page.locator("html").get_attribute("lang") == "en"
        assert page.locator("main").count() == 1
        assert page.locator("h1").count() == 1
        for dialog in page.locator("dialog").all():
            named = dialog.get_attribute("aria-labelledby")
            assert dialog.get_attribute("aria-label") or page.locator(f"#{named}").count() == 1


def test_every_control_is_reached_with_tab_and_shows_its_focus(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, 20)
    with chromium() as browser, served(folder, "--images", tmp_path) as server:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        start_reading(page, server, "anna")
        reached: set[str] = set()
        for _ in range(60):
            page.keyboard.press("Tab")
            reached.add(str(page.evaluate("document.activeElement.innerText || document.activeElement.id")))
            assert page.evaluate(
                """() => {
                    const style = getComputedStyle(document.activeElement);
                    const body = document.activeElement === document.body;
                    return body || style.outlineStyle !== "none" || style.boxShadow !== "none";
                }"""
            )
        assert {"Summary", "Undo", "Skip", "Mark", "Go to", "Pause", "Settings", "Keys", "Invert", "Reset"} <= reached
        assert any(name.startswith("Finish") for name in reached)
        assert "note" in reached
