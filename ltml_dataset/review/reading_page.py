"""One study a screen."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nicegui import events, ui

from ltml_dataset.errors import UserError
from ltml_dataset.review.desk import STATE_WORDS, Desk
from ltml_dataset.review.handbook import definition_html
from ltml_dataset.review.render import STATES, panel_html, report_html
from ltml_dataset.review.session import Review

_STATE_OF_CLASS = {name: code for code, name, _, _ in STATES}


class ReadingPage:
    """One open page: elements made once, contents replaced for every study."""

    def __init__(self, review: Review, desk: Desk) -> None:
        """Build the page and show the study at the desk's place."""
        self.review, self.desk = review, desk
        self.help = _help_dialog()
        with ui.row().classes("bar"):
            ui.link("Summary", "/").props('aria-label="Back to the summary"')
            self.place = ui.label().classes("place").props('role="status" aria-live="polite"')
            ui.space()
            for word, key, handler in (
                ("Undo", "z", self._undo),
                ("Skip", "s", self._skip),
                ("Next", "Enter", self._finish),
            ):
                ui.button(word, on_click=handler).props(f'dense flat aria-keyshortcuts="{key}" title="{word} ({key})"')
            ui.button("Keys", on_click=self._open_help).props('dense flat title="Keys (?)"')
            ui.button(icon="contrast", on_click=self._toggle_dark).props('dense flat round aria-label="Light or dark"')
        with ui.element("main").classes("desk"):
            with ui.element("div").classes("left"):
                self.report = ui.html("", sanitize=False, tag="article").classes("report").props('aria-label="Report"')
                self.images = ui.html("", sanitize=False).classes("images")
            with ui.element("div").classes("right"):
                self.panel = ui.html("", sanitize=False).classes("panel").props('id="panel" aria-label="Labels"')
                self.note = ui.textarea("Note (t)").classes("note").props("autogrow dense outlined")
                self.note.on("blur", self._save_note)
        self.definition = ui.dialog()
        self.flagging = ui.dialog()
        handlers: dict[str, Callable[..., None]] = {
            "ltml_set": self._set_state,
            "ltml_finish": self._finish,
            "ltml_skip": self._skip,
            "ltml_undo": self._undo,
            "ltml_define": self._define,
            "ltml_flag": self._flag,
            "ltml_help": self._open_help,
        }
        for name, handler in handlers.items():
            ui.on(name, handler)
        self._show()

    def _show(self) -> None:
        """Put the study at the desk's place on screen."""
        item, n_items = self.desk.item, len(self.desk.items)
        finished = self.desk.n_finished()
        self.note.visible = item is not None
        if item is None:
            self.place.text = f"All {n_items:,} studies of this queue are finished. Thank you."
            self.report.content = self.images.content = self.panel.content = ""
            self._tell_browser({"study": None})
            return
        folder, judgement = self.review.folder, self.desk.judgement
        why = f"{item.stratum}: {', '.join(item.labels)}" if item.labels else item.stratum
        self.place.text = f"Study {item.study} · {finished:,} of {n_items:,} finished · {why}"
        self.report.content = report_html(folder.passages(item.study), folder.marks(item.study))
        self.images.content = _images_html(item.study, folder.images(item.study))
        self.panel.content = panel_html(self.desk.rows())
        self.note.value = judgement.note
        self._tell_browser({"study": item.study, "focus": self.desk.focus_label()})

    def _tell_browser(self, shown: dict[str, Any]) -> None:
        ui.run_javascript(f"ltmlShow({json.dumps(shown)})")

    def _set_state(self, event: events.GenericEventArguments) -> None:
        args = event.args
        with _told():
            if args.get("state") not in _STATE_OF_CLASS:
                raise UserError("that is not a state.")
            self.desk.set_state(str(args.get("study")), str(args.get("label")), _STATE_OF_CLASS[args["state"]])

    def _finish(self) -> None:
        with _told():
            self._save_note()
            self.desk.finish(self._study())
        self._show()

    def _skip(self) -> None:
        with _told():
            self.desk.skip(self._study())
        self._show()

    def _undo(self) -> None:
        with _told():
            if not self.desk.undo():
                ui.notify("Nothing to undo on this page.")
        self._show()

    def _save_note(self) -> None:
        if self.desk.item is not None:
            with _told():
                self.desk.set_note(self.desk.item.study, self.note.value or "")

    def _study(self) -> str:
        if self.desk.item is None:
            raise UserError("the queue is finished.")
        return self.desk.item.study

    def _define(self, event: events.GenericEventArguments) -> None:
        label = str(event.args.get("label"))
        if label not in self.review.folder.labels:
            return
        self.definition.clear()
        with self.definition, ui.card().classes("definition"):
            ui.html(definition_html(label), sanitize=False)
            ui.button("Close", on_click=self.definition.close).props("flat autofocus")
        self.definition.open()

    def _flag(self, event: events.GenericEventArguments) -> None:
        """Ask what the sentence says of the label of a mention."""
        study = self.desk.item.study if self.desk.item else ""
        numbers = {int(n) for n in str(event.args.get("marks", "")).split() if n.isdigit()}
        marks = [m for members in self.review.folder.marks(study).values() for m in members if m.number in numbers]
        if not marks:
            return
        self.flagging.clear()
        with self.flagging, ui.card():
            ui.html("<h2>Is this phrase wrong?</h2>", sanitize=False)
            ui.label("What does its sentence say of the label? The answer is kept as a test for the lexicon.")
            for mark in marks:
                with ui.row().classes("items-center"):
                    ui.label(f"{mark.label} (“{mark.phrase}”)")
                    for word in STATE_WORDS:

                        def answer(number: int = mark.number, word: str = word) -> None:
                            with _told():
                                self.desk.flag(study, number, word)
                                ui.notify("Kept.")
                            self.flagging.close()

                        ui.button(word, on_click=answer).props("dense outline")
            ui.button("It is right", on_click=self.flagging.close).props("flat autofocus")
        self.flagging.open()

    def _open_help(self) -> None:
        self.help.open()

    def _toggle_dark(self) -> None:
        ui.run_javascript("ltmlToggleDark()")


