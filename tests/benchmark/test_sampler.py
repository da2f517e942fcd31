"""Structure, frequencies, resuming and sharding of class-aware re-sampling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from loss_fixtures import compact_cases

from ltml_benchmark.errors import UserError
from ltml_benchmark.sampler import ClassAwareSampler

LABELS = hnp.arrays(np.int8, st.tuples(st.integers(1, 40), st.integers(1, 6)), elements=st.integers(0, 1)).filter(
    lambda y: bool(y.any())
)


@pytest.mark.parametrize("case", list(compact_cases("sampler")), ids=lambda case: case.name)
def test_length_and_frequencies_are_those_of_the_reference(case) -> None:  # type: ignore[no-untyped-def]
    labels = case.integers("labels")
    sampler = ClassAwareSampler(labels, seed=0, reduce=case.params["reduce"])
    assert len(sampler) == int(case["epoch_length"])
    np.testing.assert_allclose(sampler.image_probability(), case["expected_image_prob"], rtol=1e-12)
    drawn = np.concatenate([sampler.epoch_indices(epoch) for epoch in range(400)])
    np.testing.assert_allclose(labels[drawn].mean(axis=0), case["expected_class_freq"], atol=0.01)
    np.testing.assert_allclose(
        np.bincount(drawn, minlength=len(labels)) / len(drawn), case["expected_image_prob"], atol=0.003
    )


@settings(max_examples=60, deadline=None)
@given(LABELS, st.integers(0, 5), st.integers(1, 4))
def test_groups_cycles_and_lists(labels: np.ndarray, seed: int, per_class: int) -> None:
    """Each class is visited once per cycle, and its images are used up before any comes again, across epochs."""
    sampler = ClassAwareSampler(labels, seed=seed, reduce=1, samples_per_class=per_class)
    stream = [sampler.epoch_indices(epoch) for epoch in range(3)]
    counts = (labels > 0).sum(axis=0)
    classes = np.flatnonzero(counts)
    length = int(counts.max()) * len(classes)
    assert all(len(indices) == length for indices in stream)
    groups = -(-length // per_class)
    visits = [sampler._cycle((0,), sampler._classes, e * groups, (e + 1) * groups) for e in range(3)]
    anchors = np.concatenate(visits)
    for start in range(0, len(anchors) - len(classes) + 1, len(classes)):
        assert sorted(anchors[start : start + len(classes)]) == classes.tolist()
    used: dict[int, list[int]] = {int(c): [] for c in classes}
    for indices, visited in zip(stream, visits, strict=True):
        for place, c in enumerate(visited):
            group = indices[place * per_class : (place + 1) * per_class]
            assert (labels[group, c] > 0).all()
            used[int(c)] += [int(i) for i in group]
            if len(group) < per_class:
                used[int(c)].clear()  # the rest of a cut group is drawn and dropped, so the lists start anew below
                break
    if length % per_class == 0:
        for c, images in used.items():
            n = int(counts[c])
            for start in range(0, len(images) - n + 1, n):
                assert len(set(images[start : start + n])) == n


@settings(max_examples=30, deadline=None)
@given(LABELS, st.integers(0, 3), st.integers(0, 50))
def test_resumes_exactly_at_any_place(labels: np.ndarray, epoch: int, position: int) -> None:
    sampler = ClassAwareSampler(labels, seed=3, reduce=1)
    sampler.set_epoch(epoch)
    stream = iter(sampler)
    for _ in range(min(position, len(sampler) - 1)):
        next(stream)
    state = sampler.state_dict()
    rest = list(stream)
    resumed = ClassAwareSampler(labels, seed=3, reduce=1)
    resumed.load_state_dict(state)
    assert list(resumed) == rest
    assert resumed.state_dict() == sampler.state_dict()
    assert list(resumed) == list(sampler)


@settings(max_examples=30, deadline=None)
@given(LABELS, st.integers(2, 4))
def test_shards_join_to_the_stream_of_one_process(labels: np.ndarray, world_size: int) -> None:
    whole = ClassAwareSampler(labels, reduce=1).epoch_indices(1)
    if len(whole) < world_size:
        with pytest.raises(UserError, match="too short"):
            ClassAwareSampler(labels, reduce=1, rank=0, world_size=world_size)
        return
    shards = []
    for rank in range(world_size):
        sampler = ClassAwareSampler(labels, reduce=1, rank=rank, world_size=world_size)
        sampler.set_epoch(1)
        shards.append(list(sampler))
        assert len(shards[-1]) == len(sampler)
    joined = np.array(shards).T.reshape(-1)
    assert joined.tolist() == whole[: len(joined)].tolist()
    assert len(whole) - len(joined) < world_size


def test_seed_and_epoch_decide() -> None:
    labels = np.random.default_rng(0).random((60, 5)) < 0.3
    first = ClassAwareSampler(labels, seed=0).epoch_indices(0)
    assert np.array_equal(first, ClassAwareSampler(labels, seed=0).epoch_indices(0))
    assert not np.array_equal(first, ClassAwareSampler(labels, seed=1).epoch_indices(0))
    assert not np.array_equal(first, ClassAwareSampler(labels, seed=0).epoch_indices(1))


def test_images_without_a_positive_are_never_drawn_and_empty_classes_are_left_out() -> None:
    labels = np.array([[1, 0, 0], [0, 0, 0], [0, 0, 1]])
    sampler = ClassAwareSampler(labels, reduce=0.1)
    assert set(sampler) == {0, 2}
    assert sampler.image_probability().tolist() == [0.5, 0.0, 0.5]


def test_setting_the_same_epoch_keeps_the_place() -> None:
    sampler = ClassAwareSampler(np.ones((12, 2)), reduce=1)
    sampler.load_state_dict({"seed": 0, "epoch": 4, "position": 20, "world_size": 1})
    sampler.set_epoch(4)
    assert len(list(sampler)) == len(sampler) - 20
    assert sampler.state_dict(position=7) == {"seed": 0, "epoch": 5, "position": 7, "world_size": 1}


def test_wrong_use_is_a_user_error() -> None:
    with pytest.raises(UserError, match="uniform sampling"):
        ClassAwareSampler(np.zeros((5, 3)))
    with pytest.raises(UserError, match="rank below world_size"):
        ClassAwareSampler(np.ones((5, 3)), rank=2, world_size=2)
    with pytest.raises(UserError, match="seed 1 and 1 processes"):
        ClassAwareSampler(np.ones((5, 3))).load_state_dict({"seed": 1, "epoch": 0, "position": 0, "world_size": 1})
