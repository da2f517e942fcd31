"""Studies to images: which images make rows, in which view, and where their files are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ltml_dataset.errors import UserError
from ltml_dataset.sources.mimic_tables import FILES, plain_ids, read_columns

Views = Literal["frontal", "all", "paper"]

FRONTAL_VIEWS = ("AP", "PA", "AP AXIAL", "AP LLD", "AP RLD", "PA LLD", "PA RLD")
"""Views from the front or back, the erect, supine and decubitus ones."""

PAPER_VIEWS = ("AP", "PA", "LAO", "RECUMBENT")
"""Views that the LTML-MIMIC-CXR release took."""

_VIEW_OF_CODE = {
    "antero-posterior": "AP",
    "postero-anterior": "PA",
    "lateral": "LATERAL",
    "left lateral": "LL",
    "left anterior oblique": "LAO",
    "right anterior oblique": "RAO",
    "recumbent": "RECUMBENT",
}
"""`ViewCodeSequence_CodeMeaning`, used where `ViewPosition` is blank."""


@dataclass(frozen=True)
class Metadata:
    """Images as a metadata table lists them."""

    table: pa.Table
    """`image_id`, `subject_id`, `study_id`, `view`, `image_path`: strings, in the order listed."""

    def subjects_of(self, study_ids: pa.Array) -> pa.Array:
        """(N,) patients of studies, null where no image of a study is listed; of the type of `study_ids`."""
        rows = pc.index_in(study_ids.cast(pa.string()), value_set=self.table["study_id"].combine_chunks())
        return self.table["subject_id"].combine_chunks().take(rows).cast(study_ids.type)


@dataclass(frozen=True)
class ImageRows:
    """The images of a data set, by study and then by id."""

    rows: pa.Table
    """`image_id`, `view`, `image_path` of n images."""
    study_rows: npt.NDArray[np.int64]
    """(n,) position of each image's study."""
    n_without_report: int
    """Listed images whose study has no report."""
    n_other_view: int
    """Listed images left out because of their view, or because another image stands for their study."""
    n_studies_without_image: int
    """Studies for which no image is left."""


def read_metadata(path: Path) -> Metadata:
    """The metadata table of MIMIC-CXR-JPG.

    Args:
        path: `mimic-cxr-2.0.0-metadata.csv.gz`, unpacked or not, or a folder that holds it.

    Raises:
        UserError: It is missing, lacks a column, or names an image twice.
    """
    codes = ("ViewCodeSequence_CodeMeaning", "PatientOrientationCodeSequence_CodeMeaning")
    needed = FILES["metadata"].columns
    try:
        table = read_columns("metadata", path, (*needed, *codes))
    except UserError:
        table = read_columns("metadata", path, needed)  # a cut-down copy: views by ViewPosition alone
    image_ids = table["dicom_id"]
    if image_ids.null_count or pc.count_distinct(image_ids).as_py() != len(image_ids):
        raise UserError(f"`{path}` names an image twice or has a row without `dicom_id`; expected one row per image.")
    subjects, studies = plain_ids(table["subject_id"]), plain_ids(table["study_id"])
    if subjects.null_count or studies.null_count:
        raise UserError(f"`{path}` has a row without `subject_id` or `study_id`; download it again.")
    view = pc.utf8_upper(pc.utf8_trim_whitespace(table["ViewPosition"]))
    view = pc.if_else(pc.equal(view, ""), None, view)
    if codes[0] in table.column_names:
        meaning = pc.utf8_lower(table[codes[0]])
        known = pc.index_in(meaning, value_set=pa.array(list(_VIEW_OF_CODE)))
        view = pc.coalesce(view, pa.array(list(_VIEW_OF_CODE.values())).take(known.combine_chunks()))
        lies = pc.fill_null(pc.equal(pc.utf8_lower(table[codes[1]]), "recumbent"), False)
        view = pc.coalesce(view, pc.if_else(lies, "RECUMBENT", pa.scalar(None, pa.string())))
    return Metadata(
        pa.table(
            {
                "image_id": image_ids,
                "subject_id": subjects,
                "study_id": studies,
                "view": view,
                "image_path": image_paths(subjects, studies, image_ids),
            }
        )
    )


