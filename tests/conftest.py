"""Faults that are known and open: each fails today, is listed with its test, and fails the run once it is mended."""

import pytest

OPEN_FRAMES = (
    "previously_p_now_normal",
    "negative_for_a_and_x",
    "past_history_of",
    "no_xs",
    "several",
    "s_may_be_p",
    "s_no_longer_verb",
    "s_possibly_verb",
)
OPEN_LABELS = (
    "bilateral_hilar_enlargement",
    "diaphragmatic_hernia",
    "pericardial_effusion",
)
OPEN_FAULTS = (
    *(f"test_a_frame_is_read_as_it_says[{frame}]" for frame in OPEN_FRAMES),
    *(f"test_a_label_is_read_as_its_frames_say[{label}]" for label in OPEN_LABELS),
    "found_nowhere_else[bronchiectasis-23]",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the open faults."""
    for item in items:
        if item.nodeid.endswith(OPEN_FAULTS):
            item.add_marker(pytest.mark.xfail(reason="known and open", strict=True))
