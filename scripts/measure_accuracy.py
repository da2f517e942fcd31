"""How right the labeler is, measured on public reports, beside the labelers one can install.

    python scripts/measure_accuracy.py [--shared ../shared] [--check]

Writes docs/accuracy.md. Needs the evaluation data, which may not be redistributed (see docs/accuracy.md for where it
comes from); without it nothing is written. `--check` writes nothing and fails where a figure is below its target.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ltml_dataset.labeling.labeler import Labeler
from ltml_dataset.review.agreement import cohen_kappa
from ltml_dataset.schema import NO_FINDING

REPOSITORY = Path(__file__).resolve().parent.parent
DOC = REPOSITORY / "docs" / "accuracy.md"
COLUMNS = ("findings", "impression")
COMMON = 13
"""The first classes of the 39 are the CheXpert labeler's."""
PEERS = {
    "chexpert_labeler_negbio": "CheXpert labeler (NegBio)",
    "medspacy_context": "medspaCy ConText",
    "negspacy": "negspaCy",
    "pycontextnlp": "pyConTextNLP",
}
TARGETS = {
    "Open-I, 13 common classes: macro-F1": 0.94,
    "Open-I, 13 common classes: micro-F1": 0.96,
    "Open-I, 26 rare classes pooled: micro-F1": 0.90,
    "Open-I sentences with difficult assertion: state right": 0.95,
    "MTSamples sentences on rare classes: state right": 0.93,
    "NegEx test kit: negated or not": 0.985,
    "NegEx test kit, chest terms: negated or not": 0.99,
}

Rows = list[dict[str, Any]]
States = dict[str, dict[str, int | None]]


@dataclass
class Counts:
    """Agreement with gold on one class; positive is state 1, gold -1 and blank are left out."""

    true_positive: int = 0
    false_positive: int = 0
    false_negative: int = 0

    @property
    def f1(self) -> float | None:
        """None where there is nothing to find and nothing was found."""
        total = 2 * self.true_positive + self.false_positive + self.false_negative
        return 2 * self.true_positive / total if total else None

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.true_positive + other.true_positive,
            self.false_positive + other.false_positive,
            self.false_negative + other.false_negative,
        )


