"""Hits of the lexicon in one encoded sentence."""

from ltml_dataset.labeling.compiled import CompiledLexicon, PhraseEntry, Role

REACH_KEPT = 16
"""Hits looked back at; those that end before the current one are dropped when there are more."""

Hit = tuple[int, int, int, int]
"""First token, one past the last, role, reference into the table of that role."""

_PHRASE, _UNMENTION, _SITE, _MODIFIER = int(Role.PHRASE), int(Role.UNMENTION), int(Role.SITE), int(Role.MODIFIER)


def find_hits(code: str, compiled: CompiledLexicon) -> list[Hit]:
    """Every phrase, site, predicate, modifier, cue and structural word of a sentence.

    Longer hits hide the shorter ones inside them, except that a phrase is hidden only by a phrase or an unmention of
    its own label, modifiers stay visible inside phrases, and so does a site that ends its phrase ("lung nodules").

    Args:
        code: Sentence as `Vocabulary.encode` gives it, one character a token.
        compiled: Compiled lexicon.

    Returns:
        Hits by position, longer before shorter, without unmentions.
    """
    found = [
        (end - length + 1, -end - 1, role, ref)
        for end, items in compiled.automaton.iter(code)
        for length, role, ref in items
    ]
    if not found:
        return []
    found.sort()
    phrases = compiled.phrases
    unmentions = [(start, -end, ref) for start, end, role, ref in found if role == _UNMENTION]
    hits: list[Hit] = []
    reach: list[Hit] = []
    furthest = 0
    for start, negative_end, role, ref in found:
        end = -negative_end
        if role == _UNMENTION:
            continue
        hit = (start, end, role, ref)
        if end <= furthest:
            if any(
                other[1] >= end and (other[0] < start or other[1] > end) and _hides(other, hit, phrases)
                for other in reach
            ):
                continue
        else:
            furthest = end
            if len(reach) > REACH_KEPT:
                reach = [other for other in reach if other[1] > start]
        reach.append(hit)
        if unmentions and role == _PHRASE:
            label = phrases[ref].label
            if any(first <= start and end <= last and label == hidden for first, last, hidden in unmentions):
                continue
        hits.append(hit)
    return hits


def _hides(longer: Hit, hit: Hit, phrases: list[PhraseEntry]) -> bool:
    role, longer_role = hit[2], longer[2]
    if role == _PHRASE:
        return longer_role == _PHRASE and phrases[longer[3]].label == phrases[hit[3]].label
    if role == _MODIFIER:
        return longer_role == _MODIFIER
    if longer_role == _MODIFIER:
        return False
    return not (role == _SITE and longer_role == _PHRASE and longer[1] == hit[1])
