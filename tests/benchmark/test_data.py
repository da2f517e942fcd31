"""The built folder and its pixels: files, bytes and cache give the same arrays."""

import io
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ltml_benchmark import cache as cache_module
from ltml_benchmark.cache import ImageCache, build_cache
from ltml_benchmark.data import label_names, open_folder
from ltml_benchmark.decode import decode_gray
from ltml_benchmark.errors import UserError
from ltml_benchmark.phantoms import LABELS, drop_positives
from ltml_benchmark.pixels import open_pixels, sources_of


def read_all(pixels, count: int) -> np.ndarray:
    with ThreadPoolExecutor(2) as pool:
        return pixels.read(np.arange(count), pool)


def test_labels_groups_and_targets_come_from_the_folder(phantom_folder: Path) -> None:
    folder = open_folder(phantom_folder)
    assert folder.labels == LABELS
    assert sorted(place for places in folder.groups.values() for place in places) == list(range(len(LABELS)))
    train = folder.splits["train"]
    rows = pq.read_table(train.shards[0], columns=["target"])["target"].to_pylist()
    assert train.target.tolist() == rows
    counts, total = folder.class_counts("train")
    assert total == 96
    assert counts.tolist() == np.sum(rows, axis=0).tolist()
    assert folder.class_counts("all")[1] == 96 + 60 + 60


def test_rows_of_one_patient_share_a_code(phantom_folder: Path) -> None:
    split = open_folder(phantom_folder).splits["test"]
    names = pq.read_table(split.shards[0], columns=["subject_id"])["subject_id"].to_pylist()
    assert (
        len(set(zip(names, split.subject.tolist(), strict=True))) == len(set(names)) == len(set(split.subject.tolist()))
    )


def test_a_variable_length_list_of_targets_reads_the_same(phantom_folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(phantom_folder, tmp_path / "copy")
    path = copy / "data" / "train-00000-of-00001.parquet"
    table = pq.read_table(path)
    place = table.schema.get_field_index("target")
    lists = pa.array(table["target"].to_pylist(), pa.list_(pa.int8()))
    pq.write_table(table.set_column(place, "target", lists), path)
    assert (open_folder(copy).splits["train"].target == open_folder(phantom_folder).splits["train"].target).all()


def broken(folder: Path, tmp_path: Path, change) -> Path:
    copy = shutil.copytree(folder, tmp_path / "copy")
    change(copy)
    return copy


def rename_label(copy: Path) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["labels"][0] = "Something Else"
    manifest["groups"]["head"][0] = "Something Else"
    (copy / "manifest.json").write_text(json.dumps(manifest))


def unknown_group_member(copy: Path) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["groups"]["tail"].append("Nothing")
    (copy / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda copy: (copy / "manifest.json").unlink(), "manifest.json was not found"),
        (lambda copy: (copy / "manifest.json").write_text("{"), "lacks a list of `labels`"),
        (rename_label, "label names inside"),
        (unknown_group_member, "groups name others"),
        (lambda copy: (copy / "data" / "test-00000-of-00001.parquet").unlink(), "no test-"),
        (lambda copy: (copy / "data" / "test-00000-of-00001.parquet").write_bytes(b"x"), "no readable Parquet"),
    ],
)
def test_a_broken_folder_is_one_sentence(phantom_folder: Path, tmp_path: Path, change, named: str) -> None:
    with pytest.raises(UserError, match=named):
        open_folder(broken(phantom_folder, tmp_path, change))


def test_files_bytes_and_cache_give_the_same_pixels(phantom_folder, phantom_files, tmp_path: Path) -> None:
    by_bytes = open_pixels(open_folder(phantom_folder).splits["train"], None, 24)[0]
    folder, root = phantom_files
    split = open_folder(folder).splits["train"]
    by_file = open_pixels(split, root, 24)[0]
    inside = open_pixels(split, root / "files", 24)[0]
    ids = split.image_id.to_pylist()
    build_cache(ids[::-1], [root / "files" / f"{name}.png" for name in reversed(ids)], tmp_path, size=24)
    by_cache = open_pixels(split, tmp_path, 24)[0]
    expected = read_all(by_bytes, 96)
    assert expected.shape == (96, 24, 24)
    assert expected.std() > 10
    for other in (by_file, inside, by_cache):
        assert (read_all(other, 96) == expected).all()


def test_missing_images_stop_the_run_or_leave_it(phantom_files, tmp_path: Path) -> None:
    folder, root = phantom_files
    copy = shutil.copytree(root, tmp_path / "images")
    split = open_folder(folder).splits["validation"]
    gone = split.image_id.to_pylist()[3]
    (copy / "files" / f"{gone}.png").unlink()
    with pytest.raises(UserError, match=f"1 of 60 validation images .* {gone}"):
        open_pixels(split, copy, 24)
    pixels, kept = open_pixels(split, copy, 24, missing="drop")
    assert gone not in kept.image_id.to_pylist()
    assert len(kept) == 59
    complete = read_all(open_pixels(split, root, 24)[0], 60)
    assert (read_all(pixels, 59) == np.delete(complete, 3, axis=0)).all()
    with pytest.raises(UserError, match="was found"):
        open_pixels(split, tmp_path, 24)


