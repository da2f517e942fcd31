"""The report on the page is the report: every character, escaped, with the mentions marked where they are."""

import re
from html import unescape
from html.parser import HTMLParser
from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st

from ltml_dataset.review.render import LabelRow, Mark, Passage, image_address, images_html, panel_html, report_html


class Reader(HTMLParser):
    """Collects the text inside passages and the text inside each mark."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""
        self.marks: dict[str, str] = {}
        self.cued = ""
        self._open: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._open.append((tag, dict(attributes).get("data-marks") or ""))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        for tag, numbers in self._open:
            if tag == "u":
                self.cued += data
            for number in numbers.split():
                self.marks[number] = self.marks.get(number, "") + data


def read(text: str, marks: list[Mark]) -> Reader:
    reader = Reader()
    reader.feed(report_html([Passage(None, text)], {0: marks}))
    return reader


@st.composite
def marked_texts(draw: st.DrawFn) -> tuple[str, list[Mark]]:
    alphabet = st.one_of(st.sampled_from("ab <>&\"'\n"), st.characters(exclude_categories=["Cs", "Cc"]))
    text = draw(st.text(alphabet, max_size=60))
    spans = draw(st.lists(st.tuples(st.integers(0, len(text)), st.integers(0, len(text))), max_size=6))
    marks = []
    for number, (a, b) in enumerate(spans):
        start, end = min(a, b), max(a, b)
        if start < end:
            state = draw(st.sampled_from([1, 0, -1]))
            marks.append(Mark(number, "Edema", state, start, end, "edema", "rule", "no", 0, min(2, len(text))))
    return text, marks


@given(marked_texts())
def test_tags_never_change_the_text_and_marks_hold_their_words(case: tuple[str, list[Mark]]) -> None:
    text, marks = case
    reader = read(text, marks)
    assert reader.text == text
    assert reader.marks == {str(mark.number): text[mark.start : mark.end] for mark in marks}


def test_script_in_a_report_is_shown_not_run() -> None:
    html = report_html([Passage("<b>", "<script>alert(1)</script>")], {})
    assert "<script" not in html
    assert "<script>alert(1)</script>" in unescape(html)


def test_cue_is_underlined_and_a_mention_cut_by_another_takes_the_focus_once() -> None:
    text = "No pleural effusion."
    marks = [
        Mark(0, "Pleural Effusion", 0, 3, 19, "pleural effusion", "negation", "no", 0, 2),
        Mark(1, "Pleural Other", 1, 3, 10, "pleural", "statement"),
    ]
    reader = read(text, marks)
    assert reader.cued == "No"
    html = report_html([Passage(None, text)], {0: marks})
    assert html.count('tabindex="0"') == 1
    assert 'class="present"' in html, "the strongest state colours what mentions share"


def test_the_panel_speaks_to_screen_readers() -> None:
    html = panel_html([LabelRow("Edema", "head", 1, 0, (("anna", 1), ("ben", None)))])
    assert 'role="radiogroup"' in html
    assert 'aria-label="Edema, machine says present; anna: present; ben: not mentioned"' in html
    assert html.count('aria-checked="true"') == 1
    assert 'class="absent" data-state="absent" tabindex="-1" aria-checked="true"' in html
    assert 'class="label differs"' in html


HOSTILE = "1\"'><script>alert(1)</script>/../&#x?study=2%00 \u2028"


def test_a_hostile_name_is_text_wherever_it_stands() -> None:
    html = panel_html(
        [LabelRow(HOSTILE, HOSTILE, None, None), LabelRow(HOSTILE, "head", 1, 1, ((HOSTILE, 1),), cue=HOSTILE)]
    )
    html += images_html(HOSTILE, [HOSTILE, ""]) + report_html(
        [Passage(HOSTILE, HOSTILE)], {0: [Mark(0, HOSTILE, 0, 0, 3, HOSTILE, "rule", HOSTILE, 3, 5)]}
    )
    assert "<script" not in html

    class Tags(HTMLParser):
        names: set[str] = set()  # noqa: RUF012
        handlers: list[str] = []  # noqa: RUF012

        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            self.names.add(tag)
            self.handlers += [name for name, _ in attributes if name.startswith("on")]

    tags = Tags()
    tags.feed(html)
    assert "script" not in tags.names
    assert tags.handlers == []
    query = dict(pair.split("=", 1) for pair in image_address(HOSTILE, 3).removeprefix("/image?").split("&"))
    assert unquote(query["study"]) == HOSTILE
    assert query["index"] == "3"


def test_what_matters_stands_on_top_the_rest_is_folded_with_its_count() -> None:
    rows = [
        LabelRow("Quiet", "tail", None, None),
        LabelRow("Silent", "tail", None, None),
        LabelRow("Negated", "head", 0, 0, cue="no"),
        LabelRow("Doubtful", "head", -1, -1, cue="possible"),
        LabelRow("Stated", "tail", 1, 1),
        LabelRow("Found", "tail", None, 1, is_touched=True),
        LabelRow("Asked", "medium", None, None, is_asked=True),
    ]
    html = panel_html(rows)
    top, rest = html.split("<details", 1)
    assert re.findall(r'data-label="(\w+)"', top) == [
        "Asked",
        "Stated",
        "Doubtful",
        "Negated",
        "Found",
    ]
    assert "To check: 5" in top
    assert "tail: 2 not mentioned" in rest
    assert re.findall(r'data-label="(\w+)"', rest) == ["Quiet", "Silent"]
    assert " open>" not in html
    assert '<details class="fold" open>' in panel_html(rows, is_open=True)
    assert '<span class="cue uncertain">possible</span>' in top
