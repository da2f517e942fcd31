"""Hits of the lexicon in one encoded sentence."""

from ltml_dataset.labeling.compiled import NEGATIVE, CompiledLexicon, Role, Word

_CUE, _WORD = int(Role.CUE), int(Role.WORD)
_COMMA_WORD, _PREPOSITION = int(Word.COMMA), int(Word.PREPOSITION)
_JOINING = frozenset({int(Word.COMMA), int(Word.AND), int(Word.OR), int(Word.NOR), int(Word.SLASH)})
_SHARED = 3
"""Words of a phrase that two members of a list may share at most; more than any finding's site or head has."""

REACH_KEPT = 16
"""Hits looked back at; those that end before the current one are dropped when there are more."""

Hit = tuple[int, int, int, int]
"""First token, one past the last, role, reference into the table of that role."""

Modifier = tuple[int, int, int]
"""First token, one past the last, modifier group."""

_PHRASE, _UNMENTION, _SITE, _PREDICATE, _INNER_SITE = (
    int(role) for role in (Role.PHRASE, Role.UNMENTION, Role.SITE, Role.PREDICATE, Role.INNER_SITE)
)


def find_hits(code: str, compiled: CompiledLexicon, *, all_hits: bool = False) -> list[Hit]:
    """Every phrase, site, predicate, cue and structural word of a sentence.

    Longer hits hide the shorter ones inside them, except that a phrase is hidden only by a phrase or an unmention of
    its own label, and a site that ends its phrase stays visible ("lung nodules").

    Args:
        code: Sentence as `Vocabulary.encode` gives it, one character a token.
        compiled: Compiled lexicon.
        all_hits: Also look at sentences from which no mention can come.

    Returns:
        Hits by position, longer before shorter, without unmentions.
    """
    found = [
        (end - length + 1, -end - 1, role, ref)
        for end, items in compiled.automaton.iter(code)
        for length, role, ref in items
    ]
    roles = {item[2] for item in found}
    if _WORD in roles and (_PHRASE in roles or _SITE in roles):
        shared = _find_shared(code, found, compiled)
        if shared:
            found += shared
            roles.add(_PHRASE)
    if not all_hits and _PHRASE not in roles and not _may_compose(found, roles, compiled):
        return []
    found.sort()
    phrases = compiled.phrases
    unmentions = []
    if _UNMENTION in roles:
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
            if _is_hidden(hit, reach, compiled):
                if role == _SITE and ref in compiled.site_rules:
                    hits.append((start, end, _INNER_SITE, ref))
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


def _find_shared(code: str, found: list[Hit], compiled: CompiledLexicon) -> list[Hit]:
    """Phrases whose head or first words stand once for two members of a list.

    "Pericardial or pleural effusion" names both effusions, "mitral stenosis and regurgitation" both defects. The words
    on the two sides of the joiner are put together and looked up; what goes on behind it ("pleural effusion and
    calcification of the aorta", "calcified nodes and pleural thickening") shares nothing, nor do words that leave open
    what the other member says ("tracheal and mediastinal shift").

    Returns:
        Phrase hits as `found` has them (ends negated): the whole stretch where the head is shared, the words behind the
        joiner where the first words are.
    """
    joiners = [(start, -end, ref) for start, end, role, ref in found if role == _WORD and ref in _JOINING]
    if not joiners:
        return []
    automaton, phrases = compiled.automaton, compiled.phrases
    spans = {(start, -end, ref) for start, end, role, ref in found if role == _PHRASE}
    ends = {start for start, _, role, ref in found if role == _CUE or (role == _WORD and ref != _PREPOSITION)}
    ends.add(len(code))
    shared: list[Hit] = []
    for start, end, ref in joiners:
        if start == 0 or end >= len(code):
            continue
        skipped_words = 0 if ref == _COMMA_WORD else 1
        stretches = {
            (last, code[end:last]) for first, last, _ in spans if end <= first <= end + skipped_words and last - end > 1
        }
        for last, words in stretches:
            said = {phrases[other].label for first, to, other in spans if end <= first and to == last}
            for k in range(1, len(words)):
                for m in range(1, min(_SHARED, start) + 1):
                    for _, role, other in automaton.get(code[start - m : start] + words[k:], ()):
                        if role == _PHRASE and not (phrases[other].state is not None and phrases[other].label in said):
                            shared.append((start - m, -last, role, other))
        if not stretches:
            shared += _shared_heads(code, start, end, ends, compiled)
        if ref == _COMMA_WORD:
            continue
        for m in range(1, min(_SHARED, len(code) - end) + 1):
            if end + m not in ends:
                continue
            tail = code[end : end + m]
            own = {phrases[other].label for _, role, other in automaton.get(tail, ()) if role == _PHRASE}
            for skipped in range(1, min(_SHARED, start - 1) + 1):
                for n in range(1, min(_SHARED, start - skipped) + 1):
                    head = code[start - skipped - n : start - skipped]
                    for _, role, other in automaton.get(head + tail, ()):
                        if role == _PHRASE and phrases[other].label not in own:
                            shared.append((end, -(end + m), role, other))
    return shared


