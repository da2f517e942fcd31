"""Card, Croissant description and figures of a small folder, read back by the libraries that will read them."""

import hashlib
import json
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ltml_dataset.export.card import LabelNote, cell, label_notes
from ltml_dataset.export.card_yaml import dataset_yaml
from ltml_dataset.export.configs import FOLDERS, count_pairs, read_configs
from ltml_dataset.export.figures import conditional_probabilities
from ltml_dataset.export.manifest import LexiconStamp, Manifest, SplitCounts, group_labels
from ltml_dataset.export.parquet import SplitWriter
from ltml_dataset.export.presentation import write_presentation
from ltml_dataset.schema import SPLITS, image_schema, mention_schema, study_schema

NAMES = ("Edema", "No", "Mass | $N$odule: <left> 肺")
RATIOS = {"train": 0.6, "validation": 0.2, "test": 0.2}
FIGURES = ("conditional_probability", "long_tail", "split_balance")


def image_rows(n_rows: int, start: int) -> pa.Table:
    """Rows of config "images"; label 0 in every second, 1 in every third, 2 never."""
    ids = np.arange(start, start + n_rows)
    target = np.stack([ids % 2 == 0, ids % 3 == 0, ids < 0], axis=1).astype(np.int8)
    columns = [
        pa.array([f"i{i}" for i in ids]),
        pa.array(ids, pa.int32()),
        pa.array(ids, pa.int32()),
        pa.array(["PA"] * n_rows),
        pa.array([f"files/{i}.jpg" for i in ids]),
        pa.array([np.flatnonzero(row).tolist() for row in target], pa.list_(pa.int64())),
        pa.FixedSizeListArray.from_arrays(pa.array(target.ravel()), len(NAMES)),
    ]
    return pa.table(columns, schema=image_schema(NAMES))


def make_folder(folder: Path, *, mined: bool) -> Manifest:
    """The Parquet files of a small data set, and its manifest."""
    images = SplitWriter(folder / "data", image_schema(NAMES), NAMES, bytes_per_shard=1)
    studies = SplitWriter(folder / "studies", study_schema(NAMES))
    for start, split in zip((0, 60, 80), SPLITS, strict=True):
        rows = image_rows(60 if split == "train" else 20, start)
        images.write(split, rows)
        states = pa.nulls(rows.num_rows, pa.int8())
        studies.write(split, pa.table([rows[1], rows[2], *([states] * 4)], schema=study_schema(NAMES)))
    images.close()
    if mined:
        studies.close()
        mentions = SplitWriter(folder / "mentions", mention_schema())
        values = [1, 1, "Edema", 1, "findings", 0, 5, "edema", "chexpert", None, None, None, "default"]
        schema = mention_schema()
        mentions.write(
            "train", pa.table([pa.array([v], f.type) for v, f in zip(values, schema, strict=True)], schema=schema)
        )
        mentions.close()
    else:
        shutil.rmtree(folder / "studies")
    shown = {"all": range(100), "train": range(60), "validation": range(60, 80), "test": range(80, 100)}
    counts = {
        name: dict(zip(NAMES, (sum(i % 2 == 0 for i in ids), sum(i % 3 == 0 for i in ids), 0), strict=True))
        for name, ids in shown.items()
    }
    stamp = LexiconStamp(version="1.2", fingerprint="f" * 64, label_set="mine", profile="clinical")
    return Manifest(
        lexicon=stamp if mined else None,
        config={"split": {"ratios": "6:2:2", "group_by": "subject", "seed": 0, "ids": None}},
        inputs=[{"role": "table", "name": "a|b.csv", "bytes": 5, "sha256": "0" * 64}],  # type: ignore[list-item]
        labels=list(NAMES),
        groups=group_labels(counts["all"], 40, 10),
        group_thresholds={"head": 40, "medium": 10},
        counts={"reports": 100, "images": 100, "studies": 100},
        splits={name: SplitCounts(rows=n, studies=n, subjects=n) for name, n in zip(SPLITS, (60, 20, 20), strict=True)},
        label_counts=counts,
        notes=["Mass | Nodule: too rare."],
        agreement=[{"label": "Edema", "both": 3, "kappa": 0.51234}] if mined else [],
    )


