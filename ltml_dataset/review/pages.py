"""The two pages as HTML. Every value passes through a template that escapes it."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from ltml_dataset.review.api import ANSWERS
from ltml_dataset.review.desk import STATE_WORDS, Desk
from ltml_dataset.review.events import ROLES
from ltml_dataset.review.queue import STRATA
from ltml_dataset.review.session import Review
from ltml_dataset.review.settings import read_settings
from ltml_dataset.review.summary import summary_notes, summary_tables

KEYS = (
    ("↓ or j, ↑ or k", "next, previous label"),
    ("p, a, u, x", "present, absent, uncertain, not mentioned"),
    ("Enter or n", "finish this study, show the next: certifies the labels to check"),
    ("Shift+Enter", "finish and confirm the whole report: what is not mentioned is absent"),
    ("s, z", "skip, undo"),
    ("[, ]", "study before, study after, without deciding"),
    ("/", "jump to a label by typing its name"),
    ("o", "open or fold the labels that are not mentioned"),
    ("d", "definition of the label"),
    ("e", "the same sentence elsewhere: repeat this label's decision"),
    ("f, then w", "go to the next marked phrase, report it as wrong"),
    ("t, then Escape", "write a note, leave it"),
    ("g", "go to any study: by id, by words of the report, or to what was bookmarked or skipped"),
    ("b", "bookmark"),
    ("+, -, 0; i; v", "zoom the image, reset it; invert; next view"),
    ("wheel, pinch; drag", "zoom the image at that point; move it, with the right button set window and level"),
    ("r", "pause"),
    ("?", "these keys"),
)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("ltml_dataset.review", "static"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def start_page(review: Review, nonce: str, reader: str = "", told: str = "") -> str:
    """Who reads, what is queued and why, how far everyone is, and what it says so far.

    Args:
        review: The review, as of now.
        nonce: What the content policy of this answer calls its script.
        reader: Name to fill in.
        told: Why the page came back.
    """
    folder = review.folder
    tables = summary_tables(review, with_sentences=True)
    return (
        _environment()
        .get_template("start.html.j2")
        .render(
            nonce=nonce,
            reader=reader,
            told=told,
            name=folder.directory.resolve().name,
            n_queued=len(review.queue.items),
            n_studies=len(folder.studies),
            roles=ROLES,
            labels=folder.labels,
            states=list(STATE_WORDS),
            strata=STRATA,
            splits=list(dict.fromkeys(folder.splits)),
            tables=tables,
            notes=summary_notes(review),
        )
    )


def reading_page(review: Review, desk: Desk, tab: str, nonce: str) -> str:
    """The frame of one study a screen; its script asks for what to show.

    Args:
        review: The review.
        desk: Where the reader sits.
        tab: The page's name (`Api.open_tab`).
        nonce: What the content policy of this answer calls its script.
    """
    settings = read_settings(review.log.path.parent, desk.reader)
    return (
        _environment()
        .get_template("read.html.j2")
        .render(
            nonce=nonce,
            tab=tab,
            reader=desk.reader,
            role=desk.role,
            keys=KEYS,
            answers=ANSWERS,
            settings=settings,
            has_images=review.folder.pictures.may_exist,
        )
    )
