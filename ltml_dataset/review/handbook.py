"""The lexicon's page on a label, as HTML for the pop-up."""

from html import escape
from pathlib import Path

from ltml_lexicons.lexicon import load_lexicon


def definition_html(name: str, folder: Path | None = None) -> str:
    """Definition, what counts, what does not, neighbours; one sentence where the lexicon has no such label."""
    lexicon = load_lexicon(folder=folder)
    label = next((label for label in lexicon.labels.values() if label.name == name), None)
    if label is None:
        return f"<h2>{escape(name)}</h2><p>This label is not in the lexicon.</p>"
    names = {other.id: other.name for other in lexicon.labels.values()}
    parts = [f"<h2>{escape(name)}</h2>", f"<p>{escape(label.definition)}</p>"]
    for title, lines in (("Counts", label.counts), ("Does not count", label.does_not_count)):
        parts.append(_list(title, lines))
    parts.append(_list("Neighbours", [f"{names.get(n.label, n.label)}: {n.note}" for n in label.neighbours]))
    return "".join(parts)


def _list(title: str, lines: list[str]) -> str:
    if not lines:
        return ""
    return f"<h3>{title}</h3><ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"
