"""Faults that are known and open: each fails today, is listed with its test, and fails the run once it is mended."""

import pytest

OPEN_FAULTS = (
    "test_a_frame_is_read_as_it_says[head_no_first]",
    "test_a_frame_is_read_as_it_says[head_no_list]",
    "test_a_frame_is_read_as_it_says[head_neither]",
    "test_a_frame_is_read_as_it_says[head_and_first]",
    "test_a_frame_is_read_as_it_says[head_unchanged]",
    "test_a_frame_is_read_as_it_says[head_possible]",
    "test_a_frame_is_read_as_it_says[head_both_resolved]",
    "test_every_stem_knows_how_its_words_end",
    "found_nowhere_else[bronchiectasis-23]",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the open faults."""
    for item in items:
        if item.nodeid.endswith(OPEN_FAULTS):
            item.add_marker(pytest.mark.xfail(reason="known and open", strict=True))
