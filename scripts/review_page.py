"""Drive the review page in Chromium on a simulated data set: screenshots for the docs, and the time from key to study.

    python scripts/review_page.py --screenshots docs/images
    python scripts/review_page.py --studies 20000 --write

Needs the extras `review` and `dev`, and Chromium.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from performance_page import machine, write_section
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from ltml_dataset.review.events import Event
from ltml_dataset.review.session import open_review

ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-gpu"]
SPLITS = ("train", "validation", "test")
WARM_UP, KEYS = 5, 200
AFTER_ANSWER = (
    "before => document.body.dataset.study !== before ? 'next' : document.querySelector('#ask[open]') ? "
    "document.querySelector('#ask-title').textContent : ''"
)


def main() -> None:
    """Simulate, build, serve, drive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=600, help="simulated studies, all of them under review")
    parser.add_argument("--screenshots", type=Path, help="folder for pictures of the main states")
    parser.add_argument("--write", action="store_true", help="write the timing into docs/performance.md")
    parser.add_argument(
        "--ahead",
        action="store_true",
        help="run server and browser ahead of other work of this machine (SCHED_RR); needs root",
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_data_set(folder, options.studies, pictures=options.screenshots is not None)
        if options.screenshots is None:
            read_twice(folder, options.studies)
        if options.ahead:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        with served(folder, options.studies) as address, browser() as chromium:
            if options.screenshots is not None:
                take_screenshots(chromium, address, options.screenshots)
                return
            rows = [("alone", time_keys(chromium, address))]
            with second_reader(address):
                rows.append(("while another reader searches and reloads the summary", time_keys(chromium, address)))
    table = ["| one reader | keys | median ms | 95 % within ms | longest ms |", "| --- | ---: | ---: | ---: | ---: |"]
    for what, took in rows:
        nearly_all = statistics.quantiles(took, n=20)[-1]
        table.append(f"| {what} | {len(took)} | {statistics.median(took):.0f} | {nearly_all:.0f} | {max(took):.0f} |")
    print("\n".join(table))
    if options.write:
        ahead, told = (" --ahead", ", ahead of other work of the machine") if options.ahead else ("", "")
        command = f"python scripts/review_page.py --studies {options.studies}{ahead} --write"
        text = (
            f"`{command}`: milliseconds from the key that finishes a study to the frame that shows the next one, "
            f"{options.studies:,} simulated studies in the queue, all read twice before; Chromium beside the "
            f"server{told}, {machine()}. The limit we set is 100 ms.\n\n" + "\n".join(table)
        )
        write_section("review", "Review page", text)


def run(*arguments: object) -> None:
    """One of our commands."""
    subprocess.run([sys.executable, "-m", "ltml_dataset.cli", *map(str, arguments)], check=True, capture_output=True)


def make_data_set(folder: Path, studies: int, *, pictures: bool) -> None:
    """A simulated release in `folder/release`, built in `folder/set`."""
    images = ["--images", 320] if pictures else []
    run("simulate", "--studies", studies, "--out", folder / "release", "--seed", 3, *images)
    reports = folder / "release" / "mimic-cxr-reports.zip"
    metadata = folder / "release" / "mimic-cxr-2.0.0-metadata.csv.gz"
    limits = ["--head", max(1, studies // 10), "--medium", max(1, studies // 40)]
    run("build", reports, "--metadata", metadata, "--out", folder / "set", *limits)


def read_twice(folder: Path, studies: int) -> None:
    """Decisions of two readers on every study, some of whose labels they set: what a long review has behind it."""
    random = Random(0)
    review = open_review(folder / "set", splits=SPLITS, negatives=negatives_for(studies))
    path = review.log.path
    path.parent.mkdir(parents=True)
    common = {"time": "2026-01-01T00:00:00.000+00:00", "lexicon": review.folder.lexicon_version, "tool": "simulated"}
    with path.open("w", encoding="ascii") as file:
        for reader, role in (("anna", "first"), ("ben", "second")):
            for item in review.queue.items:
                known = {"study": item.study, "reader": reader, "role": role, **common}
                label, state = random.choice(review.folder.labels), random.choice((1, 0, -1, None))
                events = [
                    Event(id=f"{reader}-{item.row}-1", kind="label", seconds=5.0, label=label, state=state, **known),
                    Event(
                        id=f"{reader}-{item.row}-2",
                        kind="done",
                        seconds=20.0,
                        machine=review.folder.machine(item.study),
                        asked=item.labels,
                        seen=review.folder.labels,
                        whole=item.in_sample,
                        **known,
                    ),
                ]
                file.writelines(event.line() + "\n" for event in events)


def negatives_for(studies: int) -> int:
    """Every study in the queue of a large set; a small one has all strata in its first pages."""
    return studies if studies > 5_000 else 30


@contextmanager
def served(folder: Path, studies: int) -> Iterator[str]:
    """The page over all splits, with every study in the queue; yields its address."""
    splits = [part for split in SPLITS for part in ("--split", split)]
    command = [
        sys.executable,
        "-m",
        "ltml_dataset.cli",
        "review",
        folder / "set",
        "--images",
        folder / "release",
        *splits,
    ]
    command += ["--negatives", negatives_for(studies), "--no-browser"]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        if found is None:
            raise SystemExit("the review page did not start")
        time.sleep(3)
        yield found.group(0)
    finally:
        process.kill()


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        raise SystemExit("Chromium was not found (Debian: apt install chromium)")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield chromium
        chromium.close()


def start(page: Page, address: str, reader: str, role: str = "first") -> None:
    """Sit down as a reader."""
    page.goto(address)
    page.get_by_label("Reader (name or initials)").fill(reader)
    page.get_by_label("Role").select_option(role)
    page.get_by_role("button", name="Start reading").click()
    page.wait_for_url("**/read?**")
    page.wait_for_selector("body[data-study]")
    page.wait_for_timeout(700)


def finish(page: Page) -> None:
    """Finish, whatever is asked."""
    before = page.evaluate("document.body.dataset.study")
    page.wait_for_timeout(410)  # a key that comes sooner decides nothing
    key = "Enter"
    while True:
        page.keyboard.press(key)
        if key == "o":
            page.wait_for_timeout(100)
        answer = page.wait_for_function(AFTER_ANSWER, arg=before).json_value()
        if answer == "next":
            return
        key = "o" if answer.startswith("Confirm") else "y"


WATCH = """
    addEventListener("keydown", (event) => { window.pressedAt = event.timeStamp; }, true);
    addEventListener("DOMContentLoaded", () => new MutationObserver(() => {
        const pressedAt = window.pressedAt;
        requestAnimationFrame(() => setTimeout(() => { window.tookMs = performance.now() - pressedAt; }));
    }).observe(document.body, {attributeFilter: ["data-study"]}));
"""
"""Milliseconds from a key to the frame that shows the next study, by the browser's own clock."""


def time_keys(chromium: Browser, address: str) -> list[float]:
    """Milliseconds of each of `KEYS` keys, after a warm-up."""
    page = chromium.new_page(viewport={"width": 1280, "height": 800})
    page.add_init_script(WATCH)
    start(page, address, "timing")
    took = []
    for _ in range(WARM_UP + KEYS):
        page.evaluate("window.tookMs = null")
        finish(page)
        took.append(float(page.wait_for_function("() => window.tookMs").json_value()))
    page.close()
    return took[WARM_UP:]


@contextmanager
def second_reader(address: str) -> Iterator[None]:
    """Somebody else at the same server, who reloads the summary and searches, over and over."""
    token = address.partition("token=")[2]
    root = address.partition("/?")[0]
    stop = threading.Event()

    def ask(path: str, body: bytes | None = None) -> str:
        mark = "&" if "?" in path else "?"
        request = urllib.request.Request(f"{root}{path}{mark}token={token}", data=body)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return str(answer.read().decode())

    def read() -> None:
        found = re.search(r'data-tab="(\w+)"', ask("/read?reader=other&role=first"))
        if found is None:
            raise SystemExit("the second reader found no page")
        while not stop.is_set():
            ask("/")
            ask("/api/search", json.dumps({"tab": found.group(1), "query": "pleural effusion"}).encode())

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def take_screenshots(chromium: Browser, address: str, folder: Path) -> None:
    """Pictures of the main states, with few colours so that the repository stays small."""
    folder.mkdir(parents=True, exist_ok=True)
    page = chromium.new_page(viewport={"width": 1280, "height": 800})

    def picture(shown: Page, name: str) -> None:
        path = folder / f"review-{name}.png"
        shown.wait_for_timeout(700)
        shown.screenshot(path=path)
        Image.open(path).convert("RGB").quantize(96, dither=Image.Dither.NONE).save(path, optimize=True)

    start(page, address, "anna")
    picture(page, "reading")
    for turn in range(6):
        if turn % 2 == 0:
            page.keyboard.press("a")
            page.wait_for_timeout(100)
        finish(page)
    page.keyboard.press("f")
    page.keyboard.press("w")
    picture(page, "wrong-phrase")
    page.keyboard.press("Escape")
    start(page, address, "ben", "second")
    for _ in range(4):
        finish(page)
    start(page, address, "cleo", "adjudicator")
    picture(page, "adjudication")
    page.goto(address)
    picture(page, "summary")
    wide = chromium.new_page(viewport={"width": 1920, "height": 1080})
    start(wide, address, "emil")
    picture(wide, "wide")
    tablet = chromium.new_context(
        viewport={"width": 820, "height": 1180}, color_scheme="dark", has_touch=True
    ).new_page()
    start(tablet, address, "dora")
    picture(tablet, "tablet")


if __name__ == "__main__":
    main()
