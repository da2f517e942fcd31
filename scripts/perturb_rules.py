"""Which cue, word, reach or precedence could change without any recorded sentence noticing.

    python scripts/perturb_rules.py [--only template] [--workers 2] [--match 'before.negation*'] [--noticed]

Every wording of `lexicons/ltml_lexicons/cues` is taken out, every word of a form and every structural word; every kind,
state, side and reach is changed, kinds change places in the precedence, numbers go up and down by one. Each time the
sentences of `tests/cues`, `tests/sentences` and `tests/lexicons/wordings.txt` are read again. Prints what none of them
notices, but for what `tests/unnoticed.yaml` gives a reason for, and ends with 1 where there is any.
"""

import argparse
import sys
import time
from collections import Counter
from fnmatch import fnmatch
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from perturbing import KINDS, Bench, excuses


def main() -> int:
    """Read the options, perturb, print; 1 where something goes unnoticed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=KINDS, action="append", help="changes of this kind only")
    parser.add_argument("--match", default="*", help="changes whose name fits, * and ? allowed")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--noticed", action="store_true", help="also print what is noticed, and by which sentence")
    options = parser.parse_args()
    started = time.perf_counter()
    tasks = [(i, options.workers, options.only or KINDS, options.match) for i in range(options.workers)]
    if options.workers == 1:
        shares = [look(tasks[0])]
    else:
        with get_context("spawn").Pool(options.workers) as pool:
            shares = pool.map(look, tasks)
    found = sorted(one for share in shares for one in share)
    known = excuses()
    silent = [(kind, name) for _, kind, name, sentence in found if sentence is None]
    unnoticed = [(kind, name) for kind, name in silent if f"{kind}  {name}" not in known]
    for _, kind, name, sentence in found:
        if (kind, name) in unnoticed:
            print(f"unnoticed  {kind}  {name}")
        elif f"{kind}  {name}" in known and sentence is not None:
            print(f"noticed after all, take it out of unnoticed.yaml: {kind}  {name}")
        elif options.noticed:
            print(f"noticed  {kind}  {name}  <-  {sentence or 'nothing, as known'}")
    counts, missed = Counter(kind for _, kind, _, _ in found), Counter(kind for kind, _ in unnoticed)
    for kind in KINDS:
        if counts[kind]:
            print(f"{kind:10} {counts[kind]:6,} changes, {missed[kind]:,} unnoticed")
    print(f"{len(silent) - len(unnoticed):,} are known to be out of any sentence's reach (tests/unnoticed.yaml)")
    print(f"{len(found):,} changes, {len(unnoticed):,} unnoticed, {time.perf_counter() - started:.0f} s")
    return 1 if unnoticed else 0


def look(task: tuple[int, int, tuple[str, ...], str]) -> list[tuple[int, str, str, str | None]]:
    """One share of the changes: number, kind, name and the sentence that notices."""
    share, n_shares, kinds, pattern = task
    bench = Bench()
    if share == 0 and len(bench.sound) < len(bench.sentences):
        print(f"{len(bench.sentences) - len(bench.sound)} recorded sentences are read wrongly and notice nothing")
    chosen = [change for change in bench.changes() if change.kind in kinds and fnmatch(change.name, pattern)]
    return [
        (i, change.kind, change.name, bench.noticed_by(change))
        for i, change in enumerate(chosen)
        if i % n_shares == share
    ]


if __name__ == "__main__":
    sys.exit(main())
