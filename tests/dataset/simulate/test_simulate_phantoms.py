"""Phantoms: files where the tables say, and marks that can be told apart."""

from pathlib import Path

import numpy as np
from PIL import Image

from ltml_dataset.simulate import simulate_release
from ltml_dataset.simulate.findings import LABELS
from ltml_dataset.simulate.phantoms import MARKS, draw_batch, mark_strengths


def test_every_image_of_the_tables_is_there(tmp_path: Path) -> None:
    release = simulate_release(tmp_path / "a", 40, images=48)
    names = release.image_filenames.read_text().splitlines()
    assert release.images is not None
    assert sorted(names) == sorted(str(p.relative_to(release.images)) for p in release.images.rglob("*.jpg"))
    with Image.open(release.images / names[0]) as image:
        assert (image.mode, image.size, image.format) == ("L", (48, 48), "JPEG")
    again = simulate_release(tmp_path / "b", 40, images=48)
    for name in names:
        assert (again.root / name).read_bytes() == (release.root / name).read_bytes()


def test_marks_differ_from_the_background_and_from_each_other() -> None:
    rng = np.random.default_rng(0)
    frontal = np.zeros(60, bool)
    plain = draw_batch(rng, np.zeros((60, 39), np.float32), frontal, 48).mean(axis=0)
    means = []
    for c in range(39):
        strengths = np.zeros((60, 39), np.float32)
        strengths[:, c] = 1
        means.append(draw_batch(rng, strengths, frontal, 48).mean(axis=0) - plain)
    for c, mean in enumerate(means):
        assert np.abs(mean).max() > 8, LABELS[c]
    flat = np.array([mean.ravel() for mean in means])
    alike = np.corrcoef(flat) - np.eye(39)
    assert alike.max() < 0.97


def test_every_class_has_its_mark_and_hedges_show_half_the_time() -> None:
    assert set(MARKS) == set(LABELS)
    assert len(set(MARKS.values())) == 39
    states = np.full((4000, 39), -1, np.int8)
    strengths = mark_strengths(np.random.default_rng(0), states)
    assert np.allclose(np.unique(strengths), [0.0, 0.6])
    assert abs((strengths > 0).mean() - 0.5) < 0.01
    assert mark_strengths(np.random.default_rng(0), np.zeros((3, 39), np.int8)).max() == 0
