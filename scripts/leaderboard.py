"""Keeps results and builds docs/leaderboard.md from them.

python scripts/leaderboard.py add RUN... --description "Simulated phantoms, true labels"
python scripts/leaderboard.py build
"""

import argparse
from pathlib import Path

from ltml_benchmark.report.leaderboard import add_results, write_leaderboard
from ltml_benchmark.report.runs import read_runs

REPOSITORY = Path(__file__).resolve().parent.parent


def main() -> None:
    """Add run folders, or build the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=REPOSITORY / "results")
    parser.add_argument("--page", type=Path, default=REPOSITORY / "docs" / "leaderboard.md")
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("add", help="write one JSON file per recipe and data set")
    add.add_argument("runs", type=Path, nargs="+")
    add.add_argument("--description", required=True, help="what the data are, in words")
    commands.add_parser("build", help="write docs/leaderboard.md")
    options = parser.parse_args()
    if options.command == "add":
        for path in add_results(read_runs(options.runs), options.results, options.description):
            print(path)
    write_leaderboard(options.results, options.page)


if __name__ == "__main__":
    main()
