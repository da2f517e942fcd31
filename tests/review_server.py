"""The review command in a process of its own, and a reader's hands at its page."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page


class Server:
    """The command, and the address that it printed."""

    def __init__(self, folder: Path, *options: object) -> None:
        command = [sys.executable, "-m", "ltml_dataset.cli", "review", str(folder), "--no-browser"]
        if "--negatives" not in options:
            command += ["--negatives", "10"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = subprocess.Popen(
            command + [str(option) for option in options],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, line + self.process.stdout.read()
        self.address = found.group(0)
        self.root = self.address.split("/?")[0]
        for _ in range(100):
            try:
                urllib.request.urlopen(self.address, timeout=5).close()
                return
            except OSError:
                time.sleep(0.1)
        raise AssertionError(f"the page did not come up: {self.kill()}")

    def kill(self) -> str:
        """kill -9, and what the process had printed."""
        self.process.send_signal(signal.SIGKILL)
        return self.process.communicate()[0]


@contextmanager
def served(folder: Path, *options: object) -> Iterator[Server]:
    """The page of a folder, with more options of the command."""
    server = Server(folder, *options)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.kill()


def start_reading(page: Page, server: Server, reader: str, role: str = "first", **filters: str) -> None:
    """Fill in the first page and wait for a study."""
    page.goto(server.address)
    page.get_by_label("Reader (name or initials)").fill(reader)
    page.get_by_label("Role").select_option(role)
    for name, value in filters.items():
        page.get_by_label(name.replace("_", " ").capitalize()).select_option(value)
    page.get_by_role("button", name="Start reading").click()
    page.wait_for_url("**/read?**")
    page.wait_for_selector("body[data-study], body[data-finished]")


def study_on(page: Page) -> str:
    """The study on screen."""
    return str(page.evaluate("document.body.dataset.study"))


AFTER_ANSWER = (
    "before => document.body.dataset.study !== before ? 'next' : document.querySelector('#ask[open]') ? "
    "document.querySelector('#ask-title').textContent : ''"
)


def finish(page: Page, *, whole: bool = False) -> float:
    """Finish the study, whatever is asked; milliseconds from the last key to the next study on screen."""
    before = study_on(page)
    page.wait_for_timeout(410)  # a key that comes sooner decides nothing
    key = "Shift+Enter" if whole else "Enter"
    for _ in range(4):
        started = time.perf_counter()
        page.keyboard.press(key)
        if key == "o":
            page.wait_for_timeout(100)
        answer = page.wait_for_function(AFTER_ANSWER, arg=before).json_value()
        if answer == "next":
            return (time.perf_counter() - started) * 1000
        key = "o" if answer.startswith("Confirm") else "y"
    raise AssertionError("the study was not finished")


def press(page: Page, key: str) -> None:
    """A key that changes a label, until the server has it on disk."""
    with page.expect_response("**/api/set"):
        page.keyboard.press(key)
