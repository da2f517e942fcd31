"""What the page's script may ask for: one function an action, JSON in, JSON out, no web framework in sight."""

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from ltml_dataset.errors import UserError
from ltml_dataset.review.decisions import ChangedElsewhereError, Judgement
from ltml_dataset.review.desk import SAME_AT_ONCE, STATE_WORDS, Desk
from ltml_dataset.review.events import State
from ltml_dataset.review.handbook import definition_html
from ltml_dataset.review.render import STATES, images_html, panel_html, report_html
from ltml_dataset.review.session import Review
from ltml_dataset.review.settings import read_settings, save_settings

_STATE_OF_CLASS = {name: code for code, name, _, _ in STATES}
_WORD = {code: word.lower() for code, _, _, word in STATES}

N_TABS = 200
"""Open pages whose place is kept; the one not used for longest goes first, and finds its place again by reloading."""

Json = dict[str, Any]


class GoneError(UserError):
    """The page belongs to an earlier run of the server."""


class Api:
    """The open pages of one server."""

    def __init__(self, review: Review) -> None:
        """No page is open yet."""
        self._review = review
        self._desks: OrderedDict[str, Desk] = OrderedDict()
        self._lock = threading.Lock()
        self._actions: Mapping[str, Callable[[Desk, Json], Json]] = {
            "show": self._show,
            "look": self._look,
            "set": self._set,
            "note": self._note,
            "mark": self._mark,
            "finish": self._finish,
            "skip": self._skip,
            "undo": self._undo,
            "go": self._go,
            "step": self._step,
            "search": self._search,
            "define": self._define,
            "mentions": self._mentions,
            "flag": self._flag,
            "elsewhere": self._elsewhere,
            "apply": self._apply,
            "pause": self._pause,
            "settings": self._settings,
        }

    def open_tab(self, desk: Desk) -> str:
        """A name for a newly opened page, which it gives with everything it asks."""
        tab = secrets.token_hex(8)
        with self._lock:
            self._desks[tab] = desk
            while len(self._desks) > N_TABS:
                self._desks.popitem(last=False)
        return tab

    def act(self, action: str, values: Json) -> Json:
        """Do what a page asks for; what goes wrong is told in one sentence.

        Raises:
            KeyError: There is no such action.
            GoneError: The page is not known: it must be loaded again.
        """
        do = self._actions[action]
        with self._lock:
            desk = self._desks.get(str(values.get("tab")))
            if desk is None:
                raise GoneError("this page is of an earlier session: it is loaded again.")
            self._desks.move_to_end(str(values["tab"]))
            try:
                return do(desk, values)
            except ChangedElsewhereError:
                desk.look()
                return self._screen(desk, _told_elsewhere(desk), is_warning=True)
            except UserError as error:
                return {"told": f"{str(error)[:1].upper()}{str(error)[1:]}", "warning": True}

    def _screen(self, desk: Desk, told: str = "", *, is_warning: bool = False) -> Json:
        """All that the page shows of the study at the desk's place."""
        finished, n_items = desk.n_finished(), len(desk.items)
        pace = desk.pace()
        screen: Json = {
            "study": None,
            "finished": finished,
            "of": n_items,
            "pace": None if pace is None else round(pace, 1),
            "left": None if pace is None else round(pace * (n_items - finished)),
            "told": told,
            "warning": is_warning,
        }
        item = desk.item
        if item is None:
            return screen
        folder, judgement = self._review.folder, desk.judgement
        settings = read_settings(self._review.log.path.parent, desk.reader)
        is_asked_whole = item.in_sample and desk.role != "adjudicator"
        asked = desk.asked()
        screen |= {
            "study": item.study,
            "place": desk.position + 1,
            "why": f"{item.stratum}: {', '.join(asked)}" if asked else item.stratum,
            "sample": is_asked_whole,
            "report": report_html(folder.passages(item.study), folder.marks(item.study))
            or "<p>The report has no text.</p>",
            "images": images_html(item.study, [picture.view for picture in folder.pictures.of(item.study)]),
            "panel": panel_html(desk.rows(), is_open=settings.unfold),
            "focus": desk.focus_label(),
            "note": judgement.note,
            "closed": "finished" if judgement.is_done else "skipped" if judgement.is_skipped else "",
            "marked": judgement.is_marked,
        }
        return screen

    def _show(self, desk: Desk, _: Json) -> Json:
        return self._screen(desk)

    def _look(self, desk: Desk, _: Json) -> Json:
        """The page is on screen again: tell what another one decided meanwhile."""
        desk.resume()
        return self._screen(desk, _told_elsewhere(desk), is_warning=True) if desk.look() else {}

    def _set(self, desk: Desk, values: Json) -> Json:
        label, state = str(values.get("label")), _state(values)
        desk.set_state(str(values.get("study")), label, state)
        return {"told": f"{label}: {_WORD[state]}."}

    def _note(self, desk: Desk, values: Json) -> Json:
        desk.set_note(str(values.get("study")), str(values.get("text", "")))
        return {}

    def _mark(self, desk: Desk, values: Json) -> Json:
        is_on = values.get("on") is True
        desk.set_mark(str(values.get("study")), on=is_on)
        return {"told": "Bookmarked." if is_on else "Bookmark taken away.", "marked": is_on}

    def _finish(self, desk: Desk, values: Json) -> Json:
        study = str(values.get("study"))
        seen = {str(name) for name in values.get("seen") or ()}
        whole, part, hasty = (values.get(name) is True for name in ("whole", "part", "hasty"))
        answer = desk.finish(study, seen, whole=whole, part=part, hasty=hasty)
        if answer.outcome == "finished":
            return self._screen(desk, f"Finished {study}." + _next(desk))
        if answer.outcome == "unseen":
            n_labels = len(answer.labels)
            told = f"{n_labels} label{'s' if n_labels > 1 else ''} to check had not been on screen: look, then finish."
            return {"unseen": answer.labels, "told": told, "warning": True}
        return {"ask": answer.outcome, "seconds": round(answer.seconds, 1)}

    def _skip(self, desk: Desk, values: Json) -> Json:
        study = str(values.get("study"))
        desk.skip(study)
        return self._screen(desk, f"Skipped {study}." + _next(desk))

    def _undo(self, desk: Desk, values: Json) -> Json:
        event = desk.undo(values.get("study"))
        if event is None:
            return {"told": "Nothing to undo on this page."}
        what = {
            "label": f"{event.label} is as it was",
            "note": "the note is as it was",
            "done": f"{event.study} is open again",
            "skip": f"{event.study} is open again",
            "flag": "the report of a wrong phrase is taken back",
            "mark": "the bookmark is as it was",
        }.get(event.kind, "done")
        return self._screen(desk, f"Undone: {what}.") | {"keep": event.label}

    def _go(self, desk: Desk, values: Json) -> Json:
        desk.go(str(values.get("to")))
        return self._screen(desk)

    def _step(self, desk: Desk, values: Json) -> Json:
        desk.step(-1 if values.get("by") == -1 else 1)
        return self._screen(desk)

    def _search(self, desk: Desk, values: Json) -> Json:
        found, n_found = desk.search(str(values.get("query", "")))
        return {
            "n": n_found,
            "found": [
                {"study": one.study, "about": f"{one.stratum}, {one.status}{', bookmarked' if one.is_marked else ''}"}
                for one in found
            ],
        }

    def _define(self, desk: Desk, values: Json) -> Json:
        label = str(values.get("label"))
        if label not in desk.folder.labels:
            raise UserError("there is no such label.")
        return {"html": definition_html(label, desk.folder.lexicon_folder)}

    def _mentions(self, desk: Desk, values: Json) -> Json:
        """The mentions under a marked piece of the report, to ask which of them is wrong."""
        numbers = {int(n) for n in str(values.get("marks", "")).split() if n.isdecimal()}
        study = desk.item.study if desk.item else ""
        marks = [mark for members in desk.folder.marks(study).values() for mark in members if mark.number in numbers]
        return {
            "mentions": [
                {"number": mark.number, "label": mark.label, "phrase": mark.phrase, "machine": _WORD[mark.state]}  # type: ignore[index]
                for mark in marks
            ]
        }

    def _flag(self, desk: Desk, values: Json) -> Json:
        number = values.get("number")
        desk.flag(str(values.get("study")), number if isinstance(number, int) else -1, str(values.get("expected")))
        return {"told": "Kept as a test for the lexicon."}

    def _elsewhere(self, desk: Desk, values: Json) -> Json:
        label = str(values.get("label"))
        found = desk.elsewhere(label)
        state = next(row.state for row in desk.rows() if row.name == label)
        return {
            "label": label,
            "state": _WORD[state],
            "more": len(found) == SAME_AT_ONCE,
            "found": [
                {
                    "study": same.study,
                    "sentence": same.sentence,
                    "machine": "not mentioned" if same.machine is None else _WORD[same.machine],  # type: ignore[index]
                }
                for same in found
            ],
        }

    def _apply(self, desk: Desk, values: Json) -> Json:
        label, studies = str(values.get("label")), [str(study) for study in values.get("studies") or ()]
        n_set = desk.apply_elsewhere(str(values.get("study")), label, studies)
        return {
            "told": f"{label} set in {n_set} other {'study' if n_set == 1 else 'studies'}; each waits to be finished."
        }

    def _pause(self, desk: Desk, values: Json) -> Json:
        if values.get("on") is True:
            desk.pause()
        else:
            desk.resume()
        return {}

    def _settings(self, desk: Desk, values: Json) -> Json:
        settings = save_settings(self._review.log.path.parent, desk.reader, values.get("settings"))
        return {"settings": settings.model_dump(), "told": "Settings kept."}


def _state(values: Json) -> State:
    name = str(values.get("state"))
    if name not in _STATE_OF_CLASS:
        raise UserError("that is not a state.")
    return _STATE_OF_CLASS[name]


def _next(desk: Desk) -> str:
    if desk.item is None:
        return " That was the last."
    return f" Next: {desk.item.study}, {sum(row.matters for row in desk.rows())} labels to check."


def _told_elsewhere(desk: Desk) -> str:
    """What the other tab or window decided, in words."""
    judgement = desk.judgement
    said = _decided(judgement)
    if judgement.is_done:
        return (
            f"You finished this study in another tab or window: {said}. Nothing was written here. "
            "Enter goes on; undo (z) opens it again."
        )
    if judgement.is_skipped:
        return "You skipped this study in another tab or window. Nothing was written here."
    return f"You changed this study in another tab or window: {said}. Nothing was written here; this is how it stands."


def _decided(judgement: Judgement) -> str:
    changed = [f"{label} {_WORD[state]}" for label, state in judgement.changed.items()]
    return ", ".join(changed) if changed else "no label set by hand"


ANSWERS = tuple(STATE_WORDS)
"""What a reader may say that a sentence says of a label."""