def test_a_folder_without_pixels_asks_for_images(phantom_files) -> None:
    with pytest.raises(UserError, match="holds no pixels; give --images"):
        open_pixels(open_folder(phantom_files[0]).splits["train"], None, 24)


def test_a_killed_cache_goes_on_and_decodes_nothing_twice(phantom_files, tmp_path: Path, monkeypatch) -> None:
    _, root = phantom_files
    paths = sorted((root / "files").glob("*.png"))[:30]
    ids = [path.stem for path in paths]
    monkeypatch.setattr(cache_module, "CHUNK", 10)
    decoded: list[Path] = []

    def spy(source, size, shown=""):
        decoded.append(source)
        return decode_gray(source, size, shown)

    def stop(done: int) -> None:
        if done == 20:
            raise KeyboardInterrupt

    monkeypatch.setattr(cache_module, "decode_gray", spy)
    with pytest.raises(KeyboardInterrupt):
        build_cache(ids, paths, tmp_path / "cache", size=16, progress=stop)
    assert not (tmp_path / "cache" / "cache.json").exists()
    build_cache(ids, paths, tmp_path / "cache", size=16)
    assert sorted(decoded) == paths
    whole = ImageCache.open(tmp_path / "cache")
    assert (whole.pixels == np.stack([decode_gray(path, 16) for path in paths])).all()
    build_cache(ids, paths, tmp_path / "cache", size=16)
    assert len(decoded) == 30
    with pytest.raises(UserError, match="other images or another size"):
        build_cache(ids, paths, tmp_path / "cache", size=8)


def test_every_image_of_a_folder_is_cached_from_either_source(phantom_folder, phantom_files, tmp_path: Path) -> None:
    folder, root = phantom_files
    for name, data, images in (("bytes", phantom_folder, None), ("files", folder, root)):
        ids, sources = sources_of(open_folder(data), images)
        assert len(ids) == len(sources) == 96 + 60 + 60
        build_cache(ids, sources, tmp_path / name, size=16)
    first, second = ImageCache.open(tmp_path / "bytes"), ImageCache.open(tmp_path / "files")
    assert first.image_id.equals(second.image_id)
    assert (first.pixels == second.pixels).all()


def test_an_unreadable_image_is_named_and_absent(phantom_files, tmp_path: Path) -> None:
    _, root = phantom_files
    good = sorted((root / "files").glob("*.png"))[0]
    bad = tmp_path / "bad.png"
    bad.write_bytes(good.read_bytes()[:100])
    sources = [good, bad, tmp_path / "no.png"]
    about = build_cache(["good", "bad", "gone"], sources, tmp_path / "cache", size=16)
    assert [entry["image_id"] for entry in about["skipped"]] == ["bad", "gone"]
    opened = ImageCache.open(tmp_path / "cache")
    assert opened.positions(pa.chunked_array([["gone", "good", "bad", "unknown"]])).tolist() == [-1, 0, -1, -1]


def test_jpeg_draft_mode_differs_little_from_the_whole_image() -> None:
    y, x = np.mgrid[0:512, 0:600]
    smooth = np.uint8(127 + 60 * np.sin(x / 40) + 60 * np.cos(y / 50))
    buffer = io.BytesIO()
    Image.fromarray(smooth).save(buffer, "JPEG", quality=95)
    whole = np.asarray(Image.open(buffer).convert("L").resize((128, 128), Image.Resampling.BILINEAR), dtype=float)
    assert np.abs(decode_gray(buffer.getvalue(), 128) - whole).mean() < 1


def test_sixteen_bit_images_keep_their_contrast() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.linspace(100, 4000, 64 * 64).reshape(64, 64).astype(np.uint16)).save(buffer, "PNG")
    grey = decode_gray(buffer.getvalue(), 64)
    assert (grey.min(), grey.max()) == (0, 255)
    assert np.all(np.diff(grey.reshape(-1).astype(int)) >= 0)


def test_schema_metadata_names_the_labels(phantom_folder: Path) -> None:
    schema = pq.read_schema(phantom_folder / "data" / "train-00000-of-00001.parquet")
    assert label_names(schema) == LABELS
    assert label_names(pa.schema([])) is None
    older = {"info": {"features": {"labels": [{"names": ["a", "b"], "_type": "ClassLabel"}]}}}
    assert label_names(pa.schema([], metadata={"huggingface": json.dumps(older)})) == ("a", "b")


def test_dropped_positives_are_the_share_asked_for() -> None:
    labels = (np.random.default_rng(0).random((2000, 3)) < [0.5, 0.1, 0.001]).astype(np.uint8)
    noisy = drop_positives(labels, 0.4, np.random.default_rng(1))
    assert not (noisy > labels).any()
    lost = 1 - noisy.sum(axis=0) / labels.sum(axis=0)
    assert lost[:2] == pytest.approx(0.4, abs=0.01)
    assert noisy.sum(axis=0).min() >= 1