def _shared_heads(code: str, start: int, end: int, ends: set[int], compiled: CompiledLexicon) -> list[Hit]:
    """Phrases whose head stands behind a word that names nothing with it ("pulmonary or mediastinal lesion")."""
    found: list[Hit] = []
    for skipped in range(1, _SHARED):
        for n in range(1, _SHARED):
            last = end + skipped + n
            if last not in ends or any(place in ends for place in range(end, end + skipped)):
                continue
            for m in range(1, min(_SHARED, start) + 1):
                for _, role, ref in compiled.automaton.get(code[start - m : start] + code[last - n : last], ()):
                    if role == _PHRASE:
                        found.append((start - m, -last, role, ref))
    return found


def _may_compose(found: list[Hit], roles: set[int], compiled: CompiledLexicon) -> bool:
    """Whether a sentence without a phrase can hold a composed finding."""
    if _SITE not in roles:
        return False
    return _PREDICATE in roles or any(hit[2] == _SITE and hit[3] in compiled.alone_by_site for hit in found)


def _is_hidden(hit: Hit, reach: list[Hit], compiled: CompiledLexicon) -> bool:
    start, end = hit[0], hit[1]
    for other in reach:
        if other[1] >= end and (other[1] > end or other[0] < start) and _hides(other, hit, compiled):
            return True
    return False


def _hides(longer: Hit, hit: Hit, compiled: CompiledLexicon) -> bool:
    role, longer_role = hit[2], longer[2]
    phrases, cues = compiled.phrases, compiled.cues
    if role == _PHRASE:
        return longer_role == _PHRASE and phrases[longer[3]].label == phrases[hit[3]].label
    if role == _CUE and longer_role == _PHRASE:
        return phrases[longer[3]].state != NEGATIVE  # the "no" of "no #" is there for others
    if role == _PREDICATE and longer_role == _PHRASE:
        return phrases[longer[3]].label != compiled.suppressor  # "deviated trachea" only withholds No Finding
    if role == _PREDICATE and longer_role == _CUE:
        return not cues[longer[3]].denies_change
    return not (role == _SITE and longer_role == _PHRASE and longer[1] == hit[1])


def find_modifiers(code: str, compiled: CompiledLexicon) -> list[Modifier]:
    """Modifiers of a sentence; a longer one of its own group, or of one that no rule needs, hides those inside it."""
    needed = compiled.needed
    found = [
        (end - length + 1, end + 1, ref) for end, items in compiled.modifiers.iter(code) for length, _, ref in items
    ]
    return [
        one
        for one in found
        if not any(
            o[0] <= one[0]
            and o[1] >= one[1]
            and o[1] - o[0] > one[1] - one[0]
            and (o[2] == one[2] or o[2] not in needed)
            for o in found
        )
    ]