@contextmanager
def _told() -> Iterator[None]:
    """Show a user's error as a notice."""
    try:
        yield
    except UserError as error:
        ui.notify(str(error), type="warning")


def _images_html(study: str, paths: list[Path]) -> str:
    """A viewer with one button a view; brightness and contrast stand for level and window."""
    if not paths:
        return ""
    views = "".join(
        f'<button type="button" data-view="{n}" aria-label="Image {n + 1} of {len(paths)}">{n + 1}</button>'
        for n in range(len(paths))
    )
    sources = json.dumps([f"/images/{study}/{n}" for n in range(len(paths))]).replace('"', "&quot;")
    return (
        f'<div class="viewer" data-sources="{sources}" tabindex="0"'
        ' aria-label="Chest radiograph: + and - zoom, arrows move">'
        f'<img src="/images/{study}/0" alt="Chest radiograph, image 1 of {len(paths)}" draggable="false"></div>'
        f'<div class="viewer-bar">{views if len(paths) > 1 else ""}'
        '<label>Level <input type="range" data-adjust="level" min="20" max="250" value="100"></label>'
        '<label>Window <input type="range" data-adjust="window" min="20" max="400" value="100"></label>'
        '<button type="button" data-adjust="reset">Reset</button></div>'
    )


def _help_dialog() -> ui.dialog:
    keys = (
        ("↓ or j, ↑ or k", "next, previous label"),
        ("p, a, u, x", "present, absent, uncertain, not mentioned"),
        ("Enter or n", "finish this study, go to the next; untouched labels are confirmed"),
        ("s, z", "skip, undo"),
        ("/", "jump to a label by typing its name"),
        ("d", "definition of the label"),
        ("f, then w", "go to the next marked phrase, report it as wrong"),
        ("t, then Escape", "write a note, leave it"),
        ("+, -, 0", "zoom the image, reset it"),
    )
    with ui.dialog() as dialog, ui.card():
        rows = "".join(f"<tr><th scope='row'>{key}</th><td>{what}</td></tr>" for key, what in keys)
        ui.html(f"<h2>Keys</h2><table class='keys'>{rows}</table>", sanitize=False)
        ui.button("Close", on_click=dialog.close).props("flat autofocus")
    return dialog
