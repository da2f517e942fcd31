"""The `label` and `explain` commands."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cyclopts import App

from ltml_dataset.errors import UserError

if TYPE_CHECKING:
    from rich.text import Text

    from ltml_dataset.building.label_file import LabelSummary
    from ltml_dataset.records import Mention

COLOURS = {1: "bold green", 0: "red", -1: "bold yellow"}
UNSAID, UNSAID_COLOUR = "not said", "dim"
"""Of a finding that stands in a condition, a question or a plan."""
SIGNS = {1: "present", 0: "absent", -1: "uncertain"}
Policy = Literal["default", "official", "all"]
Profile = Literal["clinical", "paper", "gamuts"]
Engine = Literal["rules", "spacy"]
Compat = Literal["chexpert"]


def register(app: App) -> None:
    """Add the commands of this module."""
    app.command(label)
    app.command(explain)


def label(
    input: Path,
    /,
    *,
    out: Path,
    evidence: Path | None = None,
    label_set: str = "ltml39",
    profile: Profile = "clinical",
    sections: Policy = "default",
    section_overrides: Path | None = None,
    engine: Engine = "rules",
    spacy_model: str | None = None,
    compat: Compat | None = None,
    lexicon: Path | None = None,
    id_column: str | None = None,
    text_column: list[str] | None = None,
    parents: bool = True,
    workers: int | None = None,
    runner: Literal["local", "ray", "spark"] = "local",
    json: bool = False,
) -> None:
    """Label every report of an input: one row per report, in input order.

    1 present, 0 negated, -1 uncertain, blank not mentioned.

    Args:
        input: MIMIC-CXR zip or `files/` tree, mimic_cxr_sectioned.csv, Open-I archive or folder, or a table.
        out: Label file to write (.parquet).
        evidence: Also write one row per mention: where it stands, what decided it (.parquet). Holds report text.
        label_set: ltml39, chexpert14, another set's name, or a YAML file of yours.
        profile: clinical uses every phrase, paper only those of CheXpert and Gamuts, gamuts the Gamuts synonyms as they
            stand.
        sections: Which sections are read: findings and impression, the one behind the official labels, or all.
        section_overrides: section_parser.py of MIT-LCP/mimic-cxr, or YAML: studies whose text is chosen by hand, for
            official sections.
        engine: rules: by cues and their scope. spacy: negation and uncertainty on a dependency parse.
        spacy_model: Installed spaCy model for --engine spacy; by default the first English one with a parser.
        compat: chexpert: the CheXpert labeler's own phrases, cleaning, sections and aggregation, and its 13 labels.
        lexicon: Folder of your own words, laid over those that ship (docs/lexicons.md).
        id_column: Id column of a table.
        text_column: Text column of a table; several (repeated, or with commas) are read as sections of that name.
        parents: Let a parent label follow its children.
        workers: Processes; 1 is this process alone. By default one per core.
        runner: local: processes on this machine. ray, spark: a cluster that sees the same folders.
        json: Print a machine-readable summary instead of the table.
    """
    from ltml_dataset.building.label_file import write_labels
    from ltml_dataset.labeling.labeler import Labeler
    from ltml_dataset.sources import open_source
    from ltml_dataset.text.section_overrides import load_overrides

    if workers is not None and workers < 1:
        raise UserError(f"--workers {workers} is no number of processes; give 1 or more.")
    names = [name.strip() for given in text_column or [] for name in given.split(",") if name.strip()]
    source = open_source(input, id_column=id_column, text_columns=names or None)
    labeler = Labeler(
        label_set=label_set,
        profile=profile,
        sections=sections,
        engine=engine,
        parents=parents,
        text_columns=source.text_columns,
        compat=compat,
        spacy_model=spacy_model,
        lexicon_folder=lexicon,
        section_overrides=load_overrides(section_overrides) if section_overrides else None,
    )
    summary = write_labels(
        source,
        labeler,
        out,
        evidence,
        runner=runner,
        workers=workers,
        show_progress=not json,
        others_read=[path for path in (section_overrides, lexicon) if path],
    )
    if json:
        _print_json(summary, labeler.fingerprint, out, evidence)
        _print_losses(summary)
    else:
        _print_summary(summary, out, evidence)


def explain(
    text: str | None = None,
    /,
    *,
    label_set: str = "ltml39",
    profile: Profile = "clinical",
    sections: Policy = "default",
    engine: Engine = "rules",
    spacy_model: str | None = None,
    compat: Compat | None = None,
    lexicon: Path | None = None,
    json: bool = False,
) -> None:
    """Show every mention of one report in colour, how it is asserted, and the cue that decided.

    Args:
        text: The report itself, a file that holds it, or - for standard input (also the default).
        label_set: ltml39, chexpert14, another set's name, or a YAML file of yours.
        profile: clinical uses every phrase, paper only those of CheXpert and Gamuts, gamuts the Gamuts synonyms as they
            stand.
        sections: Which sections are read.
        engine: rules: by cues and their scope. spacy: negation and uncertainty on a dependency parse.
        spacy_model: Installed spaCy model for --engine spacy.
        compat: chexpert: the CheXpert labeler's own phrases, cleaning, sections and aggregation, and its 13 labels.
        lexicon: Folder of your own words, laid over those that ship (docs/lexicons.md).
        json: Print the mentions and labels as one JSON object.
    """
    from ltml_dataset.labeling.labeler import Labeler

    report = _read_report(text)
    labeler = Labeler(
        label_set=label_set,
        profile=profile,
        sections=sections,
        engine=engine,
        compat=compat,
        spacy_model=spacy_model,
        lexicon_folder=lexicon,
    )
    mentions = labeler.explain(report)
    row = labeler.label([report]).to_pylist()[0]
    states = {name: state for name, state in row.items() if name != "report_id" and state is not None}
    if json:
        import json as json_module
        from dataclasses import asdict

        content = {"mentions": [asdict(mention) for mention in mentions], "labels": states}
        print(json_module.dumps(content, indent=2, ensure_ascii=False))
        return
    _print_explanation(report, mentions, states)


def _read_report(text: str | None) -> str:
    if text is None or text == "-":
        return sys.stdin.read()
    path = Path(text)
    try:
        is_file = path.is_file()
    except (OSError, ValueError):  # a report is too long for a file name, or holds a zero byte
        return text
    if not is_file:
        if "\n" not in text and " " not in text and path.suffix:
            raise UserError(f"`{text}` was not found; give a report, a file that holds one, or - for standard input.")
        return text
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            return handle.read()
    except UnicodeDecodeError:
        raise UserError(f"`{text}` is not UTF-8 text; give a plain text report.") from None


def _print_explanation(report: str, mentions: "list[Mention]", states: dict[str, int]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(emoji=False, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console = Console(emoji=False, highlight=False, soft_wrap=True, width=180)
    console.print(_coloured(report, mentions))
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("label", "state", "text", "cue", "rule", "section"):
        table.add_column(name)
    for mention in mentions:
        colour = UNSAID_COLOUR if mention.status is None else COLOURS[mention.status]
        table.add_row(
            mention.label,
            f"[{colour}]{UNSAID if mention.status is None else SIGNS[mention.status]}[/]",
            _plain(mention.text),
            _plain(mention.cue or ""),
            mention.rule,
            _plain(mention.section),
        )
    if mentions:
        console.print()
        console.print(table)
    console.print()
    for state, sign in SIGNS.items():
        names = [name for name, value in states.items() if value == state]
        if names:
            console.print(f"[{COLOURS[state]}]{sign}[/]: {', '.join(names)}")
    if not states:
        console.print("No label is mentioned.")


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(" ".join(text.split()))


def _coloured(report: str, mentions: "list[Mention]") -> "Text":
    from rich.text import Text

    coloured = Text(report)
    for mention in mentions:
        colour = UNSAID_COLOUR if mention.status is None else COLOURS[mention.status]
        coloured.stylize(colour, mention.start, mention.end)
        if mention.cue_start is not None and mention.cue_end is not None:
            coloured.stylize("underline", mention.cue_start, mention.cue_end)
    return coloured


def _print_summary(summary: "LabelSummary", out: Path, evidence: Path | None) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(emoji=False, highlight=False)
    table = Table(box=None, pad_edge=False)
    table.add_column("label")
    for sign in ("present", "uncertain", "absent"):
        table.add_column(sign, justify="right")
    for name, counts in summary.states.items():
        table.add_row(name, *(f"{counts[sign]:,}" for sign in ("present", "uncertain", "absent")))
    console.print(table)
    rate = summary.n_reports / summary.seconds if summary.seconds else 0
    console.print(f"{summary.n_reports:,} reports in {summary.seconds:.1f} s ({rate:,.0f}/s) -> {out}", soft_wrap=True)
    if evidence is not None:
        console.print(f"{summary.n_mentions:,} mentions -> {evidence}", soft_wrap=True)
    _print_losses(summary)


def _print_losses(summary: "LabelSummary") -> None:
    """Inputs that could not be read, and reports of which nothing was read, on the error stream."""
    from ltml_dataset.building.label_file import skipped_sentence

    said = [skipped_sentence(summary.skips)] if summary.skips else []
    for sentence in (*said, *summary.unread.sentences(summary.n_reports)):
        print(sentence, file=sys.stderr)


def _print_json(summary: "LabelSummary", fingerprint: str, out: Path, evidence: Path | None) -> None:
    import json as json_module

    content = {
        "reports": summary.n_reports,
        "mentions": summary.n_mentions,
        "seconds": round(summary.seconds, 3),
        "labels": summary.states,
        "skipped": [{"input": skip.input, "reason": skip.reason} for skip in summary.skips],
        "reports_without_text": summary.unread.n_without_text,
        "reports_not_read": summary.unread.n_not_read,
        "not_read": summary.unread.as_json(),
        "fingerprint": fingerprint,
        "out": str(out),
        "evidence": None if evidence is None else str(evidence),
    }
    print(json_module.dumps(content, indent=2))
