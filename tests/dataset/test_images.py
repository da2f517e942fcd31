"""Studies to image rows, official splits, official and gold labels."""

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ltml_dataset.errors import UserError
from ltml_dataset.images import list_images, read_metadata
from ltml_dataset.official import compare_labels, merge_labels, read_given_labels
from ltml_dataset.schema import NOT_MENTIONED
from ltml_dataset.sources.mimic_tables import OFFICIAL_LABELS, find_file, read_columns, read_labels, search_files

HEADER = (
    "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,StudyDate,StudyTime,"
    "ProcedureCodeSequence_CodeMeaning,ViewCodeSequence_CodeMeaning,PatientOrientationCodeSequence_CodeMeaning"
)
IMAGES = [  # image, subject, study, view position, view code, orientation
    ("d", 99000001, 90000001, "LATERAL", "lateral", "Erect"),
    ("c", 99000001, 90000001, "PA", "postero-anterior", "Erect"),
    ("a", 99000001, 90000001, "AP", "antero-posterior", "Recumbent"),
    ("e", 99000002, 90000002, "", "antero-posterior", ""),
    ("f", 99000002, 90000003, "", "", "Recumbent"),
    ("g", 99000002, 90000003, "LAO", "left anterior oblique", "Erect"),
    ("h", 99000003, 90000009, "AP", "antero-posterior", ""),
]


def write_metadata(path: Path) -> Path:
    rows = [f'{i},{s},{t},"CHEST, PORTABLE",{v},10,10,20000101,1.5,X,{c},{o}' for i, s, t, v, c, o in IMAGES]
    content = "\n".join([HEADER, *rows]) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content.encode()) if path.suffix == ".gz" else content.encode())
    return path


@pytest.fixture
def metadata_path(tmp_path: Path) -> Path:
    return write_metadata(tmp_path / "mimic-cxr-2.0.0-metadata.csv.gz")


STUDIES = pa.array([90000001, 90000002, 90000003, 90000004], pa.int32())


def test_frontal_images_by_study_and_id(metadata_path: Path) -> None:
    images = list_images(read_metadata(metadata_path), STUDIES)
    assert images.rows.to_pylist() == [
        {"image_id": "a", "view": "AP", "image_path": "files/p99/p99000001/s90000001/a.jpg"},
        {"image_id": "c", "view": "PA", "image_path": "files/p99/p99000001/s90000001/c.jpg"},
        {"image_id": "e", "view": "AP", "image_path": "files/p99/p99000002/s90000002/e.jpg"},
    ]
    assert images.study_rows.tolist() == [0, 0, 1]
    assert (images.n_without_report, images.n_other_view, images.n_studies_without_image) == (1, 3, 2)


def test_paper_takes_the_first_listed_image_of_a_study(metadata_path: Path) -> None:
    images = list_images(read_metadata(metadata_path), STUDIES, "paper", one_per_study=True)
    assert images.rows["image_id"].to_pylist() == ["c", "e", "f"]
    assert images.rows["view"].to_pylist() == ["PA", "AP", "RECUMBENT"]


def test_all_views_and_string_ids(metadata_path: Path) -> None:
    metadata = read_metadata(metadata_path)
    studies = pa.array(["90000003", "90000001"])
    images = list_images(metadata, studies, "all")
    assert images.rows["image_id"].to_pylist() == ["f", "g", "a", "c", "d"]
    assert images.study_rows.tolist() == [0, 0, 1, 1, 1]
    assert metadata.subjects_of(STUDIES).to_pylist() == [99000001, 99000002, 99000002, None]


def test_order_of_the_metadata_does_not_matter_for_all_images(tmp_path: Path, metadata_path: Path) -> None:
    lines = gzip.decompress(metadata_path.read_bytes()).decode().splitlines()
    turned = tmp_path / "mimic-cxr-2.0.0-metadata.csv"
    turned.write_text("\n".join([lines[0], *reversed(lines[1:])]) + "\n")
    first, second = (list_images(read_metadata(path), STUDIES, "all") for path in (metadata_path, turned))
    assert first.rows.equals(second.rows)


def test_metadata_without_codes_and_with_doubled_images(tmp_path: Path) -> None:
    short = tmp_path / "metadata.csv"
    short.write_text("dicom_id,subject_id,study_id,ViewPosition\nx,p99000001,s90000001,AP\ny,p99000001,s90000001,\n")
    assert list_images(read_metadata(short), STUDIES).rows["image_id"].to_pylist() == ["x"]
    short.write_text("dicom_id,subject_id,study_id,ViewPosition\nx,99000001,90000001,AP\nx,99000001,90000001,\n")
    with pytest.raises(UserError, match="names an image twice"):
        read_metadata(short)


