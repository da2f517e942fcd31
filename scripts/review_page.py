"""Drive the review page in Chromium on a simulated data set: screenshots for the docs, and the time from key to study.

    python scripts/review_page.py --screenshots docs/images
    python scripts/review_page.py --studies 20000 --write

Needs the extras `review` and `dev`, and Chromium.
"""

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from performance_page import machine, write_section
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-gpu"]
WARM_UP, KEYS = 5, 40
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
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_data_set(folder, options.studies, pictures=options.screenshots is not None)
        with served(folder, options.studies) as address, browser() as chromium:
            if options.screenshots is not None:
                take_screenshots(chromium, address, options.screenshots)
            seconds = time_keys(chromium, address)
    median = statistics.median(seconds) * 1000
    worst = max(seconds) * 1000
    line = f"key to next study: median {median:.0f} ms, longest {worst:.0f} ms over {len(seconds)} keys"
    print(f"{options.studies:,} studies: {line}")
    if options.write:
        text = (
            f"`python scripts/review_page.py --studies {options.studies} --write`: {options.studies:,} simulated "
            f"studies in the queue, Chromium beside the server, {machine()}.\n\n"
            f"{line[0].upper()}{line[1:]}; the limit we set is 100 ms."
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


@contextmanager
def served(folder: Path, studies: int) -> Iterator[str]:
    """The page over all splits, with every study in the queue; yields its address."""
    splits = ["--split", "train", "--split", "validation", "--split", "test"]
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
    command += ["--negatives", studies if studies > 5_000 else 30, "--no-browser"]
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


def finish(page: Page) -> float:
    """Finish, whatever is asked; seconds from the last key until the next study is on screen."""
    before = page.evaluate("document.body.dataset.study")
    page.wait_for_timeout(410)  # a key that comes sooner decides nothing
    key = "Enter"
    while True:
        started = time.perf_counter()
        page.keyboard.press(key)
        if key == "o":
            page.wait_for_timeout(100)
        answer = page.wait_for_function(AFTER_ANSWER, arg=before).json_value()
        if answer == "next":
            return time.perf_counter() - started
        key = "o" if answer.startswith("Confirm") else "y"


def time_keys(chromium: Browser, address: str) -> list[float]:
    """Seconds of each of `KEYS` keys, after a warm-up."""
    page = chromium.new_page(viewport={"width": 1280, "height": 800})
    start(page, address, "timing")
    return [finish(page) for _ in range(WARM_UP + KEYS)][WARM_UP:]


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
