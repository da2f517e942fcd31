"""Writers: what loads back, what is refused, and bytes that depend on the rows alone."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Features, Image, List, Value, load_dataset
from small_folder import NAMES, image_rows

from ltml_dataset.errors import UserError
from ltml_dataset.export.parquet import SplitWriter, label_names_of, with_hub_features, write_parquet, write_text
from ltml_dataset.schema import image_schema, mention_schema, study_schema


def test_datasets_reads_the_features_from_the_schema_alone() -> None:
    schema = with_hub_features(image_schema(NAMES, with_image=True, with_verified=True, with_sources=True), NAMES)
    expected = Features(
        {
            "image_id": Value("string"),
            "subject_id": Value("int32"),
            "study_id": Value("int32"),
            "view": Value("string"),
            "image_path": Value("string"),
            "labels": List(ClassLabel(names=list(NAMES))),
            "target": List(Value("int8"), length=3),
            "image": Image(),
            "verified": List(Value("int8"), length=3),
            "label_source": List(Value("string"), length=3),
        }
    )
    assert Features.from_arrow_schema(schema) == expected
    assert schema.metadata == expected.arrow_schema.metadata
    assert label_names_of(schema) == NAMES


@pytest.mark.parametrize("schema", [study_schema(NAMES), mention_schema(pa.string())])
def test_every_config_says_its_features(schema: pa.Schema) -> None:
    features = Features.from_arrow_schema(with_hub_features(schema))
    assert list(features) == schema.names
    assert features.arrow_schema.types == schema.types


def test_names_are_missing_from_a_foreign_schema() -> None:
    with pytest.raises(UserError, match="no label names"):
        label_names_of(pa.schema([("x", pa.int8())]))


def test_shards_depend_on_the_rows_not_on_the_calls(tmp_path: Path) -> None:
    rows = image_rows(950)
    written = []
    for cuts in ([950], [1, 99, 101, 0, 749], [500, 450]):
        folder = tmp_path / str(len(cuts))
        n_bytes = rows.slice(0, 300).nbytes
        writer = SplitWriter(folder, image_schema(NAMES), NAMES, bytes_per_shard=n_bytes, rows_per_group=100)
        start = 0
        for n_rows in cuts:
            writer.write("train", rows.slice(start, n_rows))
            start += n_rows
        counts = writer.close()
        written.append({path.name: path.read_bytes() for path in folder.iterdir()})
        assert sum(counts.values()) == 950
        assert pq.ParquetDataset([path for path in counts if "train" in path.name]).read()["image_id"].to_pylist() == (
            rows["image_id"].to_pylist()
        )
    assert written[0] == written[1] == written[2]
    n_shards = len(written[0])
    assert n_shards > 1
    assert sorted(written[0])[0] == f"train-00000-of-{n_shards:05d}.parquet"


def test_an_empty_split_has_no_file(tmp_path: Path) -> None:
    writer = SplitWriter(tmp_path / "data", image_schema(NAMES), NAMES)
    writer.write("train", image_rows(2))
    writer.write("test", image_rows(0))
    assert {path.name: n for path, n in writer.close().items()} == {"train-00000-of-00001.parquet": 2}
    dataset = load_dataset(str(tmp_path), cache_dir=str(tmp_path / "cache"))
    assert dataset.num_rows == {"train": 2}


@pytest.mark.parametrize(
    "spoil, complaint",
    [
        (lambda rows: rows.drop_columns(["view"]), "columns"),
        (lambda rows: rows.set_column(1, "subject_id", rows["subject_id"].cast(pa.int64())), "int64"),
        (lambda rows: rows.set_column(0, "image_id", pa.array([None] * len(rows), pa.string())), "nulls"),
    ],
)
def test_rows_off_schema_are_refused(tmp_path: Path, spoil: object, complaint: str) -> None:
    writer = SplitWriter(tmp_path, image_schema(NAMES), NAMES)
    with pytest.raises(ValueError, match=complaint):
        writer.write("train", spoil(image_rows(3)))  # type: ignore[operator]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.parquet"
    write_parquet(image_rows(3), path)
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(UserError, match=r"t\.parquet.*No space left"):
        write_parquet(image_rows(4), path)
    assert path.read_bytes() == before


def test_a_missing_parent_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    with pytest.raises(UserError, match="could not be written"):
        write_text("card", tmp_path / "out" / "README.md")
