"""The balance table and the reasons it gives."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ltml_dataset.splits import ALL_ROWS, balance_notes, balance_table
from ltml_dataset.splits.reach import can_balance, least_deviation


def test_counts_shares_and_deviations() -> None:
    labels = np.array([[1, 0], [1, 0], [1, 1], [0, 0]])
    cells = balance_table(labels, ["train", "train", "test", "validation"], ["A", "B"], ratios=(0.5, 0.25, 0.25))
    found = {(cell.label, cell.split): (cell.count, cell.share, cell.deviation, cell.within) for cell in cells}
    assert found[(ALL_ROWS, "train")] == (2, 0.5, 0.0, True)
    assert found[("A", "train")] == (2, 2 / 3, pytest.approx(1 / 6), True)
    assert found[("B", "test")] == (1, 1.0, 0.75, True)
    assert [cell.label for cell in cells[::3]] == [ALL_ROWS, "A", "B"]


def test_a_label_without_positives_has_no_share() -> None:
    cells = balance_table([[0]], ["train"], ["Rare"])
    assert (cells[3].share, cells[3].deviation, cells[3].within, cells[3].reason) == (None, None, True, "")


def test_reasons() -> None:
    groups = np.repeat(np.arange(20), 10)
    labels = np.zeros((200, 3), dtype=np.int8)
    labels[:2, 0] = 1  # one group
    labels[[0, 10, 20], 1] = 1  # three groups, one image each
    labels[:60, 2] = 1  # six groups of ten
    splits = np.repeat(["train"] * 14 + ["validation"] * 2 + ["test"] * 4, 10)
    cells = {(cell.label, cell.split): cell.reason for cell in balance_table(labels, splits, ["a", "b", "c"], groups)}
    assert cells[("a", "validation")] == "too rare: 1 group for 3 splits"
    assert cells[("b", "validation")] == "too rare to balance: 3 images, of which every split gets one"
    assert cells[("c", "test")] == "too few to balance: 6 groups, the largest with 10 of 60 images"
    notes = balance_notes(balance_table(labels, splits, ["a", "b", "c"], groups))
    assert [note.split(":")[0] for note in notes] == ["a", "b", "c"]
    assert notes[0] == "a: 2 train, 0 validation, 0 test; too rare: 1 group for 3 splits."


@given(st.lists(st.integers(1, 6), min_size=1, max_size=7), st.sampled_from([(7, 1, 2), (1, 1), (1, 1, 1), (8, 0, 2)]))
@settings(max_examples=80, deadline=None)
def test_can_balance_agrees_with_trying_everything(sizes: list[int], parts: tuple[int, ...]) -> None:
    used = [part for part in parts if part]
    total = sum(sizes)
    limit = max(total / 1000, 1)

    def fits(deal: tuple[int, ...]) -> bool:
        counts = [sum(s for s, k in zip(sizes, deal, strict=True) if k == part) for part in range(len(used))]
        near = all(abs(c - total * u / sum(used)) <= limit + 1e-9 for c, u in zip(counts, used, strict=True))
        return near and (len(sizes) < len(used) or min(counts) > 0)

    deals = list(itertools.product(range(len(used)), repeat=len(sizes)))
    assert can_balance(sizes, parts) is any(fits(deal) for deal in deals)

    def furthest(deal: tuple[int, ...]) -> int:
        counts = [sum(s for s, k in zip(sizes, deal, strict=True) if k == part) for part in range(len(used))]
        if len(sizes) >= len(used) and min(counts) == 0:
            return 10**9
        return max(abs(c * sum(used) - total * u) for c, u in zip(counts, used, strict=True))

    assert least_deviation(sizes, parts) == min(furthest(deal) for deal in deals)


def test_labels_too_wide_to_walk_are_left_open() -> None:
    assert least_deviation([2**i for i in range(12)], (1, 1, 1, 1)) is None
    assert can_balance(list(range(1, 200)), (7, 1, 2)) in (None, True)


def test_splits_must_be_known() -> None:
    with pytest.raises(ValueError, match="dev"):
        balance_table([[1]], ["dev"], ["A"])
