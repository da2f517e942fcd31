"""`split TABLE`: the tables people have become the same folder, pixels included."""

import gzip
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from shared_data import shared

from ltml_dataset.building.split_table import groups_of, split_table, targets_of
from ltml_dataset.building.table_config import TableConfig
from ltml_dataset.cli import main
from ltml_dataset.config import SplitConfig
from ltml_dataset.errors import UserError
from ltml_dataset.export.manifest import differences, read_manifest
from ltml_dataset.schema import NOT_MENTIONED
from ltml_dataset.sources.labelled import read_labelled


def png(shade: int) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (4, 4), shade).save(stream, "PNG")
    return stream.getvalue()


def image_table(n_rows: int = 40) -> pa.Table:
    """NIH-like: pixels, patients, a flag that is no label, and three labels."""
    rows = range(n_rows)
    return pa.table(
        {
            "image_id": [f"im{i}.png" for i in rows],
            "patient": pa.array([i // 2 for i in rows]),
            "View Position": ["PA" if i % 2 else "AP" for i in rows],
            "frontal": [True] * n_rows,
            "png": [png(i) for i in rows],
            "Mass": [i % 2 == 0 for i in rows],
            "No Finding": [i % 3 == 0 for i in rows],
            "Nodule": [i % 5 == 0 for i in rows],
            "licence": ["free"] * n_rows,
        }
    )


def read_rows(out: Path) -> list[dict[str, object]]:
    return [row for path in sorted((out / "data").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def test_pixels_labels_and_patients_come_through(tmp_path: Path) -> None:
    import datasets

    pq.write_table(image_table(), tmp_path / "t.parquet")
    assert (
        main(["split", str(tmp_path / "t.parquet"), "--out", str(tmp_path / "out"), "--head", "20", "--medium", "10"])
        == 0
    )
    images = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert images["train"].features["labels"].feature.names == ["Mass", "No Finding", "Nodule"]
    splits_of: dict[int, set[str]] = {}
    seen = 0
    for name, rows in images.items():
        for row in rows:
            number = int(row["image_id"][2:-4])
            assert row["image"].getpixel((0, 0)) == number
            assert row["target"] == [int(number % 2 == 0), int(number % 3 == 0), int(number % 5 == 0)]
            assert row["labels"] == [i for i, value in enumerate(row["target"]) if value]
            assert (row["subject_id"], row["study_id"]) == (number // 2, None)
            assert row["view"] == ("PA" if number % 2 else "AP")
            splits_of.setdefault(row["subject_id"], set()).add(name)
            seen += 1
    assert seen == 40
    assert all(len(names) == 1 for names in splits_of.values())
    assert differences(tmp_path / "out") == []
    assert read_manifest(tmp_path / "out").groups == {"head": ["Mass"], "medium": ["No Finding"], "tail": ["Nodule"]}


@pytest.mark.filterwarnings("ignore")  # mlcroissant uses what rdflib and pandas deprecate
def test_croissant_reads_the_pixels(tmp_path: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    pq.write_table(image_table(), tmp_path / "t.parquet")
    split_table(tmp_path / "t.parquet", tmp_path / "out", TableConfig())
    dataset = mlcroissant.Dataset(jsonld=str(tmp_path / "out" / "croissant.json"))
    records = {record["images/image_id"]: record for record in dataset.records("images")}
    assert len(records) == 40
    assert records[b"im7.png"]["images/image"].getpixel((0, 0)) == 7
    assert records[b"im6.png"]["images/labels"] == [0, 1]
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "- column of the image: `png`" in card
    assert "one image with its encoded bytes in the column `image`" in card


def test_equal_input_gives_equal_bytes_and_images_small_row_groups(tmp_path: Path) -> None:
    pq.write_table(image_table(1000), tmp_path / "t.parquet")
    for name in ("a", "b"):
        split_table(tmp_path / "t.parquet", tmp_path / name, TableConfig())
    assert (tmp_path / "a" / "manifest.json").read_bytes() == (tmp_path / "b" / "manifest.json").read_bytes()
    footer = pq.read_metadata(next((tmp_path / "a" / "data").glob("train-*")))
    assert [footer.row_group(g).num_rows for g in range(footer.num_row_groups)] == [256, 256, 188]


def test_the_table_of_chexpert(tmp_path: Path) -> None:
    lines = ["Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Edema,Fracture"]
    for i in range(60):
        values = [",".join(v) for v in (("1.0", "", ""), ("", "-1.0", "0.0"), ("", "1.0", "1.0"))][i % 3]
        lines.append(
            f"CheXpert/train/patient{i // 2:05d}/study{i % 2 + 1}/view1_frontal.jpg,Male,50,Frontal,AP,{values}"
        )
    (tmp_path / "train.csv.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    out = tmp_path / "out"
    split_table(tmp_path / "train.csv.gz", out, TableConfig(uncertain="ignore"))
    rows = {str(row["image_id"]): row for row in read_rows(out)}
    row = rows["CheXpert/train/patient00000/study2/view1_frontal.jpg"]
    assert (row["subject_id"], row["study_id"], row["view"]) == ("00000", "2", "Frontal")
    assert row["target"] == [0, -1, 0]
    assert row["image_path"] == row["image_id"]
    manifest = read_manifest(out)
    assert manifest.labels == ["No Finding", "Edema", "Fracture"]
    assert (manifest.counts["studies"], sum(s.subjects for s in manifest.splits.values())) == (60, 30)
    assert "-1, left out of training and scoring" in (out / "README.md").read_text(encoding="utf-8")


def test_the_official_label_file_of_mimic(tmp_path: Path) -> None:
    lines = ["subject_id,study_id,Atelectasis,Edema"]
    lines += [f"{10000000 + i // 2},{50000000 + i},{['1.0', '', '-1.0'][i % 3]},0.0" for i in range(12)]
    (tmp_path / "mimic-cxr-2.0.0-chexpert.csv").write_text("\n".join(lines))
    table = read_labelled(tmp_path / "mimic-cxr-2.0.0-chexpert.csv")
    assert table.label_names == ("Atelectasis", "Edema")
    assert table.image_ids.to_pylist()[:2] == ["50000000", "50000001"]
    assert table.states[:3].tolist() == [[1, 0], [NOT_MENTIONED, 0], [-1, 0]]
    assert table.patients is not None
    assert table.patients.to_pylist()[:3] == ["10000000", "10000000", "10000001"]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("patient,is_frontal,A,B,C,age", ("A", "B", "C")),
        ("patient,frontal,A,B,C,age", ("A", "B", "C")),
        ("patient,label_missing,A,B,C,age", ("A", "B", "C")),
        ("patient,label_a,label_b,label_c,label_d,age", ("label_a", "label_b", "label_c", "label_d")),
        ("patient,study,A,B,C,age", ("A", "B", "C")),
    ],
)
def test_flags_are_told_from_labels(header: str, expected: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"{header}\n1,1,0,1,0,50\n2,0,1,1,0,60\n")
    assert read_labelled(tmp_path / "t.csv").label_names == expected


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("Finding Labels", ["Mass|Edema", "No Finding", "Edema"]),
        ("Labels", ["['Mass', 'Edema']", "['No Finding']", "['Edema', '']"]),
    ],
)
def test_labels_listed_in_one_column(column: str, values: list[str], tmp_path: Path) -> None:
    lines = [f"Image Index,Patient ID,{column}"]
    lines += [f'{i:04d}.png,9007199254740993{i // 2:04d},"{values[i % 3]}"' for i in range(30)]
    (tmp_path / "entry.csv").write_text("\n".join(lines))
    split_table(tmp_path / "entry.csv", tmp_path / "out", TableConfig())
    rows = {str(row["image_id"]): row for row in read_rows(tmp_path / "out")}
    assert read_manifest(tmp_path / "out").labels == ["Edema", "Mass", "No Finding"]
    assert [rows[f"{i:04d}.png"]["target"] for i in range(3)] == [[1, 1, 0], [0, 0, 1], [1, 0, 0]]
    assert rows["0002.png"]["subject_id"] == "90071992547409930001"


def test_json_lines_and_chosen_labels(tmp_path: Path) -> None:
    rows = [{"image_id": f"i{i}", "subject": f"p{i // 3}", "A": i % 2, "B": None if i % 2 else 1} for i in range(30)]
    (tmp_path / "t.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    done = split_table(tmp_path / "t.jsonl", tmp_path / "out", TableConfig(labels="B"))
    assert done.manifest.labels == ["B"]
    assert done.manifest.label_counts["all"] == {"B": 15}


def test_the_unit_that_stays_whole_can_be_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = pa.table({"study": [f"s{i // 4}" for i in range(80)], "A": [i % 2 for i in range(80)], "B": [0, 1] * 40})
    pq.write_table(table, tmp_path / "t.parquet")
    call = ["split", str(tmp_path / "t.parquet"), "--out", str(tmp_path / "out"), "--json"]
    assert main(call) == 1
    assert "no patient column" in capsys.readouterr().err
    assert main([*call[:-1], "--split.group-by", "image"]) == 0
    shown = capsys.readouterr().out
    assert "Labels    2: A ... B" in shown
    assert "No label has 1,000 images, so all of them are tail" in shown
    assert main([*call, "--split.group-by", "study", "--split.ratios", "1:1:2"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert {name: size["rows"] for name, size in summary["splits"].items()} == {
        "train": 20,
        "validation": 20,
        "test": 40,
    }
    assert summary["splits"]["train"]["studies"] == 5
    whole = read_labelled(tmp_path / "t.parquet")
    assert groups_of(whole, TableConfig(split=SplitConfig(group_by="image"))) is None
    named = read_labelled(tmp_path / "t.parquet", group="study")
    assert groups_of(named, TableConfig(group="study")).to_pylist()[:5] == ["s0", "s0", "s0", "s0", "s1"]


def test_given_ids(tmp_path: Path) -> None:
    pq.write_table(image_table(), tmp_path / "t.parquet")
    (tmp_path / "val.txt").write_text("im1.png\nelse.png\n")
    (tmp_path / "test.txt").write_text("im2.png\nim3.png\n")
    config = TableConfig(split=SplitConfig(ids=(tmp_path / "val.txt", tmp_path / "test.txt")))
    manifest = split_table(tmp_path / "t.parquet", tmp_path / "out", config).manifest
    assert {name: size.rows for name, size in manifest.splits.items()} == {"train": 37, "validation": 1, "test": 2}
    assert manifest.notes[0] == "Listed ids that match no image: 1 of validation."
    assert manifest.notes[1].startswith("Warning: 1 patient is in more than one split of the 20, because")
    assert [file.role for file in manifest.inputs] == ["table", "split.ids", "split.ids"]


def test_states_and_policies(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("patient,A,B\n1,1,0\n2,-1,\n3,1.0,-1.0\n")
    states = read_labelled(tmp_path / "t.csv").states
    assert states.tolist() == [[1, 0], [-1, NOT_MENTIONED], [1, -1]]
    assert targets_of(states, "ignore").tolist() == [[1, 0], [-1, 0], [1, -1]]
    assert targets_of(states, "one").tolist() == [[1, 0], [1, 0], [1, 1]]
    assert np.array_equal(targets_of(states, "zero"), states == 1)


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("patient,A\n1,1\n", {"labels": "Aa"}, "no column `Aa` as --labels says; did you mean `A`"),
        ("patient,A\n1,1\n", {"group": "who"}, "no column `who` as --group says"),
        ("patient,A\n1,1\n", {"id_column": "x"}, "no column `x` as --id-column says"),
        ("patient,A\n1,1\n", {"labels": "A,A"}, "names `A` of .* twice"),
        ("patient,A\n1,1\n", {"labels": "patient,A"}, "names `patient` of .* for the group"),
        ("patient,A,B\n1,1,7\n", {"labels": "A,B"}, "`B` of .* holds more than 1, 0, -1"),
        ("patient,A\n1,x\n", {}, "no columns of 0 and 1"),
        ("patient,A\n", {}, "has no rows"),
        ("patient,A,A\n1,1,1\n", {}, "two columns named `A`"),
        ("patient,image_id,A\n1,i,1\n2,i,1\n", {}, "is no image id \\(1 rows repeat one\\)"),
        ("patient,A\n1,1\n,1\n", {}, "is blank in 1 rows"),
        ("patient,A\n1,1\n", {"image_column": "A"}, "needs a Parquet table"),
        ("patient,A\n1,1\n", {"head": 5}, "--medium 1000 is above --head 5"),
        ("", {}, "not a readable table|is empty"),
    ],
)
def test_tables_that_cannot_be_used_say_why(
    content: str, options: dict[str, object], message: str, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(UserError, match=message):
        split_table(tmp_path / "t.csv", tmp_path / "out", TableConfig.model_validate(options))
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_image_columns_are_checked(tmp_path: Path) -> None:
    table = (
        image_table(4).append_column("blob", pa.array([b"no image"] * 4)).append_column("jpg", pa.array([png(0)] * 4))
    )
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(UserError, match="images in png, jpg; choose one"):
        split_table(tmp_path / "t.parquet", tmp_path / "out", TableConfig())
    with pytest.raises(UserError, match="holds no encoded images"):
        split_table(tmp_path / "t.parquet", tmp_path / "out", TableConfig(image_column="blob"))
    with pytest.raises(UserError, match="no column `gif`"):
        split_table(tmp_path / "t.parquet", tmp_path / "out", TableConfig(image_column="gif"))
    done = split_table(tmp_path / "t.parquet", tmp_path / "out", TableConfig(image_column="png"))
    assert done.table.image_column == "png"


def test_a_row_without_image_is_named(tmp_path: Path) -> None:
    table = image_table(20)
    holes = pa.array([None if i == 11 else png(i) for i in range(20)])
    pq.write_table(table.set_column(table.column_names.index("png"), "png", holes), tmp_path / "t.parquet")
    with pytest.raises(UserError, match=r"row 12 of .* has no image in column `png`"):
        split_table(tmp_path / "t.parquet", tmp_path / "out", TableConfig())
    assert [path.name for path in (tmp_path / "out").iterdir() if not path.name.startswith(".lock")] == []


def test_dictionary_columns_are_read_as_what_they_hold(tmp_path: Path) -> None:
    table = pa.table(
        {"patient": pa.array(["a", "b", "a"]).dictionary_encode(), "A": pa.array([1, 0, 1]), "B": [0, 0, 1]}
    )
    table = table.set_column(1, "A", pa.array(["1", "0", None]).dictionary_encode())
    pq.write_table(table, tmp_path / "t.parquet")
    read = read_labelled(tmp_path / "t.parquet")
    assert read.states.tolist() == [[1, 0], [0, 0], [NOT_MENTIONED, 1]]
    assert read.patients is not None
    assert read.patients.to_pylist() == ["a", "b", "a"]


def test_images_in_the_form_of_the_hub(tmp_path: Path) -> None:
    table = image_table(20).drop_columns(["png"])
    images = pa.array([{"bytes": png(i), "path": None} for i in range(20)])
    pq.write_table(table.append_column("image", images), tmp_path / "t.parquet")
    split_table(tmp_path / "t.parquet", tmp_path / "out", TableConfig())
    row = next(row for row in read_rows(tmp_path / "out") if row["image_id"] == "im7.png")
    assert row["image"] == {"bytes": png(7), "path": "im7.png"}


@pytest.mark.parametrize(
    ("path", "first", "n_labels"),
    [
        ("data/images/nih1000_64px.parquet", "Atelectasis", 15),
        ("data/tables/padchest_as_ltml39.parquet", "Enlarged Cardiomediastinum", 30),
        ("data/tables/padchest_labels.parquet", "COPD signs", 193),
        ("data/tables/chexpert_train_labels.parquet", "No Finding", 14),
    ],
)
def test_columns_of_real_tables_are_found(path: str, first: str, n_labels: int) -> None:
    table = read_labelled(shared(path))
    assert (table.label_names[0], len(table.label_names), table.columns.patient) == (first, n_labels, "patient")
    assert (table.image_column == "png") is path.startswith("data/images")
