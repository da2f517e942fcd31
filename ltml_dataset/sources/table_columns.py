"""Which columns of a table hold the id, the text, the patient and the study."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ltml_dataset.errors import UserError

ID_NAMES = ("report_id", "study_id", "study", "id", "uid", "note_id", "dicom_id", "image_id")
TEXT_NAMES = ("text", "report", "report_text", "full_report", "note", "note_text", "reports")
SECTION_NAMES = ("comparison", "indication", "history", "technique", "findings", "impression", "last_paragraph")
SUBJECT_NAMES = ("subject_id", "patient_id", "subject", "patient")
STUDY_NAMES = ("study_id", "study")

_LONGEST_NAME = 60
MIMIC_SECTIONED = ("impression", "findings", "last_paragraph", "comparison")
"""Text columns of `mimic_cxr_sectioned.csv`, whose first column is `study`."""


@dataclass(frozen=True)
class TableColumns:
    """Columns of a table by what they hold."""

    report: str
    texts: tuple[str, ...]
    subject: str | None
    study: str | None

    @property
    def text_columns(self) -> tuple[str, ...]:
        """One text column is a whole report and is called `text`; several keep their names, as sections."""
        return ("text",) if len(self.texts) == 1 else self.texts

    @property
    def names(self) -> list[str]:
        """Every column that is read, once, ids first."""
        wanted = [self.report, self.subject, self.study, *self.texts]
        return list(dict.fromkeys(name for name in wanted if name is not None))

    @property
    def id_names(self) -> list[str]:
        """Columns with ids, once."""
        return list(dict.fromkeys(name for name in (self.report, self.subject, self.study) if name is not None))


def choose_columns(
    path: Path, names: Sequence[str], id_column: str | None, text_columns: Sequence[str] | None
) -> TableColumns:
    """Columns as the user named them, else by the names tables usually give them.

    Args:
        path: The table, for messages.
        names: Its columns.
        id_column: The user's id column.
        text_columns: The user's text columns.

    Raises:
        UserError: A named column is missing or doubled, or no usual name is there.
    """
    require_header(path, names)
    found = {name.lower(): name for name in reversed(names)}
    report = _named(path, names, id_column, "--id-column") if id_column else _first(found, ID_NAMES)
    if report is None:
        raise UserError(f"`{path}` has no id column such as `report_id`; name it with --id-column. {_listed(names)}")
    if text_columns:
        texts = tuple(_named(path, names, name, "--text-column") for name in text_columns)
        if len(set(texts)) < len(texts):
            raise UserError(f"--text-column names a column of `{path}` twice; name each once.")
    else:
        whole = _first(found, TEXT_NAMES)
        sections = tuple(found[name] for name in SECTION_NAMES if name in found)
        texts = (whole,) if whole is not None else sections
    if not texts:
        raise UserError(f"`{path}` has no text column such as `text`; name it with --text-column. {_listed(names)}")
    if report in texts:
        raise UserError(
            f"`{report}` of `{path}` cannot be both id and text; name another --id-column or --text-column."
        )
    study = _first(found, STUDY_NAMES)
    return TableColumns(report, texts, _first(found, SUBJECT_NAMES), None if study == report else study)


def require_header(path: Path, names: Sequence[str]) -> None:
    """Refuse a table whose first line is a report and no header, and doubled names; quotes no text of a report.

    Raises:
        UserError: See above.
    """
    if any(_is_text(name) for name in names):
        raise UserError(
            f"`{path}` has no header line: its first line holds text where column names were expected; put a line such "
            "as `report_id,text` on top."
        )
    doubled = sorted(name for name, count in Counter(names).items() if count > 1)
    if doubled:
        shown = f"columns named `{doubled[0]}`" if _is_plain(doubled[0]) else "columns of the same name"
        raise UserError(f"`{path}` has two {shown}; rename one (or is its header line missing?).")


def _is_text(name: str) -> bool:
    """Whether a column's name is a sentence, so that the table must lack its header."""
    return len(name) > _LONGEST_NAME or "\n" in name or (" " in name.strip() and name.rstrip()[-1:] in ".?!")


def _is_plain(name: str) -> bool:
    return name.replace("_", "").replace("-", "").replace(".", "").isalnum() and name[:1].isalpha()


def is_mimic_sectioned(names: Sequence[str]) -> bool:
    """The columns are those of `mimic_cxr_sectioned.csv`."""
    return len(names) > 0 and names[0] == "study" and set(MIMIC_SECTIONED) == set(names[1:])


def _first(found: dict[str, str], candidates: Sequence[str]) -> str | None:
    return next((found[name] for name in candidates if name in found), None)


def _named(path: Path, names: Sequence[str], name: str, flag: str) -> str:
    if name not in names:
        raise UserError(f"`{path}` has no column `{name}`; name another with {flag}. {_listed(names)}")
    return name


def _listed(names: Sequence[str]) -> str:
    plain = [name for name in names if _is_plain(name)]
    shown = ", ".join(f"`{name}`" for name in plain[:12])
    rest = len(names) - min(len(plain), 12)
    if not shown:
        return "Its columns have no plain names; is its header line missing?"
    return f"Its columns: {shown}{f' and {rest:,} more' if rest else ''}."
