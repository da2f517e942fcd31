"""Where the labeler reads a simulated sentence otherwise than the simulator means it.

    python scripts/compare_wording.py [--seed 0]

Labels every sentence of `ltml_dataset/simulate/wording/` alone, in a few variants, and prints the differences: what a
change of words, cues or rules has done, before whole reports are labelled. Exits with 1 if there are any.
"""

import argparse
import random
import sys
from collections import defaultdict

from ltml_dataset.labeling.labeler import Labeler
from ltml_dataset.simulate.findings import LABELS
from ltml_dataset.simulate.phrases import Phrase, load_wording, say

VARIANTS = 8


def sentences(seed: int) -> list[tuple[str, str, Phrase]]:
    """(group, sentence, phrase) for up to `VARIANTS` different variants of every sentence."""
    wording, rnd = load_wording(), random.Random(seed).random
    groups = [(f"present: {LABELS[index]}", phrases) for index, phrases in wording.present.items()]
    groups += [(f"uncertain: {LABELS[index]}", phrases) for index, phrases in wording.uncertain.items()]
    groups += [(f"normal: {name}", phrases) for name, phrases in wording.normal.items()]
    rows = []
    for group, phrases in groups:
        for phrase in phrases:
            texts = {say(phrase.tree, rnd, {}).replace("  ", " ").rstrip(".") + "." for _ in range(VARIANTS)}
            rows += [(group, text[0].upper() + text[1:], phrase) for text in sorted(texts)]
    return rows


def main() -> int:
    """Print the differences, one kind a paragraph."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    rows = sentences(parser.parse_args().seed)
    table = Labeler.default().label([f" FINAL REPORT\n \n FINDINGS: \n \n {text}\n" for _, text, _ in rows]).to_pydict()
    kinds: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row, (group, text, phrase) in enumerate(rows):
        differences = []
        for index, name in enumerate(LABELS):
            bit = 1 << index
            meant = 1 if phrase.present & bit else -1 if phrase.uncertain & bit else 0 if phrase.absent & bit else None
            if meant != table[name][row]:
                differences.append(f"{name} is meant {meant}, read {table[name][row]}")
        if differences:
            kinds[group, "; ".join(differences)].append(text)
    for (group, difference), texts in kinds.items():
        print(f"{group}. {difference}, {len(texts)} times, as in\n    {texts[0]}")
    print(f"{sum(map(len, kinds.values()))} of {len(rows)} sentences differ.")
    return 1 if kinds else 0


if __name__ == "__main__":
    sys.exit(main())