def image_paths(subjects: pa.ChunkedArray, studies: pa.ChunkedArray, image_ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """Paths below the folder that contains `files/`: `files/p10/p10xxxxxx/s5xxxxxxx/<image>.jpg`."""
    group = pc.utf8_slice_codeunits(subjects, 0, 2)
    return pc.binary_join_element_wise("files/p", group, "/p", subjects, "/s", studies, "/", image_ids, ".jpg", "")


def list_images(
    metadata: Metadata, study_ids: pa.Array, views: Views = "frontal", *, one_per_study: bool = False
) -> ImageRows:
    """Images of studies.

    Args:
        metadata: All images.
        study_ids: (N,) the data set's studies.
        views: `frontal`: front and back views. `paper`: AP, PA, LAO and recumbent ones. `all`: every image.
        one_per_study: Keep the image of each study that the metadata list first.

    Raises:
        UserError: No image belongs to any of the studies.
    """
    table = metadata.table
    index = pc.index_in(table["study_id"], value_set=pc.cast(study_ids, pa.string()))
    studies = pc.fill_null(index, -1).to_numpy().astype(np.int64)
    if len(study_ids) and len(studies) and (studies < 0).all():
        raise UserError(
            "The metadata list no image of any of the studies; are they of the same release as the reports?"
        )
    has_report = studies >= 0
    keep = has_report.copy()
    if views != "all":
        wanted = FRONTAL_VIEWS if views == "frontal" else PAPER_VIEWS
        keep &= pc.is_in(table["view"], value_set=pa.array(wanted)).to_numpy()
    chosen = np.flatnonzero(keep)
    if one_per_study:
        _, first = np.unique(studies[chosen], return_index=True)
        chosen = chosen[first]
    rows = table.select(["image_id", "view", "image_path"]).take(pa.array(chosen))
    order = pc.sort_indices(
        rows.append_column("study", pa.array(studies[chosen])),
        sort_keys=[("study", "ascending"), ("image_id", "ascending")],
    ).to_numpy()
    return ImageRows(
        rows.take(pa.array(order)),
        studies[chosen][order],
        n_without_report=int((~has_report).sum()),
        n_other_view=int(has_report.sum()) - len(chosen),
        n_studies_without_image=len(study_ids) - len(np.unique(studies[chosen])),
    )


OTHER_FORMATS = (".jpg", ".png", ".dcm")
"""MIMIC-CXR has the same tree of DICOM files that MIMIC-CXR-JPG has of JPEG files."""


def find_image(folder: Path, image_path: str) -> Path | None:
    """The file of an image below an image root, whatever its format; None where there is none.

    Args:
        folder: The image root; or the folder that paths begin with (`files/`), whatever it is called here.
        image_path: As the data set names it; one that leads out of the root is never followed.
    """
    path = PurePosixPath(image_path)
    if path.is_absolute() or ".." in path.parts or not path.name:
        return None
    names = [path, *(path.with_suffix(suffix) for suffix in OTHER_FORMATS if suffix != path.suffix)]
    names += [inner for name in names if (inner := path_inside(name)) is not None]
    return next((file for name in names if (file := folder / name).is_file()), None)


def path_inside(path: PurePosixPath) -> PurePosixPath | None:
    """The path below the folder that it begins with; None where it begins with no folder."""
    return PurePosixPath(*path.parts[1:]) if len(path.parts) > 1 else None


def image_files(folder: Path, image_paths: Sequence[str]) -> list[str]:
    """Where all images of a data set lie, told by the first: a release of 377,110 files is not asked file by file.

    Args:
        folder: As for `find_image`.
        image_paths: As the data set names them.

    Raises:
        UserError: The first is not there.
    """
    if not image_paths:
        return []
    first = find_image(folder, image_paths[0])
    if first is None:
        example = Path(image_paths[0])
        raise UserError(
            f"`{folder / example}` was not found: give as image root the folder that holds `{example.parts[0]}/`."
        )
    listed = PurePosixPath(image_paths[0])
    is_inside = first != folder / listed.with_suffix(first.suffix)
    files = []
    for path in map(PurePosixPath, image_paths):
        place = (path_inside(path) or path) if is_inside else path
        files.append(str(folder / (place.with_suffix(first.suffix) if place.suffix == listed.suffix else place)))
    return files
