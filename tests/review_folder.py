"""A small built folder with reports, mentions and images, made without the labeler."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from ltml_dataset.schema import image_schema, mention_schema, study_schema

LABELS = ("Pleural Effusion", "Cardiomegaly", "Pneumothorax", "Embolus")
GROUPS = {"head": ["Pleural Effusion", "Cardiomegaly"], "medium": ["Pneumothorax"], "tail": ["Embolus"]}

SENTENCES = {
    ("Pleural Effusion", 1): "There is a small pleural effusion.",
    ("Pleural Effusion", 0): "No pleural effusion.",
    ("Cardiomegaly", 1): "Moderate cardiomegaly.",
    ("Cardiomegaly", 0): "No cardiomegaly.",
    ("Pneumothorax", 0): "No pneumothorax.",
    ("Pneumothorax", -1): "Possible pneumothorax.",
    ("Embolus", 1): "Septic embolus in the right lung.",
}
INDICATION = "A cough that will not go away, as a long story tells it again and again; " * 5
"""Long enough that nobody reads it in the time that a test takes for one study."""

PHRASES = {label: label.lower() for label in LABELS}
CUES = {0: "no", -1: "possible"}


def make_folder(
    root: Path, n_studies: int = 60, *, with_images: bool = True, study_id: Callable[[int], str] | None = None
) -> Path:
    """Write `root/set` (a built folder), `root/reports.parquet` and `root/files`; returns `root/set`.

    Args:
        root: A folder.
        n_studies: How many studies, half as many patients.
        with_images: Whether the first thirty studies have image files.
        study_id: Gives each study a string for an id.
    """
    id_type = pa.int32() if study_id is None else pa.string()
    out = root / "set"
    random = np.random.default_rng(0)
    studies, mentions, reports, images = [], [], [], []
    for number in range(n_studies):
        study: int | str = 50_000_000 + number
        subject: int | str = 10_000_000 + number // 2
        path = f"files/p10/p{subject}/s{study}/image{number}.jpg"
        if study_id is not None:
            study, subject = study_id(number), str(subject)
        states: dict[str, int | None] = dict.fromkeys((*LABELS, "No Finding"))
        text = f" FINAL REPORT\n INDICATION: {INDICATION}\n \n FINDINGS:\n "
        for label, options in (("Pleural Effusion", (1, 0)), ("Cardiomegaly", (1, 0)), ("Pneumothorax", (0, -1))):
            states[label] = int(random.choice(options))
        if number % 7 == 3:
            states["Embolus"] = 1
        for label, state in states.items():
            if state is None:
                continue
            sentence = SENTENCES[(label, state)]
            start = len(text) + sentence.lower().index(PHRASES[label])
            cue = CUES.get(state)
            mentions.append(
                {
                    "subject_id": subject,
                    "study_id": study,
                    "label": label,
                    "status": state,
                    "section": "findings",
                    "start": start,
                    "end": start + len(PHRASES[label]),
                    "phrase": PHRASES[label],
                    "phrase_source": "chexpert",
                    "cue": cue,
                    "cue_start": len(text) if cue else None,
                    "cue_end": len(text) + len(cue) if cue else None,
                    "rule": "negation" if state == 0 else "statement",
                }
            )
            text += sentence + "\n "
        studies.append({"subject_id": subject, "study_id": study, **states})
        reports.append({"report_id": f"s{study}", "subject_id": subject, "study_id": study, "text": text})
        images.append(
            {
                "image_id": f"image{number}",
                "subject_id": subject,
                "study_id": study,
                "view": "PA",
                "image_path": path,
                "labels": [i for i, label in enumerate(LABELS) if states[label] == 1],
                "target": [int(states[label] == 1) for label in LABELS],
            }
        )
        if with_images and number < 30:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 255, (64, 64), dtype=np.uint8)).save(root / path)
    for config, rows, schema in (
        ("studies", studies, study_schema(LABELS, id_type)),
        ("mentions", mentions, mention_schema(id_type)),
        ("data", images, image_schema(LABELS, id_type)),
    ):
        (out / config).mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows, schema), out / config / "test-00000-of-00001.parquet")
    pq.write_table(pa.Table.from_pylist(reports), root / "reports.parquet")
    (out / "manifest.json").write_text(json.dumps({"groups": GROUPS, "lexicon": {"version": "1.0"}, "labels": LABELS}))
    (out / ".cache").mkdir()
    (out / ".cache" / "source.json").write_text(json.dumps({"reports": str(root / "reports.parquet")}))
    return out
