"""The `lexicon` commands: check, show, gamuts, new, stats."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

if TYPE_CHECKING:
    from ltml_lexicons.gamuts import GamutsFinding
    from ltml_lexicons.lexicon import Lexicon


def register(app: App) -> None:
    """Add the commands of this module."""
    lexicon = App(name="lexicon", help="Look into the words that decide labels, and add labels of your own.")
    lexicon.command(check)
    lexicon.command(show)
    lexicon.command(gamuts)
    lexicon.command(new)
    lexicon.command(stats)
    app.command(lexicon)


def check(
    files: Annotated[list[Path] | None, Parameter(name="FILES")] = None,
    /,
    *,
    lexicon: Path | None = None,
    against: Path | None = None,
) -> int:
    """Validate every file of the lexicon, a folder of your own, and label or label set files of your own.

    Args:
        files: Label files or label set files (.yaml) that join the lexicon.
        lexicon: Folder of your own words, laid over those that ship (docs/lexicons.md).
        against: Folder of a review: judges every sentence in which a reader found a phrase wrong, and exits with 1
            while any is still judged otherwise. Prints sentences of reports.
    """
    from ltml_dataset.labeling.lexicon_check import check_everything
    from ltml_lexicons.choose import choose_labels
    from ltml_lexicons.drafts import PLACEHOLDER

    checked = check_everything(lexicon)
    words = checked.lexicon
    phrases = sum(len(label.mentions) for label in words.labels.values())
    print(f"lexicon {words.version}: {len(words.labels)} labels, {phrases} phrases, all rules hold")
    print(f"  {', '.join(f'{place} {n}' if n > 1 else place for place, n in checked.n_files.items())}")
    if words.own_labels:
        print(f"  labels of your own: {', '.join(words.labels[label].name for label in words.own_labels)}")
    for path in files or []:
        chosen = choose_labels(path, folder=lexicon)
        print(f"{path}: {len(chosen.labels)} labels, all rules hold")
        drafts = [label.id for label in chosen.labels if label.definition == PLACEHOLDER]
        if drafts:
            print(f"  still with the definition of a draft: {', '.join(drafts)}")
    return _replay(against, files[0] if files else None, lexicon) if against is not None else 0


def _replay(review: Path, label_set: Path | None, folder: Path | None) -> int:
    """Judge again what readers reported as wrong; 1 while any sentence is judged otherwise than they said."""
    from ltml_dataset.labeling.labeler import Labeler
    from ltml_dataset.review.replay import replay_flags
    from ltml_lexicons.choose import DEFAULT_SET

    labeler = Labeler(label_set=label_set or DEFAULT_SET, lexicon_folder=folder)
    words = {1: "present", 0: "absent", -1: "uncertain", None: "not mentioned"}
    replayed = replay_flags(review, labeler)
    for case in replayed:
        if not case.is_right:
            print(f"{case.label}: {words[case.found]}, a reader said {words[case.expected]}: {case.sentence}")
    n_right = sum(case.is_right for case in replayed)
    print(f"{review}: {n_right} of {len(replayed)} reported sentences are judged as readers said")
    return int(n_right < len(replayed))


def show(label: str, /, *, label_set: str | None = None, lexicon: Path | None = None, markdown: bool = False) -> None:
    """Print the handbook page of a label.

    Args:
        label: Id or name, e.g. `aortic_aneurysm` or "Aortic Aneurysm".
        label_set: Label set or label file that the label may come from.
        lexicon: Folder of your own words, laid over those that ship.
        markdown: Print the page as Markdown source.
    """
    from rich.console import Console
    from rich.markdown import Markdown

    from ltml_lexicons.choose import DEFAULT_SET, choose_labels, find_label
    from ltml_lexicons.errors import LexiconError
    from ltml_lexicons.handbook import page

    words = choose_labels(label_set or DEFAULT_SET, folder=lexicon).lexicon
    found = find_label(words, label)
    if found is None:
        near = _nearest(label, words)
        raise LexiconError(f"No label is called `{label}`; {near}`lexicon stats` lists all.")
    text = page(found, words)
    if markdown:
        print(text)
    else:
        Console(emoji=False, highlight=False).print(Markdown(text))


def gamuts(query: str, /, *, limit: int = 10, write: bool = False, out: Path = Path()) -> None:
    """Search the 1,934 findings of the Radiology Gamuts Ontology.

    Args:
        query: Words of a finding, or its Gamuts id.
        limit: Show at most so many.
        write: Write a draft label file for the best hit.
        out: Folder for the draft.
    """
    from rich.console import Console
    from rich.table import Table

    from ltml_lexicons.errors import LexiconError
    from ltml_lexicons.gamuts import search_gamuts

    found = search_gamuts(query, limit)
    if not found:
        raise LexiconError(f"No Gamuts finding fits `{query}`; try fewer or other words, or `lexicon new`.")
    table = Table("id", "finding", "synonyms", box=None, header_style="bold")
    for finding in found:
        table.add_row(finding.id, finding.name, "; ".join(finding.synonyms))
    console = Console(emoji=False, highlight=False)
    (console if console.is_terminal else Console(emoji=False, highlight=False, width=140)).print(table)
    if write:
        _write_draft(_title(found[0].name), found[0], out, force=False)


def new(
    label: str,
    /,
    *,
    gamuts_id: str | None = None,
    out: Path | None = None,
    lexicon: Path | None = None,
    force: bool = False,
) -> None:
    """Write a draft label file that joins the 39 as it stands; then edit it.

    Args:
        label: Name of the label, e.g. "Azygos Lobe": the column name in every table.
        gamuts_id: Gamuts finding whose terms become phrases; see `lexicon gamuts`.
        out: Folder for the file; this one by default, with --lexicon its folder `labels`.
        lexicon: Folder of your own words, which the label joins.
        force: Replace a file that is there.
    """
    from ltml_lexicons.errors import LexiconError
    from ltml_lexicons.gamuts import gamuts_findings

    finding = None
    if gamuts_id is not None:
        finding = next((entry for entry in gamuts_findings() if entry.id == gamuts_id), None)
        if finding is None:
            raise LexiconError(f"Gamuts has no finding `{gamuts_id}`; `lexicon gamuts QUERY` finds ids.")
    _write_draft(label, finding, out, force, lexicon)


def stats(*, label_set: str | None = None, lexicon: Path | None = None) -> None:
    """Count the phrases of every label by source.

    Args:
        label_set: Label set, set file or label file; all labels of the lexicon by default.
        lexicon: Folder of your own words, laid over those that ship.
    """
    from rich.console import Console
    from rich.table import Table

    from ltml_lexicons.choose import choose_labels
    from ltml_lexicons.handbook import phrase_counts
    from ltml_lexicons.lexicon import load_lexicon

    if label_set is None:
        words = load_lexicon(folder=lexicon)
        labels = tuple(words.labels.values()) + ((words.no_finding,) if words.no_finding else ())
    else:
        chosen = choose_labels(label_set, folder=lexicon)
        words, labels = chosen.lexicon, chosen.labels
    columns = ("chexpert", "gamuts", "curated", "unmentions", "composed")
    table = Table("index", "id", *columns, box=None, header_style="bold")
    totals = dict.fromkeys(columns, 0)
    for label in labels:
        counts = phrase_counts(label, words)
        table.add_row(str(label.index), label.id, *(str(counts[column]) for column in columns))
        for column in columns:
            totals[column] += counts[column]
    table.add_row("", f"{len(labels)} labels", *(str(totals[column]) for column in columns), style="bold")
    console = Console(emoji=False, highlight=False)
    (console if console.is_terminal else Console(emoji=False, highlight=False, width=140)).print(table)


def _write_draft(
    name: str, finding: "GamutsFinding | None", out: Path | None, force: bool, folder: Path | None = None
) -> None:
    from ltml_lexicons.drafts import draft_label, label_id, shipped_draft, taken_indexes
    from ltml_lexicons.errors import LexiconError
    from ltml_lexicons.lexicon import load_lexicon

    if out is None:
        out = Path() if folder is None else folder / "labels"
        out.mkdir(parents=True, exist_ok=True)
    path = out / f"{label_id(name)}.yaml"
    if path.exists() and not force:
        raise LexiconError(f"`{path}` exists; edit it, or replace it with --force.")
    if not out.is_dir():
        raise LexiconError(f"`{out}` is no folder; make it, or give another with --out.")
    has_words = folder is not None and any(folder.rglob("*.yaml"))
    lexicon = load_lexicon(folder=folder if has_words else None)
    page = shipped_draft(name, lexicon)
    if page is not None and folder is not None:
        raise LexiconError(
            f"Label `{name}` ships already, for other label sets; to have its column, list `{label_id(name)}` under "
            f"`labels` in `{folder / 'label_sets' / 'ltml39.yaml'}`."
        )
    text = page or draft_label(name, lexicon, finding, taken_indexes(out))
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
    n_phrases = sum(line.startswith("  - {text: ") for line in text.splitlines())
    checked = path if folder is None else f"--lexicon {folder}"
    print(f"{path}: draft with {n_phrases} phrases; edit it, then `lexicon check {checked}`")


def _title(name: str) -> str:
    return " ".join(word if word.isupper() else word.capitalize() for word in name.split())


def _nearest(name: str, lexicon: "Lexicon") -> str:
    from difflib import get_close_matches

    names = {label.name.lower(): label.id for label in lexicon.labels.values()}
    close = get_close_matches(name.lower().replace("_", " "), names, n=1)
    return f"did you mean `{names[close[0]]}`? " if close else ""
