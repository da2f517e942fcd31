"""Fingers: two zoom the image, one moves it once it is zoomed and scrolls the page before; targets are large enough."""

from pathlib import Path

import pytest
from browser import chromium
from playwright.sync_api import Browser, CDPSession, Page, expect
from review_folder import make_folder
from review_server import served, start_reading, study_on

pytestmark = pytest.mark.browser


def tablet(browser: Browser, width: int = 820, height: int = 1180) -> Page:
    """A page that is touched."""
    return browser.new_context(viewport={"width": width, "height": height}, has_touch=True, is_mobile=True).new_page()


def touch(session: CDPSession, kind: str, *points: tuple[float, float]) -> None:
    """Fingers that land (`touchStart`), move, or leave."""
    named = [{"x": x, "y": y, "id": finger} for finger, (x, y) in enumerate(points)]
    session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": named})


def swipe(page: Page, session: CDPSession, x: float, y: float, by: float) -> None:
    """One finger, up or down."""
    touch(session, "touchStart", (x, y))
    for step in range(1, 11):
        touch(session, "touchMove", (x, y + by * step / 10))
        page.wait_for_timeout(15)
    touch(session, "touchEnd")
    page.wait_for_timeout(200)


def transform(page: Page) -> list[float]:
    """Scale, and where the middle of the image has gone."""
    return list(
        page.evaluate(
            """() => {
                const m = new DOMMatrix(getComputedStyle(document.querySelector(".viewer img")).transform);
                return [m.a, m.e, m.f];
            }"""
        )
    )


def middle_of_viewer(page: Page) -> tuple[float, float]:
    box = page.locator(".viewer").bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_two_fingers_zoom_at_the_point_between_them(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, 20)
    with chromium() as browser, served(folder, "--images", tmp_path) as server:
        page = tablet(browser)
        start_reading(page, server, "anna")
        session = page.context.new_cdp_session(page)
        x, y = middle_of_viewer(page)
        touch(session, "touchStart", (x + 40, y), (x + 80, y))
        for apart in (30, 40, 50, 60):
            touch(session, "touchMove", (x + 60 - apart, y), (x + 60 + apart, y))
        touch(session, "touchEnd")
        scale, right, down = transform(page)
        assert scale == pytest.approx(3, rel=0.05)
        # What lay 60 px to the right of the middle still lies there.
        assert right == pytest.approx(60 - 60 * scale, abs=4)
        assert down == pytest.approx(0, abs=1)
        assert page.evaluate("visualViewport.scale") == pytest.approx(1), "the page itself was not zoomed"
        assert page.evaluate("scrollY") == 0


def test_one_finger_scrolls_the_page_over_an_image_that_fits_and_moves_one_that_was_zoomed(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, 20)
    with chromium() as browser, served(folder, "--images", tmp_path) as server:
        page = tablet(browser, 820, 700)
        start_reading(page, server, "anna")
        session = page.context.new_cdp_session(page)
        x, y = middle_of_viewer(page)
        swipe(page, session, x, y + 80, -150)
        assert page.evaluate("scrollY") > 80
        assert transform(page) == [1, 0, 0]
        page.evaluate("scrollTo(0, 0)")
        page.get_by_role("button", name="Zoom in").tap()
        scrolled = page.evaluate("scrollY")
        x, y = middle_of_viewer(page)
        swipe(page, session, x, y + 20, -40)
        assert page.evaluate("scrollY") == scrolled
        assert transform(page)[2] < -20
        page.get_by_role("button", name="Reset").tap()
        assert transform(page) == [1, 0, 0]


def test_a_study_is_read_from_top_to_bottom_by_finger(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, 20)
    with chromium() as browser, served(folder, "--images", tmp_path) as server:
        page = tablet(browser)
        start_reading(page, server, "anna")
        study = study_on(page)
        page.wait_for_timeout(500)
        finishing = page.get_by_role("button", name="Finish")
        expect(finishing).to_be_in_viewport()
        finishing.tap()
        # Labels below the fold were not on screen yet: the page leads there first.
        answer = page.wait_for_selector("#panel .label.unseen, #ask[open]")
        if answer.get_attribute("id") != "ask":
            expect(page.locator("#panel .label.unseen").first).to_be_in_viewport()
            page.wait_for_timeout(500)
            finishing.tap()
        while page.wait_for_selector("#ask[open]").text_content().find("so soon") < 0:  # type: ignore[union-attr]
            page.get_by_role("button", name="Only the labels to check").tap()
            page.wait_for_timeout(100)
        page.get_by_role("button", name="Finish anyway").tap()
        expect(page.locator("#place")).not_to_contain_text(study)
        assert page.evaluate("scrollY") == 0, "the next study starts at its top"


@pytest.mark.parametrize(("width", "height"), [(820, 1180), (1180, 820)])
def test_every_target_is_large_enough_for_a_finger(tmp_path: Path, width: int, height: int) -> None:
    folder = make_folder(tmp_path, 20)
    targets = "button, summary, select, a, input, textarea, .report mark, label.check, .found label"

    def check(page: Page, state: str) -> None:
        for target in page.locator(targets).all():
            if not target.is_visible():
                continue
            box = target.bounding_box()
            assert box
            is_box = target.get_attribute("type") == "checkbox"  # its label is the target
            assert is_box or min(box["width"], box["height"]) >= 32, f"{state}: {target.evaluate('e => e.outerHTML')}"

    with chromium() as browser, served(folder, "--images", tmp_path) as server:
        page = tablet(browser, width, height)
        page.goto(server.address)
        check(page, "first page")
        start_reading(page, server, "anna")
        page.keyboard.press("o")
        check(page, "one study")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "no sideways scrolling"
        for key in ("d", "?", "g", "r", "e"):
            page.keyboard.press(key)
            page.wait_for_selector("dialog[open]")
            check(page, key)
            page.keyboard.press("Escape")
        page.get_by_role("button", name="Settings").click()
        check(page, "settings")


def test_the_right_button_sets_window_and_level_and_the_wheel_zooms_where_it_points(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, 20)
    with chromium() as browser, served(folder, "--images", tmp_path) as server:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        start_reading(page, server, "anna")
        x, y = middle_of_viewer(page)
        page.mouse.move(x, y)
        page.mouse.down(button="right")
        page.mouse.move(x + 40, y - 30)
        page.mouse.up(button="right")
        assert page.get_by_label("Window").input_value() == "295"
        assert page.get_by_label("Level").input_value() == "98"
        page.mouse.move(x + 100, y)
        page.mouse.wheel(0, -100)
        scale, right, _ = transform(page)
        assert scale == pytest.approx(1.15)
        assert right == pytest.approx(100 - 115, abs=1)
        expect(page.locator("#said")).to_have_text("Zoom 115 %.")
        page.mouse.down()
        page.mouse.move(x + 5000, y)
        page.mouse.up()
        box = page.locator(".viewer").bounding_box()
        assert box
        assert transform(page)[1] <= 1.15 * box["width"] / 2 + 1, "the image cannot be lost"
