"""What must never happen: a verdict that nobody gave, a key that means another, a decision lost, a script run."""

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from browser import chromium
from playwright.sync_api import Page, expect
from review_folder import make_folder
from review_server import finish, press, served, start_reading, study_on

from ltml_dataset.review.decisions import FILE_NAME, Judgement, read_judgements

pytestmark = pytest.mark.browser


def decided(folder: Path) -> list[Judgement]:
    """Judgements so far; none where nothing was ever written."""
    return read_judgements(folder) if (folder / FILE_NAME).exists() else []


def hold(page: Page, key: str, times: int = 40) -> None:
    """A key held down: presses that the keyboard repeats."""
    for _ in range(times):
        page.keyboard.down(key)
    page.keyboard.up(key)
    page.wait_for_timeout(200)


@pytest.mark.parametrize("key", ["Enter", "n", "s"])
def test_a_held_key_decides_at_most_once(tmp_path: Path, key: str) -> None:
    folder = make_folder(tmp_path)
    with chromium() as browser, served(folder) as server:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        start_reading(page, server, "anna")
        page.wait_for_timeout(500)
        hold(page, key)
        judgements = decided(tmp_path / "set-review")
        assert [judgement for judgement in judgements if judgement.is_done] == []
        assert len(judgements) == (1 if key == "s" else 0)
        if key != "s":
            expect(page.get_by_role("heading", name="Finish so soon?")).to_be_visible()


