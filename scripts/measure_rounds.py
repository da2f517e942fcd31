"""How the labeler reads the blind rounds (tests/rounds/README.md): figures only, so that an unread round stays unread.

python scripts/measure_rounds.py [FILE...]
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ltml_dataset.labeling.labeler import Labeler

ROUNDS = Path(__file__).resolve().parent.parent / "tests" / "rounds"
COMMON = 13
"""The first classes of the 39 are the common ones."""
NOT_PRESENT = (None, 0, "not1")

Row = dict[str, Any]


def agreed(first: Any, second: Any) -> Any:
    """The status both readers gave, "?" where they differ or one of them doubts."""
    if first == second:
        return first
    if "not1" in (first, second) and first in NOT_PRESENT and second in NOT_PRESENT:
        return "not1"
    return "?"


def score_sentences(rows: list[Row], labeler: Labeler, labels: Iterable[str]) -> dict[str, float]:
    """Precision, recall, F1 of "present" and the share of right states, over the sentences on `labels`."""
    wanted = set(labels)
    pairs = [(row, agreed(row["status"], row.get("second", row["status"]))) for row in rows if row["label"] in wanted]
    kept = [(row, gold) for row, gold in pairs if gold != "?"]
    table = labeler.label([row["text"] for row, _ in kept])
    read = [table.column(row["label"])[i].as_py() for i, (row, _) in enumerate(kept)]
    hits = sum(gold == 1 and state == 1 for (_, gold), state in zip(kept, read, strict=True))
    said = sum(state == 1 for state in read)
    there = sum(gold == 1 for _, gold in kept)
    right = sum(state != 1 if gold == "not1" else state == gold for (_, gold), state in zip(kept, read, strict=True))
    return {
        "n": len(kept),
        "precision": hits / max(said, 1),
        "recall": hits / max(there, 1),
        "F1": 2 * hits / max(said + there, 1),
        "state": right / max(len(kept), 1),
    }


def score_reports(rows: list[Row], labeler: Labeler) -> dict[str, float]:
    """Macro F1 of the common classes, pooled F1 of the rare ones, F1 of No Finding."""
    table = labeler.label([row["text"] for row in rows])
    names = (*labeler.label_names, "No Finding")
    counts = {name: [0, 0, 0] for name in names}
    for i, row in enumerate(rows):
        for name in names:
            first, second = row["labels"], row.get("second", row["labels"])
            gold, state = agreed(first.get(name), second.get(name)), table.column(name)[i].as_py()
            if gold != "?":
                counts[name][0] += gold == 1 and state == 1
                counts[name][1] += state == 1
                counts[name][2] += gold == 1

    def f1(of: Iterable[str]) -> float:
        hits, said, there = (sum(counts[name][k] for name in of) for k in range(3))
        return 2 * hits / max(said + there, 1)

    common = [name for name in names[:COMMON] if counts[name][1] + counts[name][2]]
    return {
        "n": len(rows),
        "common macro F1": sum(f1([name]) for name in common) / max(len(common), 1),
        "rare F1": f1(names[COMMON:-1]),
        "No Finding F1": f1(["No Finding"]),
    }


def main() -> None:
    """Print the figures of each file."""
    labeler = Labeler.default()
    for path in [Path(name) for name in sys.argv[1:]] or sorted(ROUNDS.glob("*.jsonl")):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        if "labels" in rows[0]:
            parts = {"reports": score_reports(rows, labeler)}
        else:
            parts = {
                "rare": score_sentences(rows, labeler, labeler.label_names[COMMON:]),
                "common": score_sentences(rows, labeler, labeler.label_names[:COMMON]),
            }
        for part, figures in parts.items():
            shown = ", ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in figures.items())
            print(f"{path.stem} {part}: {shown}")


if __name__ == "__main__":
    main()
