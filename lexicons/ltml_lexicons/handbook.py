"""A label file as a page of Markdown, for `lexicon show` and `docs/labels.md`."""

from collections.abc import Iterable

from ltml_lexicons.lexicon import Lexicon
from ltml_lexicons.model import Composed, Label, Phrase, SourceKind, Unmention

SOURCE_KINDS: tuple[SourceKind, ...] = ("chexpert", "gamuts", "curated")
SOURCE_TITLES: dict[SourceKind, str] = {"chexpert": "CheXpert", "gamuts": "Gamuts", "curated": "Curated"}


def page(label: Label, lexicon: Lexicon, level: int = 2) -> str:
    """One label as Markdown.

    Args:
        label: The label.
        lexicon: The lexicon it belongs to, for names of parents and neighbours.
        level: Heading level.

    Returns:
        Text without a newline at the end.
    """
    parts = [f"{'#' * level} {label.name}", _facts(label, lexicon), label.definition.strip()]
    parts += _bullets("Counts", label.counts) + _bullets("Does not count", label.does_not_count)
    neighbours = [f"{_name(lexicon, other.label)}: {other.note}" for other in label.neighbours]
    parts += _bullets("Neighbours", neighbours)
    for kind in SOURCE_KINDS:
        phrases = [phrase for phrase in label.mentions if lexicon.source_kind(label, phrase.source) == kind]
        if phrases:
            parts.append(f"**Phrases, {SOURCE_TITLES[kind]}:** " + _listed(phrases))
    if label.unmentions:
        hidden = [
            f"{_code(phrase)} ({lexicon.source_kind(label, phrase.source)})"
            if lexicon.source_kind(label, phrase.source) != "curated"
            else _code(phrase)
            for phrase in label.unmentions
        ]
        parts.append("**Hidden inside longer words:** " + ", ".join(hidden))
    parts += _bullets("Composed", [_composed(rule, lexicon) for rule in label.composed])
    everything: list[Phrase | Unmention] = [*label.mentions, *label.unmentions]
    noted = [phrase for phrase in everything if phrase.note]
    parts += _bullets("Notes", [f"{_code(phrase)}: {phrase.note}" for phrase in noted])
    return "\n\n".join(parts)


def phrase_counts(label: Label, lexicon: Lexicon) -> dict[str, int]:
    """Phrases of a label by source kind, its unmentions and its composed rules."""
    counts: dict[str, int] = dict.fromkeys(SOURCE_KINDS, 0)
    for phrase in label.mentions:
        counts[lexicon.source_kind(label, phrase.source)] += 1
    return {**counts, "unmentions": len(label.unmentions), "composed": len(label.composed)}


def _facts(label: Label, lexicon: Lexicon) -> str:
    facts = [f"`{label.id}`", f"index {label.index}", f"origin {label.origin}"]
    if label.gamuts:
        facts.append("Gamuts " + ", ".join(label.gamuts))
    if label.parents:
        facts.append("makes present: " + ", ".join(_name(lexicon, parent) for parent in label.parents))
    if label.paper_parents:
        names = ", ".join(_name(lexicon, parent) for parent in label.paper_parents)
        facts.append(f"makes present in profile paper: {names}")
    if label.chronic:
        facts.append("a history of it is the disease")
    if label.device:
        facts.append("a device: present until removed")
    return " · ".join(facts)


def _name(lexicon: Lexicon, label_id: str) -> str:
    return lexicon.labels[label_id].name if label_id in lexicon.labels else label_id


def _bullets(title: str, lines: Iterable[str]) -> list[str]:
    listed = [f"- {line}" for line in lines]
    return [f"**{title}**\n\n" + "\n".join(listed)] if listed else []


def _listed(phrases: Iterable[Phrase | Unmention]) -> str:
    return ", ".join(_described(phrase) for phrase in phrases)


def _described(phrase: Phrase | Unmention) -> str:
    extra = []
    if isinstance(phrase, Phrase):
        extra += ["capitals only"] if phrase.upper else []
        extra += [] if phrase.paper else ["not in profile paper"]
        extra += [phrase.state] if phrase.state else []
    return _code(phrase) + (f" ({', '.join(extra)})" if extra else "")


def _code(phrase: Phrase | Unmention) -> str:
    return f"`{phrase.text}{'-' if phrase.stem else ''}`"


def _composed(rule: Composed, lexicon: Lexicon) -> str:
    places = [name.replace("_", " ") for name in rule.site]
    places += [_name(lexicon, finding) for finding in rule.finding]
    said = [f"*{rule.name}*: {' or '.join(places)}"]
    for word, groups in (("present", rule.abnormal), ("uncertain", rule.uncertain), ("absent", rule.normal)):
        if groups:
            said.append(f"{word} when {' or '.join(group.replace('_', ' ') for group in groups)}")
    if rule.alone:
        said.append("present by itself")
    for groups in (rule.needs, rule.needs_also):
        if groups:
            said.append(f"needs {' or '.join(group.replace('_', ' ') for group in groups)}")
    if rule.forbids:
        said.append(f"never with {' or '.join(group.replace('_', ' ') for group in rule.forbids)}")
    if rule.size:
        low = f"{rule.size.min_mm:g} mm" if rule.size.min_mm is not None else "0"
        high = f"{rule.size.max_mm:g} mm" if rule.size.max_mm is not None else "any size"
        said.append(f"size {low} to {high}")
    return "; ".join(said) + (f". {rule.note}" if rule.note else "")