@pytest.fixture(scope="module", params=[True, False], ids=["mined", "table"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything but its manifest file."""
    notes = {"Edema": LabelNote("Fluid | in\nthe lung.", "chexpert 2")}
    out = tmp_path_factory.mktemp("card") / "out"
    manifest = make_folder(out, mined=request.param)
    write_presentation(out, manifest, ratios=RATIOS, notes=notes, credentialed=request.param)
    return out


def test_the_card_loads_with_the_schema_of_the_files(folder: Path, tmp_path: Path) -> None:
    import datasets

    expected = [config.name for config in read_configs(folder)]
    assert datasets.get_dataset_config_names(str(folder)) == expected
    for config in read_configs(folder):
        loaded = datasets.load_dataset(str(folder), config.name, cache_dir=str(tmp_path / "cache"))
        assert list(loaded) == list(config.splits)
        assert loaded["train"].features.to_dict() == datasets.Features.from_dict(config.features).to_dict()
        assert {name: split.num_rows for name, split in loaded.items()} == {
            name: split.rows for name, split in config.splits.items()
        }
    images = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert images["test"].features["labels"].feature.names == list(NAMES)


def test_every_config_can_be_filtered_while_it_loads(folder: Path, tmp_path: Path) -> None:
    import datasets

    for config, column in (("images", "study_id"), ("studies", "study_id"), ("mentions", "status")):
        if config not in [each.name for each in read_configs(folder)]:
            continue
        files = sorted((folder / FOLDERS[config]).glob("train-*.parquet"))
        values = pq.read_table(files[0])[column].to_pylist()
        value = next(each for each in values if each is not None)
        loaded = datasets.load_dataset(
            str(folder), config, filters=[(column, "==", value)], split="train", cache_dir=str(tmp_path / config)
        )
        assert loaded.num_rows == sum(pq.read_table(file)[column].to_pylist().count(value) for file in files)


def test_the_yaml_is_what_the_hub_library_writes(folder: Path) -> None:
    from datasets import DatasetInfo, Features
    from datasets.info import DatasetInfosDict
    from huggingface_hub import DatasetCard, DatasetCardData

    infos = {}
    for config in read_configs(folder):
        infos[config.name] = DatasetInfo(features=Features.from_dict(config.features), config_name=config.name)
    data = DatasetCardData()
    DatasetInfosDict(infos).to_dataset_card_data(data)
    ours = DatasetCard.load(folder / "README.md").data.to_dict()["dataset_info"]
    theirs = data.to_dict()["dataset_info"]
    by_name = {info["config_name"]: info for info in (theirs if isinstance(theirs, list) else [theirs])}
    assert {info["config_name"]: info for info in ours} == by_name


def test_the_card_says_what_was_promised(folder: Path) -> None:
    text = (folder / "README.md").read_text(encoding="utf-8")
    mined = (folder / "studies").exists()
    headings = re.findall(r"^##+ (.*)$", text, flags=re.MULTILINE)
    for heading in ("Labels", "Splits", "Annotation process", "Agreement with other labels", "Licence", "Citation"):
        assert heading in headings
    assert "What must not be redistributed" in headings
    row = next(line for line in text.splitlines() if line.startswith("| 2 |"))
    assert r"Mass \| $N$odule: &lt;left> 肺" in row
    assert row.endswith("| tail | 0 | 0 | 0 | 0 |")
    assert ("Fluid \\| in the lung." in text) is mined
    assert ("0.512" in text) is mined
    assert ("PhysioNet" in text) is mined
    assert "6:2:2 for train, validation and test" in text
    assert "- Mass | Nodule: too rare." in text
    assert "{{" not in text
    for name in re.findall(r"\]\((figures/[^)]*)\)", text):
        assert (folder / name).is_file()


def test_every_table_of_the_card_has_equal_rows(folder: Path) -> None:
    lines = (folder / "README.md").read_text(encoding="utf-8").splitlines()
    width = 0
    for line in lines:
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert cells in (0, width) or width == 0, line
        width = cells


@pytest.mark.filterwarnings("ignore")  # mlcroissant uses what rdflib and pandas deprecate
def test_croissant_validates_and_reads_records(folder: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    dataset = mlcroissant.Dataset(jsonld=str(folder / "croissant.json"))
    assert not dataset.metadata.issues.errors
    records = list(dataset.records("images"))
    assert len(records) == 100
    assert {record["images/split"] for record in records} == {b"train", b"validation", b"test"}
    by_id = {record["images/image_id"]: record for record in records}
    assert list(by_id[b"i6"]["images/labels"]) == [0, 1]
    assert list(by_id[b"i6"]["images/target"]) == [1, 1, 0]


def test_croissant_names_every_file_with_its_hash(folder: Path) -> None:
    content = json.loads((folder / "croissant.json").read_text(encoding="utf-8"))
    files = {item["contentUrl"]: item["sha256"] for item in content["distribution"] if "contentUrl" in item}
    on_disk = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.parquet")}
    assert files == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in on_disk.items()}


def test_figures_are_drawn_and_equal_input_gives_equal_bytes(folder: Path, tmp_path: Path) -> None:
    from PIL import Image

    again = tmp_path / "again"
    manifest = make_folder(again, mined=(folder / "studies").exists())
    notes = {"Edema": LabelNote("Fluid | in\nthe lung.", "chexpert 2")}
    write_presentation(again, manifest, ratios=RATIOS, notes=notes, credentialed=(folder / "studies").exists())
    assert sorted(path.stem for path in (folder / "figures").glob("*.svg")) == sorted(FIGURES)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (again / path.relative_to(folder)).read_bytes(), path.name
    for stem in FIGURES:
        with Image.open(folder / "figures" / f"{stem}.png") as image:
            assert min(image.size) > 300
        svg = ElementTree.parse(folder / "figures" / f"{stem}.svg").getroot()
        text = "".join(svg.itertext())
        assert "Edema" in text
        assert (NAMES[2] in text) is (stem != "split_balance")  # it has no image, so no share either


def test_pairs_and_conditional_probabilities(folder: Path) -> None:
    pairs = count_pairs(read_configs(folder)[0], len(NAMES))
    assert pairs.tolist() == [[50, 17, 0], [17, 34, 0], [0, 0, 0]]
    shares = conditional_probabilities(pairs)
    assert shares[:2].tolist() == [[1.0, 0.34, 0.0], [0.5, 1.0, 0.0]]
    assert np.isnan(shares[2]).all()


def test_yaml_strings_survive_both_yaml_versions(folder: Path) -> None:
    import yaml
    from ruamel.yaml import YAML

    text = dataset_yaml(read_configs(folder), {"pretty_name": 'off: "x" # é', "tags": [], "language": ["no"]})
    first, second = yaml.safe_load(text), YAML(typ="safe").load(text)
    assert first == second
    assert (first["pretty_name"], first["tags"], first["language"]) == ('off: "x" # é', [], ["no"])


def test_label_notes_come_from_the_lexicon() -> None:
    from ltml_lexicons.choose import choose_labels

    chosen = choose_labels()
    notes = label_notes(chosen)
    assert list(notes) == list(chosen.names)
    assert notes["Pleural Effusion"].definition.startswith("Fluid in the pleural space")
    assert re.search(r"chexpert \d", notes["Pleural Effusion"].phrases)
    assert "curated" not in label_notes(chosen, "paper")["Pleural Effusion"].phrases


def test_cells_hold_no_markup() -> None:
    assert cell("a | b\n<c>\\") == r"a \| b &lt;c>\\"
