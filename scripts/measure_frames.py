"""How the labeler reads every finding in every frame (tests/frames).

    python scripts/measure_frames.py [--frame 'no_*'] [--label 'pleural_*'] [--examples 10] [--sample 200] [--rules]

Prints how many statements there are, the share that is right, how many findings that are not there are read as
present, the worst frames and labels and some wrong sentences. `--sample N` prints N statements with their states,
whatever the labeler makes of them, for reading whether they are what a radiologist would write. `--rules` prints for
every composed rule of the lexicon how many findings it is said as, and in how many statements.
"""

import argparse
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from frames.reading import Reading, read_frames
from frames.statements import all_findings, all_statements

from ltml_lexicons.choose import choose_labels


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frame", default="*", help="frame id, * and ? allowed")
    parser.add_argument("--label", default="*", help="label id, * and ? allowed")
    parser.add_argument("--examples", type=int, default=10, help="wrong sentences to print")
    parser.add_argument("--worst", type=int, default=15, help="frames and labels to print")
    parser.add_argument("--sample", type=int, default=0, help="print so many statements and stop")
    parser.add_argument("--seed", type=int, default=0, help="which examples, which sample")
    parser.add_argument("--rules", action="store_true", help="print findings and statements a composed rule and stop")
    options = parser.parse_args()
    if options.rules:
        show_rules(options.frame, options.label)
        return
    if options.sample:
        statements = all_statements(options.frame, options.label)
        for statement in random.Random(options.seed).sample(statements, min(options.sample, len(statements))):
            print(f"{statement.state!s:>4}  {statement.label:28} {statement.frame:24} {statement.text!r}")
        return
    readings, stale = read_frames(options.frame, options.label)
    show(readings, options.worst, options.examples, options.seed)
    if stale and options.frame == options.label == "*":
        print(f"\n{len(stale)} exceptions are not needed:", *stale, sep="\n  ")


def show_rules(frame: str, label: str) -> None:
    """Print how often each composed rule is said."""
    statements = Counter((s.label, s.origin) for s in all_statements(frame, label))
    findings = Counter((finding.label, finding.origin) for finding in all_findings())
    print(f"{'label':32} {'rule':52} {'findings':>8} {'statements':>10}")
    for each in choose_labels().labels:
        for rule in each.composed if fnmatchcase(each.id, label) else ():
            key = (each.id, rule.name)
            print(f"{each.id:32} {rule.name:52} {findings[key]:8,} {statements[key]:10,}")


def show(readings: list[Reading], n_worst: int, n_examples: int, seed: int) -> None:
    """Print the figures."""
    wrong = [reading for reading in readings if not reading.is_right]
    absent = [reading for reading in readings if reading.statement.state != 1]
    alarms = [reading for reading in absent if reading.is_false_alarm]
    print(f"{len(readings):,} statements, {1 - len(wrong) / max(1, len(readings)):.4f} right")
    n_known = sum(reading.is_open for reading in alarms)
    print(f"{len(alarms):,} of {len(absent):,} not-present statements read as present, {n_known:,} of them known")
    _show_groups("kind", readings, lambda reading: reading.statement.kind, 99)
    _show_groups("frame", readings, lambda reading: reading.statement.frame, n_worst)
    _show_groups("label", readings, lambda reading: reading.statement.label, n_worst)
    if wrong and n_examples:
        print("\nwrong sentences")
        for reading in random.Random(seed).sample(wrong, min(n_examples, len(wrong))):
            print(f"  [{reading.statement.frame}] {reading}")


def _show_groups(name: str, readings: list[Reading], key: Callable[[Reading], str], n_worst: int) -> None:
    groups = defaultdict(list)
    for reading in readings:
        groups[key(reading)].append(reading)
    rows = [
        (sum(r.is_right for r in members) / len(members), len(members), sum(r.is_false_alarm for r in members), group)
        for group, members in groups.items()
    ]
    print(f"\n{name:28} {'right':>7} {'of':>7} {'read as present':>16}")
    for share, size, alarms, group in sorted(rows)[:n_worst]:
        print(f"{group:28} {share:7.3f} {size:7,} {alarms:16,}")


if __name__ == "__main__":
    main()