def main() -> int:
    """Measure, and write or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(os.environ.get("LTML_SHARED", REPOSITORY.parent / "shared"))
    parser.add_argument("--shared", type=Path, default=default)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if not (options.shared / "data" / "openi").is_dir():
        print(f"The evaluation data was not found in `{options.shared}`; give --shared.", file=sys.stderr)
        return 1
    measured = Measurement(options.shared / "data")
    failed = [name for name, target in TARGETS.items() if measured.figures[name] < target]
    for name, value in measured.figures.items():
        print(f"{'BELOW ' if name in failed else ''}{name}: {value:.4f} (target {TARGETS[name]})")
    if not options.check:
        DOC.write_text(as_markdown(measured) + engines_page(measured, options.shared / "data"), encoding="utf-8")
        print(f"wrote {DOC}")
    return 1 if failed and options.check else 0


class Measurement:
    """Everything the page shows."""

    def __init__(self, data: Path) -> None:
        """Measure on the files below `data`."""
        self.labeler = Labeler.default()
        self.names = self.labeler.label_names
        self.common = self.names[:COMMON]
        reports = pq.read_table(data / "openi" / "openi_reports.parquet").to_pylist()
        gold = {row["report_id"]: {name: row[f"gold39_{name}"] for name in self.names} for row in reports}
        ours = self._label_openi(data / "openi" / "openi_reports.parquet")
        self.gold = gold
        self.n_reports = len(reports)
        self.ours = score(ours, gold, self.names)
        self.peers = {
            title: score(read_states(data / "peers" / f"{name}.parquet"), gold, self.common)
            for name, title in PEERS.items()
            if (data / "peers" / f"{name}.parquet").exists()
        }
        common = [self.ours[name] for name in self.common]
        rare = [self.ours[name] for name in self.names[COMMON:]]
        negation = data / "negation"
        self.figures = {
            "Open-I, 13 common classes: macro-F1": macro(common),
            "Open-I, 13 common classes: micro-F1": micro(common),
            "Open-I, 26 rare classes pooled: micro-F1": micro(rare),
            "Open-I sentences with difficult assertion: state right": self._sentences(
                negation / "openi_assertion_sentences.parquet"
            ),
            "MTSamples sentences on rare classes: state right": self._sentences(
                negation / "mtsamples_rare_sentences.parquet"
            ),
            "NegEx test kit: negated or not": self._negex(negation / "negex_testkit.parquet", lambda row: True),
            "NegEx test kit, chest terms: negated or not": self._negex(
                negation / "negex_testkit.parquet", lambda row: bool(row["chest_term"])
            ),
        }

    def _label_openi(self, path: Path) -> States:
        return label_openi(path, Labeler(text_columns=COLUMNS))

    def _sentences(self, path: Path) -> float:
        rows = pq.read_table(path).to_pylist()
        found = self.labeler.label([row["sentence"] for row in rows]).to_pylist()
        right = sum((states[row["label_class"]] or 0) == row["status"] for row, states in zip(rows, found, strict=True))
        return right / len(rows)

    def _negex(self, path: Path, chosen: Callable[[dict[str, Any]], bool]) -> float:
        rows = [row for row in pq.read_table(path).to_pylist() if row["start"] >= 0 and chosen(row)]
        right = sum(
            (self.labeler.assert_span(row["sentence"], row["start"], row["end"]) == 0) == (row["negation"] == "Negated")
            for row in rows
        )
        return right / len(rows)


def label_openi(path: Path, labeler: Labeler) -> States:
    """States by report, findings and impression."""
    table = pq.read_table(path, columns=["report_id", *COLUMNS])
    rows = pa.Table.from_batches([labeler.label_batch(batch) for batch in table.to_batches()]).to_pylist()
    return {row["report_id"]: row for row in rows}


def engines_page(measured: Measurement, data: Path) -> str:
    """The second engine on the same gold, and `--compat chexpert` beside the labeler it stands for."""
    path = data / "openi" / "openi_reports.parquet"
    parsed = Labeler(engine="spacy", text_columns=COLUMNS)
    found = score(label_openi(path, parsed), measured.gold, measured.names)
    common, rare = [found[name] for name in measured.common], [found[name] for name in measured.names[COMMON:]]
    original = read_states(data / "peers" / "chexpert_labeler_negbio.parquet")
    compat = label_openi(path, Labeler(compat="chexpert", sections="all", text_columns=COLUMNS))
    rows = []
    for name in (*measured.common, "No Finding"):
        pairs = [(compat[report].get(name), states.get(name)) for report, states in original.items()]
        same = sum(a == b for a, b in pairs) / len(pairs)
        rows.append(f"| {name} | {same:.3f} | {cohen_kappa(*zip(*pairs, strict=True)):.3f} |")
    lines = [
        "",
        "## The second engine",
        "",
        "`--engine spacy` (negation and uncertainty on a parse, with the English model that the tests use) on the same",
        f"reports: macro-F1 {macro(common):.3f} and micro-F1 {micro(common):.3f} over the common classes, micro-F1",
        f"{micro(rare):.3f} over the rare ones. It is there to disagree with the first, not to replace it.",
        "",
        "## `--compat chexpert` and the CheXpert labeler",
        "",
        "State by state (present, absent, uncertain, not mentioned), all sections, against the original code with a",
        "substitute parser model. This is agreement, not accuracy.",
        "",
        "| class | same state | Cohen's kappa |",
        "| --- | ---: | ---: |",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def read_states(path: Path) -> States:
    """States by report of a peer's label file."""
    return {row["report_id"]: row for row in pq.read_table(path).to_pylist()}


def score(found: States, gold: States, names: Sequence[str]) -> dict[str, Counts]:
    """Counts by class."""
    counts = {name: Counts() for name in names}
    for report, truth in gold.items():
        states = found.get(report, {})
        for name in names:
            if truth[name] in (None, -1):
                continue
            is_found, is_there = states.get(name) == 1, truth[name] == 1
            counts[name] += Counts(is_found and is_there, is_found and not is_there, is_there and not is_found)
    return counts


def macro(counts: Iterable[Counts]) -> float:
    """Mean F1 over the classes that have one."""
    values = [entry.f1 for entry in counts if entry.f1 is not None]
    return sum(values) / len(values)


def micro(counts: Iterable[Counts]) -> float:
    """F1 of the pooled counts."""
    return sum(counts, Counts()).f1 or 0.0


