"""Other projects' label names in ours."""

import pytest

from ltml_lexicons.errors import LexiconError
from ltml_lexicons.lexicon import load_lexicon
from ltml_lexicons.mappings import load_mapping, map_states


def test_every_mapped_label_exists() -> None:
    known = load_lexicon().labels
    mapping = load_mapping("radlabels")
    assert {entry.label for entry in mapping.labels.values()} <= set(known)
    assert not set(mapping.labels) & set(mapping.unmapped)


def test_positive_wins_over_uncertain_over_negative() -> None:
    mapping = load_mapping("radlabels")
    theirs = {
        "pulmonary_edema": "definitely absent",
        "pulmonary_congestion_pulmonary_venous_congestion": "uncertain",
        "enteric_tube": "uncertain",
        "endotracheal_tube": "definitely present",
        "hyperinflation": "definitely present",
    }
    assert map_states(mapping, theirs) == {"edema": -1, "support_devices": 1}


def test_what_the_mapping_lacks_is_named() -> None:
    mapping = load_mapping("radlabels")
    with pytest.raises(LexiconError, match="unknown label `situs_inversus`"):
        map_states(mapping, {"situs_inversus": "uncertain"})
    with pytest.raises(LexiconError, match="unknown state `maybe`"):
        map_states(mapping, {"pneumonia": "maybe"})
    with pytest.raises(LexiconError, match="no mapping `nobody`"):
        load_mapping("nobody")
