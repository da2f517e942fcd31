"""Views of images: sizes, ranges, and the geometry of crop and flip."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ltml_benchmark.config import TransformConfig
from ltml_benchmark.transforms import evaluation_view, training_view, view_draws

PLAIN = TransformConfig(image_size=16, photometric=False, crop=1.0, flip=0.0, mean=(0, 0, 0), std=(1, 1, 1))


def images(count: int = 4, size: int = 16) -> torch.Tensor:
    return torch.randint(0, 256, (count, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_without_augmentation_a_training_view_is_the_image() -> None:
    view = training_view(images(), PLAIN, view_draws(4, 0))
    assert view.shape == (4, 3, 16, 16)
    torch.testing.assert_close(view[:, 1], images().float(), atol=0.02, rtol=0)


def test_a_certain_flip_mirrors_left_and_right() -> None:
    view = training_view(images(), PLAIN.model_copy(update={"flip": 1.0}), view_draws(4, 0))
    torch.testing.assert_close(view[:, 0], images().float().flip(-1), atol=0.02, rtol=0)


def test_normalisation_uses_the_constants_per_channel() -> None:
    view = evaluation_view(images(), TransformConfig(image_size=16))
    expected = (images()[0, 3, 5].float() - torch.tensor([123.675, 116.28, 103.53])) / torch.tensor(
        [58.395, 57.12, 57.375]
    )
    torch.testing.assert_close(view[0, :, 3, 5], expected)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**31), crop=st.floats(0.5, 1.0))
def test_a_crop_keeps_its_share_of_a_ramp(seed: int, crop: float) -> None:
    ramp = torch.arange(64, dtype=torch.uint8).repeat(8, 64, 1)
    config = PLAIN.model_copy(update={"crop": crop, "image_size": 32})
    view = training_view(ramp, config, view_draws(8, seed))[:, 0]
    share = (view[:, :, -1] - view[:, :, 0]).mean(dim=1) / 31 / 2
    assert bool(((share > crop - 0.05) & (share < 1.03)).all())
    assert float(view.min()) >= 0
    assert float(view.max()) <= 63


def test_brightness_and_contrast_stay_in_their_limits() -> None:
    grey = torch.full((2000, 8, 8), 100, dtype=torch.uint8)
    config = PLAIN.model_copy(update={"photometric": True, "image_size": 8})
    values = training_view(grey, config, view_draws(2000, 3))[:, 0, 4, 4]
    assert float(values.min()) >= 68 * 0.5
    assert float(values.max()) <= 132 * 1.5
    assert float((values - 100).abs().lt(0.01).float().mean()) == pytest.approx(0.25, abs=0.04)


def test_the_same_draws_give_the_same_views_in_any_part_of_a_batch() -> None:
    config = TransformConfig(image_size=16)
    draws = view_draws(4, 9)
    whole = training_view(images(), config, draws)
    halves = torch.cat([training_view(images()[:2], config, draws[:2]), training_view(images()[2:], config, draws[2:])])
    torch.testing.assert_close(whole, halves)
    assert not torch.equal(view_draws(4, 9), view_draws(4, 10))
