"""Write the list of ordinary words (`lexicons/ltml_lexicons/ordinary_words.txt`) from the SCOWL word lists.

Taken are all words of eight letters or more up to size 60, and of the larger lists those that are within two edits of a
word of the lexicon: what the list is for. SCOWL comes with Debian (package `scowl`, below `/usr/share/dict/scowl`).
"""

import argparse
import re
from pathlib import Path

from ltml_dataset.labeling.near_words import NearWords, lexicon_words
from ltml_lexicons.lexicon import load_lexicon, package_root

KINDS = re.compile(r"(?:english|american|australian|british|british_z|canadian|variant_1|variant_2).*-words\.(\d+)")
WHOLE = 60
"""Size of the lists taken whole."""
HEAD = """\
# English words of eight letters or more that are no typing errors. From SCOWL 2020.12.07 (licences/scowl.txt): all
# words up to size {whole}, and rarer ones that are near a word of the lexicon. Written by scripts/ordinary_words.py.
"""


def main() -> None:
    """Read the lists, write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scowl", type=Path, help="folder of the lists")
    lists = parser.parse_args().scowl
    sizes: dict[str, int] = {}
    for path in sorted(lists.iterdir()):
        kind = KINDS.fullmatch(path.name)
        if kind:
            for word in path.read_text(encoding="latin-1").split():
                if re.fullmatch("[a-z]{8,}", word):
                    sizes[word] = min(sizes.get(word, 99), int(kind[1]))
    lexicon = load_lexicon()
    words, _ = lexicon_words(lexicon)
    generous = lexicon.near_words.model_copy(update={"shortest": 7, "two_edits": 8})
    near = NearWords(words, frozenset(), ("\0",), generous)
    kept = sorted(word for word, size in sizes.items() if size <= WHOLE or (word not in words and near.near(word)))
    target = package_root() / "ordinary_words.txt"
    target.write_text(HEAD.format(whole=WHOLE) + "\n".join(kept) + "\n", encoding="utf-8")
    print(f"{target.name}: {len(kept):,} words")


if __name__ == "__main__":
    main()