def test_metadata_of_another_release_is_refused(metadata_path: Path) -> None:
    with pytest.raises(UserError, match="same release"):
        list_images(read_metadata(metadata_path), pa.array([1, 2], pa.int32()))


def test_files_are_found_below_a_folder_and_named_when_missing(tmp_path: Path) -> None:
    path = write_metadata(tmp_path / "jpg" / "2.1.0" / "mimic-cxr-2.0.0-metadata.csv")
    (tmp_path / "files" / "p10").mkdir(parents=True)
    assert search_files(tmp_path) == {"metadata": [path]}
    assert find_file("metadata", tmp_path) == path
    with pytest.raises(
        UserError, match=r"it comes with MIMIC-CXR-JPG, not with MIMIC-CXR. Give it with --official-split"
    ):
        find_file("official split", tmp_path)
    with pytest.raises(UserError, match="it comes with MIMIC-CXR, not with MIMIC-CXR-JPG"):
        find_file("study list", tmp_path / "cxr-study-list.csv.gz")
    with pytest.raises(UserError, match="no column `split`; expected `mimic-cxr"):
        read_columns("official split", path)
    write_metadata(tmp_path / "copy" / "mimic-cxr-2.0.0-metadata.csv.gz")
    with pytest.raises(UserError, match="more than once"):
        find_file("metadata", tmp_path)


def write_labels(path: Path, rows: dict[int, dict[str, str]], *, gold: bool = False) -> Path:
    names = ["Airspace Opacity" if gold and name == "Lung Opacity" else name for name in OFFICIAL_LABELS]
    ids = "study_id" if gold else "subject_id,study_id"
    lines = [f"{ids},{','.join(names)}"]
    for study, values in rows.items():
        cells = [values.get(name, "") for name in OFFICIAL_LABELS]
        lines.append(",".join([*([] if gold else ["99000001"]), str(study), *cells]))
    path.write_text("\n".join(lines) + "\n")
    return path


LABELS = ("Edema", "Lung Opacity", "Pneumopericardium", "No Finding")


def test_official_labels_replace_and_are_compared(tmp_path: Path) -> None:
    path = write_labels(
        tmp_path / "mimic-cxr-2.0.0-chexpert.csv",
        {90000001: {"Edema": "1.0", "Lung Opacity": "-1.0"}, 90000002: {"No Finding": "1.0"}, 7: {"Edema": "0.0"}},
    )
    given = read_given_labels("official labels", path, STUDIES, LABELS)
    assert given.n_unknown == 1
    assert given.has_label.tolist() == [True, True, False, True]
    mined = np.array([[0, 1, 1, -2], [1, -2, -2, -2], [1, 1, 1, -2], [0, 0, 0, 1]], np.int8)
    merged, decided = merge_labels(mined, given)
    gone = NOT_MENTIONED
    assert merged.tolist() == [[1, -1, 1, gone], [gone, gone, gone, 1], [1, 1, 1, gone], [0, 0, 0, 1]]
    assert decided.tolist() == [[True, True, False, True]] * 2 + [[False] * 4] * 2
    edema = compare_labels(mined, given, LABELS)[0]
    assert (edema.label, edema.n, edema.both, edema.only_mined, edema.only_given) == ("Edema", 2, 0, 1, 1)
    assert edema.same_state == 0
    assert edema.kappa == pytest.approx(-1.0)
    assert compare_labels(mined, given, LABELS)[2].label == "No Finding"


def test_gold_labels_have_their_own_name_for_lung_opacity(tmp_path: Path) -> None:
    path = write_labels(tmp_path / "mimic-cxr-2.1.0-test-set-labeled.csv", {90000003: {"Lung Opacity": "1"}}, gold=True)
    table = read_labels("gold labels", path)
    assert table["Lung Opacity"].to_pylist() == [1]
    assert table["Edema"].to_pylist() == [None]
    assert read_given_labels("gold labels", tmp_path, STUDIES, LABELS).states[2].tolist() == [-2, 1, -2, -2]


def test_label_files_with_faults(tmp_path: Path) -> None:
    path = write_labels(tmp_path / "labels.csv", {90000001: {"Edema": "2"}})
    with pytest.raises(UserError, match="column `Edema` holds something other"):
        read_labels("official labels", path)
    path.write_text(
        path.read_text().replace(",2,", ",1,") + path.read_text().splitlines()[1].replace(",2,", ",1,") + "\n"
    )
    with pytest.raises(UserError, match="has a study twice"):
        read_labels("official labels", path)
    path = write_labels(tmp_path / "labels.csv", {5: {"Edema": "1"}})
    with pytest.raises(UserError, match="no study in common"):
        read_given_labels("official labels", path, STUDIES, LABELS)
