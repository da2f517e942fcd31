"""The same afternoon at the keyboard: what two readers and an adjudicator typed stands in the data set, and no more."""

import os
import random
from pathlib import Path

import pytest
from browser import chromium
from playwright.sync_api import Page
from review_folder import LABELS, make_folder
from review_server import Server, served, start_reading, study_on

from ltml_dataset.review.consensus import resolve
from ltml_dataset.review.decisions import read_judgements
from ltml_dataset.review.events import State
from ltml_dataset.review.session import open_review

pytestmark = [pytest.mark.browser, pytest.mark.slow]

N_STUDIES = int(os.environ.get("LTML_AFTERNOON", 300 if os.environ.get("CI") else 60))
"""All 300 in CI; it takes minutes."""
KEYS: dict[str, State] = {"p": 1, "a": 0, "u": -1, "x": None}

ON_SCREEN = "before => document.body.dataset.study !== before || document.querySelector('#ask[open]') !== null"


def set_label(page: Page, label: str, key: str) -> None:
    """Jump to a label by its name, and set it."""
    page.keyboard.press("/")
    page.keyboard.type(label)
    page.keyboard.press("Enter")
    with page.expect_response("**/api/set"):
        page.keyboard.press(key)


def finish(page: Page, *, whole: bool) -> None:
    """Finish the study, whatever is asked."""
    before = study_on(page)
    page.clock.run_for(500)
    page.keyboard.press("Shift+Enter" if whole else "Enter")
    for _ in range(3):
        page.wait_for_function(ON_SCREEN, arg=before)
        if study_on(page) != before:
            return
        title = page.locator("#ask-title").inner_text()
        page.clock.run_for(500)
        page.keyboard.press("o" if title.startswith("Confirm") else "y")
    raise AssertionError("the study was not finished")


def read_all(page: Page, server: Server, reader: str, role: str) -> tuple[dict[str, dict[str, State]], set[str]]:
    """Type random decisions into every study; what was typed, and the studies whose report was confirmed whole."""
    choice = random.Random(reader)
    start_reading(page, server, reader, role)
    typed: dict[str, dict[str, State]] = {}
    whole: set[str] = set()
    while (study := page.evaluate("document.body.dataset.study ?? null")) is not None:
        assert study not in typed, "no study is shown twice"
        typed[study] = {}
        if role == "adjudicator":
            labels = page.locator(".label.differs").evaluate_all("rows => rows.map(row => row.dataset.label)")
        else:
            labels = choice.sample(LABELS, choice.choice((0, 0, 1, 2)))
        for label in labels:
            key = choice.choice(list(KEYS))
            set_label(page, label, key)
            typed[study][label] = KEYS[key]
            if role != "adjudicator" and choice.random() < 0.2:
                with page.expect_response("**/api/undo"):
                    page.keyboard.press("z")
                del typed[study][label]
                page.wait_for_function("() => document.querySelector('#said').textContent.startsWith('Undone')")
        is_whole = choice.random() < 0.3
        if is_whole:
            whole.add(study)
        finish(page, whole=is_whole)
    return typed, whole


def test_what_was_typed_at_the_page_comes_back(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, N_STUDIES, with_images=False)
    with chromium() as browser, served(folder, "--negatives", N_STUDIES) as server:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.clock.install()
        anna, anna_whole = read_all(page, server, "anna", "first")
        ben, ben_whole = read_all(page, server, "ben", "second")
        cleo, _ = read_all(page, server, "cleo", "adjudicator")
    assert len(anna) == len(ben) == N_STUDIES
    review = open_review(folder, negatives=N_STUDIES)
    judgements = read_judgements(tmp_path / "set-review")
    for reader, typed in (("anna", anna), ("ben", ben), ("cleo", cleo)):
        assert {one.study: one.changed for one in judgements if one.reader == reader} == typed
        assert all(one.is_done for one in judgements)
    verdicts = resolve(judgements, review.folder.labels)
    asked = {item.study: item.labels for item in review.queue.items}
    n_adjudicated = 0
    for study, verdict in verdicts.items():
        machine = review.folder.machine(study)
        assert verdict.open_labels == []
        for label in review.folder.labels:
            one, other = (typed[study].get(label, machine.get(label)) for typed in (anna, ben))
            if (one or 0) != (other or 0):
                n_adjudicated += 1
                assert (verdict.states[label], verdict.sources[label]) == (cleo[study][label], "adjudicated")
            elif label in {*machine, *asked[study], *anna[study], *ben[study]} or study in anna_whole | ben_whole:
                assert (verdict.states[label] or 0) == (one or 0)
            else:
                assert study in cleo or label not in verdict.states
    assert n_adjudicated > N_STUDIES / 6
