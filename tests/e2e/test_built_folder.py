"""A built folder as its users open it: datasets with and without streaming, pixels, a torch loader, verify."""

from pathlib import Path

import numpy as np
import pytest
from datasets import ClassLabel, List, Value, get_dataset_config_names, load_dataset

from ltml_dataset import attach_images, load
from ltml_dataset.config import BuildConfig
from ltml_dataset.export.loading import load_labels
from ltml_dataset.export.manifest import differences
from ltml_dataset.pipeline import Built, build
from ltml_dataset.schema import NO_FINDING
from ltml_dataset.simulate import SimulatedRelease, simulate_release


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> SimulatedRelease:
    return simulate_release(tmp_path_factory.mktemp("release"), 60, seed=1, images=32)


@pytest.fixture(scope="module")
def built(release: SimulatedRelease, tmp_path_factory: pytest.TempPathFactory) -> Built:
    out = tmp_path_factory.mktemp("built") / "set"
    return build(BuildConfig(reports=release.reports, metadata=release.metadata, out=out, workers=2))


def test_load_dataset_opens_every_config_with_names_in_order(built: Built, tmp_path: Path) -> None:
    folder, names = str(built.out), built.manifest.labels
    assert get_dataset_config_names(folder) == ["images", "studies", "mentions"]
    images = load_dataset(folder, cache_dir=str(tmp_path))
    assert images["train"].features["labels"] == List(ClassLabel(names=names))
    assert images["train"].features["target"] == List(Value("int8"), length=39)
    assert {split: rows.num_rows for split, rows in images.items()} == {
        split: counts.rows for split, counts in built.manifest.splits.items()
    }
    studies = load_dataset(folder, "studies", cache_dir=str(tmp_path))
    assert studies["train"].column_names == ["subject_id", "study_id", *names, NO_FINDING]
    mentions = load_dataset(folder, "mentions", cache_dir=str(tmp_path))
    assert "text" not in mentions["train"].column_names
    assert sum(mentions.num_rows.values()) == built.manifest.counts["mentions"]


@pytest.mark.parametrize("config", ["images", "studies", "mentions"])
def test_streaming_gives_the_same_rows(built: Built, tmp_path: Path, config: str) -> None:
    streamed = list(load_dataset(str(built.out), config, split="test", streaming=True))
    loaded = load_dataset(str(built.out), config, split="test", cache_dir=str(tmp_path))
    assert streamed == list(loaded)


def test_labels_in_one_array_are_those_of_the_rows(built: Built) -> None:
    labels = load_labels(built.out, "train")
    rows = load(built.out)["train"]
    assert labels.image_ids.to_pylist() == rows["image_id"][:]
    assert np.array_equal(labels.target, np.array(rows["target"][:]))


def test_a_torch_loader_gets_pixels_and_labels(built: Built, release: SimulatedRelease) -> None:
    torch = pytest.importorskip("torch", reason="needs the extra [benchmark]")
    if release.images is None:
        raise AssertionError("the release was asked for images")
    rows = load(built.out, image_root=release.images)["train"]

    def collate(batch: list[dict[str, object]]) -> tuple[object, object]:
        pixels = torch.stack([torch.from_numpy(np.array(row["image"], dtype=np.float32)) for row in batch])
        return pixels, torch.tensor([row["target"] for row in batch], dtype=torch.float32)

    seen = 0
    for pixels, target in torch.utils.data.DataLoader(rows, batch_size=8, collate_fn=collate):
        assert pixels.shape[1:] == (32, 32)
        assert target.shape == (len(pixels), 39)
        seen += len(pixels)
    assert seen == built.manifest.splits["train"].rows
    assert attach_images(load(built.out)["test"], release.images / "files")[0]["image"].size == (32, 32)


def test_the_folder_is_what_its_manifest_says(built: Built) -> None:
    assert differences(built.out) == []
    assert {"README.md", "croissant.json", "figures/long_tail.svg"} <= built.manifest.files.keys()
