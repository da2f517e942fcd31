"""A bounded number of strange inputs for every reader; `scripts/fuzz TARGET N` tries any number."""

import pytest
from fuzzing import failures, run


@pytest.mark.parametrize("target", ["label", "sections", "zip", "openi"])
def test_strange_inputs_end_well_or_in_one_sentence(target: str) -> None:
    results = run(target, 200)
    assert failures(results) == {}
    assert results.total() == 200
