"""An afternoon: 300 studies, two readers, an adjudicator. What comes out is what was typed, nothing else."""

import random
from pathlib import Path

from review_folder import LABELS, make_folder

from ltml_dataset.review.api import Api
from ltml_dataset.review.consensus import resolve
from ltml_dataset.review.decisions import read_judgements
from ltml_dataset.review.desk import Desk
from ltml_dataset.review.events import Role, State
from ltml_dataset.review.session import open_review

CODES: dict[str, State] = {"present": 1, "absent": 0, "uncertain": -1, "unmentioned": None}
N_STUDIES = 300


def read_all(folder: Path, reader: str, role: Role, seed: int) -> tuple[dict[str, dict[str, State]], set[str]]:
    """Type random labels into every study, with some undone, and finish each; what was typed and confirmed."""
    choice = random.Random(seed)
    review = open_review(folder, negatives=N_STUDIES)
    api = Api(review)
    desk = Desk(review.folder, review.queue, review.log, reader, role)
    tab = api.open_tab(desk)
    typed: dict[str, dict[str, State]] = {}
    whole: set[str] = set()
    shown = api.act("show", {"tab": tab})
    while (study := shown["study"]) is not None:
        typed[study] = {}
        asked = list(desk.asked()) if role == "adjudicator" else choice.sample(LABELS, choice.randint(0, 2))
        for label in asked:
            word = choice.choice(list(CODES))
            api.act("set", {"tab": tab, "study": study, "label": label, "state": word})
            if role != "adjudicator" and choice.random() < 0.2:
                api.act("undo", {"tab": tab, "study": study})
            else:
                typed[study][label] = CODES[word]
        is_whole = choice.random() < 0.5
        if is_whole:
            whole.add(study)
        seen = list(review.folder.labels)
        answers = {"whole": is_whole, "part": not is_whole, "hasty": True}
        shown = api.act("finish", {"tab": tab, "study": study, "seen": seen, **answers})
    return typed, whole


def test_three_hundred_studies_give_back_what_was_typed(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, N_STUDIES, with_images=False)
    anna, anna_whole = read_all(folder, "anna", "first", 1)
    ben, ben_whole = read_all(folder, "ben", "second", 2)
    cleo, _ = read_all(folder, "cleo", "adjudicator", 3)
    assert len(anna) == len(ben) == N_STUDIES
    review = open_review(folder, negatives=N_STUDIES)
    labels = review.folder.labels
    verdicts = resolve(read_judgements(tmp_path / "set-review"), labels)
    assert set(verdicts) == set(anna)
    n_adjudicated = 0
    for study, verdict in verdicts.items():
        machine = review.folder.machine(study)
        asked = next(item.labels for item in review.queue.items if item.study == study)
        for label in labels:
            states = [typed[study].get(label, machine.get(label)) for typed in (anna, ben)]
            if (states[0] or 0) != (states[1] or 0):
                n_adjudicated += 1
                assert verdict.sources[label] == "adjudicated"
                assert verdict.states[label] == cleo[study][label]
                continue
            looked_at = label in machine or label in asked or label in anna[study] or label in ben[study]
            if not looked_at and study not in anna_whole | ben_whole:
                assert label not in verdict.states or study in cleo
                continue
            assert (verdict.states[label] or 0) == (states[0] or 0)
        assert verdict.open_labels == []
    assert n_adjudicated > 100