def test_holding_enter_on_the_finish_button_decides_nothing(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    with chromium() as browser, served(folder) as server:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        start_reading(page, server, "anna")
        page.wait_for_timeout(500)
        page.get_by_role("button", name="Finish").focus()
        hold(page, "Enter")
        hold(page, " ")
        assert decided(tmp_path / "set-review") == []


@pytest.mark.parametrize("pause_ms", [0, 30, 120])
def test_ten_quick_presses_finish_nothing(tmp_path: Path, pause_ms: int) -> None:
    folder = make_folder(tmp_path)
    with chromium() as browser, served(folder) as server:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        start_reading(page, server, "anna")
        page.wait_for_timeout(500)
        for _ in range(10):
            page.keyboard.press("Enter")
            page.wait_for_timeout(pause_ms)
        page.wait_for_timeout(200)
        assert decided(tmp_path / "set-review") == []


def test_quick_presses_after_a_decision_never_decide_on_the_next_study(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    with chromium() as browser, served(folder) as server:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        start_reading(page, server, "anna")
        first = study_on(page)
        page.wait_for_timeout(500)
        for key in ("Enter", "y", "Enter", "y", "p", "Enter", "y"):
            page.keyboard.press(key)
            if key == "Enter":
                page.wait_for_timeout(60)
        page.wait_for_timeout(300)
        done = [judgement for judgement in decided(tmp_path / "set-review") if judgement.is_done]
        assert [judgement.study for judgement in done] == [first]
        assert done[0].hasty, "finished sooner than it can be read, after a question"


def test_labels_that_matter_must_have_been_on_screen(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    with chromium() as browser, served(folder) as server:
        page = browser.new_page(viewport={"width": 1280, "height": 190})
        start_reading(page, server, "anna")
        page.wait_for_timeout(500)
        page.keyboard.press("Enter")
        expect(page.locator("#said")).to_contain_text("had not been on screen")
        expect(page.locator("#panel .label.unseen").first).to_be_visible()
        assert decided(tmp_path / "set-review") == []
        for _ in range(4):
            page.keyboard.press("j")
            page.wait_for_timeout(100)
        finish(page)
        (judgement,) = [one for one in decided(tmp_path / "set-review") if one.is_done]
        assert judgement.seen >= set(judgement.machine)


def test_keys_right_after_a_dialog_mean_what_they_always_mean(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    with chromium() as browser, served(folder) as server:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        start_reading(page, server, "anna")
        study = study_on(page)
        focused = page.locator("#panel .label:focus-within")
        page.wait_for_timeout(500)
        for opening in ("?", "d", "g", "r"):
            page.keyboard.press(opening)
            page.wait_for_selector("dialog[open]")
            page.keyboard.press("Escape")
            for key in ("/", *"pneumo", "Enter"):
                page.keyboard.press(key)
            expect(focused).to_have_attribute("data-label", "Pneumothorax")
            page.keyboard.press("/")
            page.keyboard.type("emb")
            page.keyboard.press("Enter")
            expect(focused).to_have_attribute("data-label", "Embolus")
        assert study_on(page) == study
        assert decided(tmp_path / "set-review") == []


def test_keys_inside_a_dialog_never_reach_the_study(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    with chromium() as browser, served(folder) as server:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        start_reading(page, server, "anna")
        page.wait_for_timeout(500)
        for opening in ("?", "d"):
            page.keyboard.press(opening)
            # Before the dialog of `d` is there and after.
            for key in "pauxnszb":
                page.keyboard.press(key)
            page.wait_for_selector("dialog[open]")
            for key in "pauxnszb":
                page.keyboard.press(key)
            page.keyboard.press("Escape")
        assert decided(tmp_path / "set-review") == []


def test_the_second_tab_is_told_what_the_first_decided(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    with chromium() as browser, served(folder) as server:
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        here, there = context.new_page(), context.new_page()
        for page in (here, there):
            start_reading(page, server, "anna")
        study = study_on(here)
        assert study_on(there) == study
        press(here, "a")
        finish(here)
        there.wait_for_timeout(500)
        press(there, "p")
        expect(there.locator("#said")).to_contain_text(
            "You finished this study in another tab or window: Embolus absent"
        )
        assert study_on(there) == study
        row = there.locator('[data-label="Embolus"] [aria-checked="true"]')
        expect(row).to_have_attribute("data-state", "absent")
        there.keyboard.press("p")
        there.wait_for_timeout(100)
        expect(row).to_have_attribute("data-state", "absent")
        (judgement,) = decided(tmp_path / "set-review")
        assert [event.kind for event in judgement.events] == ["label", "done"]
        assert judgement.state_of("Embolus") == 0
        there.keyboard.press("Enter")
        expect(there.locator("#place")).not_to_contain_text(study)
        assert study_on(there) == study_on(here)
        assert len(decided(tmp_path / "set-review")) == 1


def test_odd_characters_and_foreign_lines_lose_nothing(tmp_path: Path) -> None:
    folder, review_dir = make_folder(tmp_path), tmp_path / "set-review"
    note = "one\u2028two\u2029three\u0085four"
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        with served(folder) as server:
            start_reading(page, server, "anna")
            page.get_by_label("Note (t)").fill(note)
            with page.expect_response("**/api/note"):
                page.keyboard.press("Escape")
            press(page, "u")
        path = review_dir / FILE_NAME
        lines = path.read_bytes().split(b"\n")
        values = json.loads(lines[0])
        values |= {"id": "older-1", "note": note + "!", "seconds": None}
        path.write_bytes(
            json.dumps(values, ensure_ascii=False).encode() + b"\n" + path.read_bytes() + b"{}\nnot ours\n"
        )
        with served(folder) as server:
            start_reading(page, server, "anna")
            expect(page.get_by_label("Note (t)")).to_have_value(note)
            expect(page.locator('[data-label="Embolus"] [aria-checked="true"]')).to_have_attribute(
                "data-state", "uncertain"
            )
            page.goto(server.address)
            expect(page.get_by_text("2 lines of decisions.jsonl are no decisions of ours")).to_be_visible()


def test_hostile_ids_and_names_stay_text(tmp_path: Path) -> None:
    evil = "<img src=x onerror=top.evil=1>\"'><script>top.evil=2</script>/../%2e&#x27;"
    folder = make_folder(tmp_path, 30, study_id=lambda number: f"{number}{evil}")
    with chromium() as browser, served(folder, "--images", tmp_path) as server:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        start_reading(page, server, evil)
        study = study_on(page)
        assert study.endswith(evil)
        expect(page.locator("h1")).to_have_text(f"Study {study}")
        page.wait_for_function("() => document.querySelector('.viewer img').naturalWidth > 0")
        page.keyboard.press("t")
        page.keyboard.type(evil)
        page.keyboard.press("Escape")
        page.keyboard.press("f")
        page.keyboard.press("w")
        with page.expect_response("**/api/flag"):
            page.locator("#wrong").get_by_role("button", name="absent").first.click()
        page.keyboard.press("g")
        page.keyboard.type(evil)
        expect(page.locator("#goto-list button").first).to_contain_text(evil)
        page.keyboard.press("Escape")
        finish(page)
        assert evil in decided(tmp_path / "set-review")[0].reader
        page.goto(server.address)
        expect(page.get_by_role("rowheader", name=evil)).to_be_visible()
        assert page.evaluate("[window.evil, document.querySelectorAll('script').length]") == [None, 1]
        assert errors == []


def test_the_browser_refuses_a_script_that_slips_in(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, 20)
    with chromium() as browser, served(folder) as server:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        start_reading(page, server, "anna")
        page.evaluate(
            """() => {
                const script = document.createElement("script");
                script.textContent = "window.evil = 1";
                document.body.append(script);
                document.body.insertAdjacentHTML("beforeend", "<img src=data:, onerror='window.evil = 2'>");
            }"""
        )
        page.wait_for_timeout(300)
        assert page.evaluate("window.evil") is None


def test_the_token_leaves_the_address_bar_and_the_history(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, 20)
    with chromium() as browser, served(folder) as server:
        page = browser.new_page()
        page.goto(server.address)
        page.wait_for_function("() => !location.href.includes('token')")
        start_reading(page, server, "anna")
        assert "token" not in page.url
        page.go_back()
        page.wait_for_url(server.root + "/")
        assert "token" not in page.url
        (cookie,) = page.context.cookies()
        assert cookie["name"] == f"ltml_review_{urlsplit(server.root).port}"
        assert cookie["value"] not in server.address
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "Strict"


def test_a_key_that_could_not_be_written_does_not_look_as_if_it_were(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, 20)
    with chromium() as browser, served(folder) as server:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        start_reading(page, server, "anna")
        server.kill()
        page.keyboard.press("a")
        expect(page.locator("#said")).to_contain_text("The server does not answer")
        expect(page.locator('[data-label="Embolus"] [aria-checked="true"]')).to_have_attribute("data-state", "present")