def as_markdown(measured: Measurement) -> str:
    """The page."""
    lines = [
        "# How right the labels are",
        "",
        "Written by `python scripts/measure_accuracy.py`; nothing here is typed by hand. The reports may not be",
        "redistributed, so the page can be rebuilt only where the evaluation data is; `--check` fails below a target.",
        "",
        "| measured on | figure | target |",
        "| --- | ---: | ---: |",
        *(f"| {name} | {value:.3f} | {TARGETS[name]:.3f} |" for name, value in measured.figures.items()),
        "",
        f"Open-I: {measured.n_reports:,} radiology reports of Indiana University (Demner-Fushman et al. 2016, CC",
        "BY-NC-ND 4.0), findings and impression, with labels from the human MeSH codes, corrected by reading. Positive",
        "is state 1; reports whose gold is hedged or depends on the definition are left out of that class. The lexicon",
        "was developed on these reports, so unseen ones will be judged somewhat less well. The one reader was no",
        "radiologist. The assertion sentences were chosen from Open-I for hard negation, hedging, resolution, removal",
        "and history; the MTSamples sentences for mentions of rare classes in transcriptions of all specialties; the",
        "NegEx test kit (chapmanbe/negex, Apache 2.0) is judged through `Labeler.assert_span` on its marked concepts.",
        "",
        "## The 13 common classes, F1 on Open-I",
        "",
        *common_table(measured),
        "",
        "The other labelers' labels were computed once with the versions and phrase lists named in the data's own",
        "description: the CheXpert labeler with a substitute parser model, the ConText and NegEx tools with the",
        "CheXpert phrase lists without the bare organ words.",
        "",
        "## The 26 rare classes on Open-I",
        "",
        "| class | right | too many | missed | F1 |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(counts_row(name, measured.ours[name]) for name in measured.names[COMMON:]),
        counts_row("**pooled**", sum((measured.ours[name] for name in measured.names[COMMON:]), Counts())),
        "",
        "A class without figures is neither asserted in these reports nor found by the labeler.",
        "",
        *LIMITS,
    ]
    return "\n".join(lines) + "\n"


def common_table(measured: Measurement) -> list[str]:
    """Ours in counts, and every labeler's F1."""
    peers = list(measured.peers)
    lines = [
        f"| class | right | too many | missed | ours | {' | '.join(peers)} |",
        f"| --- | ---: | ---: | ---: | ---: |{' ---: |' * len(peers)}",
    ]
    for name in measured.common:
        others = " | ".join(f1_text(measured.peers[peer][name].f1) for peer in peers)
        lines.append(f"{counts_row(name, measured.ours[name])} {others} |")
    ours = [measured.ours[name] for name in measured.common]
    for title, mean in (("**macro-F1**", macro), ("**micro-F1**", micro)):
        others = " | ".join(f"{mean(measured.peers[peer].values()):.3f}" for peer in peers)
        lines.append(f"| {title} | | | | {mean(ours):.3f} | {others} |")
    return lines


def counts_row(name: str, counts: Counts) -> str:
    """One class."""
    numbers = (counts.true_positive, counts.false_positive, counts.false_negative)
    return f"| {name} | {' | '.join(map(str, numbers))} | {f1_text(counts.f1)} |"


def f1_text(value: float | None) -> str:
    """Three digits, or a dash."""
    return "-" if value is None else f"{value:.3f}"


LIMITS = (
    "## Known limits",
    "",
    '- Each sentence is judged by itself: "There is no effusion on the right. There is a small one on the left." is a',
    '  negated effusion, because "one" names nothing.',
    "- Words that de-identification took (`XXXX`, `___`) may have been the finding, its hedge or its negation.",
    '- "A or B" without a negation makes both uncertain, unless one is a case of the other (an opacity that is',
    "  atelectasis or scar stays an opacity). Coders often wrote both down as present.",
    '- "Resolving" and "improving" findings are present, as are "nearly resolved" ones; "resolved" ones are absent.',
    "- A blunted costophrenic angle is an uncertain effusion; an upper-normal heart is normal, a borderline one",
    "  uncertain.",
    "- Old fractures, scars and granulomas are judged as what they are, not by their age.",
    "- English only; wordings of other institutions are covered as far as general radiological language goes.",
    f"- `{NO_FINDING}` follows the CheXpert labeler's rule and its list of words that withhold it.",
)


if __name__ == "__main__":
    sys.exit(main())
