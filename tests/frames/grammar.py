"""What the words of a noun phrase say of its grammar; the words themselves stand in `words.yaml`."""

import re
from functools import cache
from pathlib import Path
from typing import Any, Literal

from ruamel.yaml import YAML

Number = Literal["singular", "plural", "mass"]
MARK = re.compile(r"[.,;:/?()]")


@cache
def read_yaml(name: str) -> Any:
    """One of the files beside this module."""
    return YAML(typ="safe").load((Path(__file__).parent / name).read_text(encoding="utf-8"))


def tokens_of(text: str) -> list[str]:
    """Lower-case words and marks.

    Example:
        >>> tokens_of("PE: none")
        ['pe', ':', 'none']
    """
    return MARK.sub(r" \g<0> ", text.lower().replace("-", " ")).split()


def head_of(text: str) -> tuple[list[str], list[str]] | None:
    """The words up to the head noun and those behind it; None where the text is no noun phrase.

    Example:
        >>> head_of("bronchi filled with mucus")
        (['bronchi'], ['filled', 'with', 'mucus'])
        >>> head_of("herniated into the chest") is None
        True
    """
    words = read_yaml("words.yaml")
    parts = text.split()
    if parts[0] in words["prepositions"] or any(part in (*words["verbs"], *words["finite_verbs"]) for part in parts):
        return None
    cut = next((i for i, part in enumerate(parts) if i and part in words["prepositions"]), len(parts))
    if 1 < cut < len(parts) and parts[cut - 1] in words["participles"]:
        cut -= 1
    while cut > 1 and parts[cut - 1].endswith("ally"):
        cut -= 1
    if is_adjective(parts[cut - 1]) or is_adjective(parts[-1]):
        return None
    return parts[:cut], parts[cut:]


def is_adjective(word: str) -> bool:
    """Whether a phrase that ends in the word lacks its noun."""
    words = read_yaml("words.yaml")
    if word in words["nouns_that_look_like_adjectives"] or word.endswith("ally"):
        return False
    return word.endswith(tuple(words["adjective_endings"]))


def number_of(front: list[str]) -> Number:
    """Number of a noun phrase, by its head, the last word."""
    words = read_yaml("words.yaml")
    head = front[-1].lower()
    if len(front) > 1 and front[-2].lower() in words["prefixes"]:
        head = front[-2].lower() + head
    if head in words["count_nouns"]:
        return "singular"
    if head in words["plurals"] or (head.endswith("s") and not head.endswith(tuple(words["singular_endings"]))):
        return "plural"
    if head in words["mass_nouns"] or front[-1].isupper() or head.endswith(tuple(words["mass_endings"])):
        return "mass"
    return "singular"


def number_of_phrase(text: str) -> Number:
    """Number of a whole noun phrase.

    Example:
        >>> number_of_phrase("pockets of gas")
        'plural'
    """
    split = head_of(text)
    return number_of(split[0] if split else text.split())


def plural_of_phrase(text: str) -> str:
    """The plural of a noun phrase with words behind its noun.

    Example:
        >>> plural_of_phrase("pocket of gas")
        'pockets of gas'
    """
    front, behind = head_of(text) or (text.split(), [])
    return " ".join([*front[:-1], plural_of(front[-1]), *behind])


def plural_of(word: str) -> str:
    """The regular plural."""
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return word[:-1] + "ies"
    if word.endswith(("s", "x", "ch", "sh")):
        return word + "es"
    return word + "s"


def with_article(text: str, number: Number) -> str:
    """ "a", "an" or nothing before a noun phrase."""
    if number != "singular" or text.startswith(("the ", "both ")):
        return text
    words = read_yaml("words.yaml")
    first = text.split()[0]
    if first.isupper() and len(first) > 1:
        vowel = first[0] in words["vowel_letters"]
    else:
        vowel = first[0].lower() in "aeiou" and not first.startswith(tuple(words["not_vowels"]))
    return f"{'an' if vowel else 'a'} {text}"


def with_capitals_inside(text: str) -> str:
    """Abbreviations and names as they are written.

    Example:
        >>> with_capitals_inside("bochdalek hernia")
        'Bochdalek hernia'
    """
    words = read_yaml("words.yaml")
    return " ".join(
        part.upper() if part in words["acronyms"] else part.capitalize() if part in words["names"] else part
        for part in text.split()
    )
