"""What a hostile examiner tries at the page: odd notes and names, keys after every dialog, tabs that race."""

import json
from pathlib import Path

import pytest
import review_folder
from axe_playwright_python.sync_playwright import Axe
from browser import chromium
from playwright.sync_api import Page, expect
from review_folder import make_folder
from review_server import finish, press, served, start_reading, study_on

from ltml_dataset.cli import main
from ltml_dataset.review.decisions import FILE_NAME, read_judgements

pytestmark = pytest.mark.browser


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['html'][:160]}" for one in found for node in one["nodes"]]


@pytest.mark.parametrize(
    "note", ["\ud83d half a pair", "\x00\x1b[31m \u202e\ufeff", "</textarea><script>1</script>", "\r\n\r"]
)
def test_any_note_is_kept_and_read_back(tmp_path: Path, note: str) -> None:
    folder = make_folder(tmp_path, 20)
    with chromium() as browser, served(folder) as server:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        start_reading(page, server, "anna")
        study = study_on(page)
        as_script = json.dumps(note)  # half of a pair cannot be typed through the driver
        with page.expect_response("**/api/note"):
            page.evaluate(
                f"() => {{ const n = document.querySelector('#note'); n.focus(); n.value = {as_script}; n.blur(); }}"
            )
        shown = page.evaluate("() => document.querySelector('#note').value")
        page.reload()
        page.wait_for_selector("body[data-study]")
        assert study_on(page) == study
        assert page.evaluate("() => document.querySelector('#note').value") == shown
    assert main(["review", str(folder), "--summary"]) == 0
    assert main(["review", str(folder), "--export-csv"]) == 0
    assert len((tmp_path / "set-review" / "notes.csv").read_text(encoding="utf-8")) > 60


def test_keys_after_every_dialog_and_the_finder_mean_what_they_always_mean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Too long to have been read, however slow this machine is: every attempt to finish is asked about.
    monkeypatch.setattr(review_folder, "INDICATION", review_folder.INDICATION * 20)
    folder = make_folder(tmp_path)
    with chromium() as browser, served(folder) as server:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        start_reading(page, server, "anna")
        study = study_on(page)
        page.wait_for_timeout(500)
        focused = page.locator("#panel .label:focus-within")

        def open_settings() -> None:
            page.locator('[data-do="settings"]').click()

        def open_wrong() -> None:
            page.keyboard.press("f")
            page.keyboard.press("w")

        def open_same() -> None:
            page.keyboard.press("e")

        def open_ask() -> None:
            page.keyboard.press("Enter")

        for opened in (open_settings, open_wrong, open_same, open_ask):
            opened()
            page.wait_for_selector("dialog[open]")
            page.keyboard.press("Escape")
            for key in ("/", *"pneumo", "Enter", "/", *"emb", "Enter"):
                page.keyboard.press(key)
            expect(focused).to_have_attribute("data-label", "Embolus")
            assert page.locator("dialog[open]").count() == 0
        page.keyboard.press("/")
        page.keyboard.press("Escape")
        page.keyboard.press("n")
        expect(page.locator("#ask")).to_be_visible()
        for key in ("n", "p", "s", "z", "]"):
            page.keyboard.press(key)
        page.keyboard.press("Escape")
        assert study_on(page) == study
        assert not (tmp_path / "set-review" / FILE_NAME).exists(), "nothing was decided"


def test_a_decision_is_not_repeated_where_another_tab_has_finished(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    with chromium() as browser, served(folder) as server:
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        here, there = context.new_page(), context.new_page()
        start_reading(here, server, "anna")
        press(here, "u")
        here.keyboard.press("e")
        here.wait_for_selector("#same-list input")
        listed = here.locator("#same-list input").first.get_attribute("value")
        n_listed = here.locator("#same-list input").count()
        there.goto(f"{server.root}/read?reader=anna&study={listed}")
        there.wait_for_selector("body[data-study]")
        finish(there)
        here.bring_to_front()
        here.get_by_role("button", name="Set in the chosen studies").click()
        expect(here.locator("#said")).to_contain_text("closed meanwhile")
        judgements = {one.study: one for one in read_judgements(tmp_path / "set-review")}
        assert judgements[str(listed)].changed == {}
        here.keyboard.press("e")
        here.wait_for_selector("#same-list input")
        assert here.locator("#same-list input").count() == n_listed - 1


def test_messages_never_stand_on_the_buttons_that_finish(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, 20)
    with chromium() as browser, served(folder, "--images", tmp_path) as server:
        for width, height in ((1280, 800), (1920, 1080), (1024, 768), (820, 1180)):
            page = browser.new_page(viewport={"width": width, "height": height})
            start_reading(page, server, f"r{width}")
            page.evaluate("() => { document.querySelector('#said').textContent = 'word '.repeat(60); }")
            said, buttons = page.locator("#said").bounding_box(), page.locator(".finish").bounding_box()
            assert said
            assert buttons
            beside = said["x"] + said["width"] <= buttons["x"]
            above = said["y"] + said["height"] <= buttons["y"]
            assert beside or above, (width, said, buttons)
            page.close()


def test_one_reader_has_one_name_however_it_is_spaced(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, 20)
    with chromium() as browser, served(folder) as server:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(server.address)
        for name in ("Anna%20B", "%20Anna%20%20B%0D%0A", "Anna%E2%80%A8B"):
            page.goto(f"{server.root}/read?reader={name}&role=first")
            page.wait_for_selector("body[data-study]")
            press(page, "a")
    assert {one.reader for one in read_judgements(tmp_path / "set-review")} == {"Anna B"}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_the_theme_that_a_reader_chose(tmp_path: Path, theme: str) -> None:
    folder = make_folder(tmp_path, 20)
    with chromium() as browser, served(folder, "--images", tmp_path) as server:
        other = "dark" if theme == "light" else "light"
        context = browser.new_context(viewport={"width": 1920, "height": 1080}, color_scheme=other)  # type: ignore[arg-type]
        page = context.new_page()
        start_reading(page, server, "anna")
        page.get_by_role("button", name="Settings").click()
        with page.expect_response("**/api/settings"):
            page.get_by_label("Colours").select_option(theme)
        assert violations(page) == []
        page.keyboard.press("Escape")
        press(page, "u")
        page.keyboard.press("o")
        assert violations(page) == []
        page.goto(f"{server.root}/read?reader=&role=first")
        expect(page.get_by_role("alert")).to_be_visible()
        assert violations(page) == []


def test_what_a_key_did_to_the_image_is_said(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, 20)
    with chromium() as browser, served(folder, "--images", tmp_path) as server:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        start_reading(page, server, "anna")
        for key, words in (("i", "Inverted."), ("+", "Zoom 125 %."), ("0", "The image is as it was.")):
            page.keyboard.press(key)
            expect(page.locator("#said")).to_have_text(words)
