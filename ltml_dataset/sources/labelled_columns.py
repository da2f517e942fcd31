"""Which columns of a labelled table hold the image, the patient, the study and the labels."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from ltml_dataset.errors import UserError
from ltml_dataset.sources.table_columns import require_header

IMAGE_ID_NAMES = ("image_id", "dicom_id", "imageid", "image_index", "image", "filename", "file_name", "path", "row")
PATIENT_NAMES = ("subject_id", "patient_id", "patientid", "subject", "patient")
STUDY_NAMES = ("study_id", "studyid", "study", "study_instance_uid")
VIEW_NAMES = ("view", "view_position", "viewposition", "projection", "frontal_lateral")
PATH_NAMES = ("image_path", "path", "file_path", "filepath")
LIST_NAMES = ("finding_labels", "labels", "label")

_NO_LABEL = re.compile(r"(^|_)(labels?|frontal|lateral|train|valid|validation|test|split|fold|missing)(_|$)")
"""Parts of names of flags that say something of the row, not of a finding."""


@dataclass(frozen=True)
class LabelledColumns:
    """Columns of a labelled table by what they hold; None where the table has none."""

    image_id: str | None
    patient: str | None
    study: str | None
    view: str | None
    path: str | None
    labels: tuple[str, ...]
    """One column per label, in the table's order."""
    listed: str | None
    """Or one column that lists the labels of a row."""
    left_aside: tuple[str, ...] = ()
    """Columns that could be labels too, where the user named none."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Columns that hold neither labels nor pixels, once each."""
        named = (self.image_id, self.patient, self.study, self.view, self.path)
        return tuple(dict.fromkeys(name for name in named if name is not None))


def choose_labelled_columns(
    path: Path,
    names: Sequence[str],
    states: Iterable[str],
    *,
    words: Iterable[str] = (),
    labels: Sequence[str] | None = None,
    group: str | None = None,
    image_id: str | None = None,
    image: str | None = None,
) -> LabelledColumns:
    """Columns as the user named them, else by the names and contents that such tables have.

    Labels that are not named are the longest run of neighbouring columns whose values are 1, 0, -1 or empty, or else
    a column that lists them, such as `Finding Labels`.

    Args:
        path: The table, for messages.
        names: Its columns in order.
        states: Those that hold only 1, 0, -1, true, false and nulls.
        words: Those of them that say yes and no: people's judgements, which win over a column that lists labels.
        labels: The user's label columns.
        group: The user's column of what must not cross splits.
        image_id: The user's column of image ids.
        image: The column with pixels, which is nothing else.

    Raises:
        UserError: A named column is missing, or no labels are found.
    """
    require_header(path, names)
    for name, flag in ((group, "--group"), (image_id, "--id-column")):
        if name is not None:
            _check(path, names, name, flag)
    found = {_plain(name): name for name in reversed(names) if name != image}
    patient = group or _first(found, PATIENT_NAMES)
    taken = {name for name in (patient, image_id, image) if name is not None}
    chosen = list(labels) if labels else []
    for name in chosen:
        _check(path, names, name, "--labels")
        if chosen.count(name) > 1 or name in taken:
            raise UserError(
                f"--labels names `{name}` of `{path}` twice, or for the group, the id or the image as well."
            )
    can_be_labels = set(states)
    listed = None
    aside: list[str] = []
    if not chosen:
        no_ids = {_first(found, STUDY_NAMES), _first(found, VIEW_NAMES), *taken}
        chosen = _guess_labels(names, can_be_labels - no_ids)
        listed = _first({key: name for key, name in found.items() if name not in taken}, LIST_NAMES)
        judged = [name for name in names if name in set(words) - no_ids]
        if judged and not set(judged) <= set(chosen):
            chosen = judged
        aside = [name for name in names if name in can_be_labels - no_ids and name not in chosen]
        aside = [name for name in aside if not _NO_LABEL.search(_plain(name))]
        if judged or len(chosen) >= 2 or listed in can_be_labels:
            aside += [listed] if listed is not None and listed not in can_be_labels else []
            listed = None
        else:
            aside += chosen if listed is not None else []
        if not chosen and listed is None:
            raise UserError(f"`{path}` has no columns of 0 and 1 that could be labels; name them with --labels A,B,...")
    elif len(chosen) == 1 and chosen[0] not in can_be_labels:
        listed = chosen[0]
    wrong = [name for name in chosen if name not in can_be_labels and name != listed]
    if wrong:
        raise UserError(
            f"column `{wrong[0]}` of `{path}` holds more than 1, 0, -1 and blanks; leave it out of --labels."
        )
    rest = {key: name for key, name in found.items() if name not in chosen and name != listed}
    return LabelledColumns(
        image_id=image_id or _first(rest, IMAGE_ID_NAMES),
        patient=patient,
        study=_first(rest, STUDY_NAMES),
        view=_first(rest, VIEW_NAMES),
        path=_first(rest, PATH_NAMES),
        labels=() if listed else tuple(chosen),
        listed=listed,
        left_aside=tuple(aside),
    )


def _guess_labels(names: Sequence[str], wanted: set[str]) -> list[str]:
    """The longest run of neighbours, without flags; names such as `label_edema` throughout are no flags."""
    findings = _longest_run(names, {name for name in wanted if not _NO_LABEL.search(_plain(name))})
    everything = _longest_run(names, wanted)
    return findings if 2 * len(findings) >= len(everything) else everything


def _longest_run(names: Sequence[str], wanted: set[str]) -> list[str]:
    """The longest row of neighbours in `wanted`, the first of equals."""
    best: list[str] = []
    run: list[str] = []
    for name in names:
        run = [*run, name] if name in wanted else []
        best = run if len(run) > len(best) else best
    return best


def _plain(name: str) -> str:
    """`View Position`, `ViewPosition` and `view_position` are one name, but for the underscore of the second."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _first(found: dict[str, str], candidates: Sequence[str]) -> str | None:
    return next((found[name] for name in candidates if name in found), None)


def _check(path: Path, names: Sequence[str], name: str, flag: str) -> None:
    if name not in names:
        near = get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f"; did you mean `{near[0]}`" if near else ""
        raise UserError(f"`{path}` has no column `{name}` as {flag} says{hint}?")
