"""Composed findings: a site with its predicate, in either order, in one clause."""

from ltml_dataset.labeling.compiled import NEGATIVE, POSITIVE, UNCERTAIN, CompiledLexicon, Role, RuleEntry, Word
from ltml_dataset.labeling.matcher import Hit
from ltml_dataset.labeling.vocabulary import number_value

MentionSpan = tuple[int, int, int, int, int, int, int, int]
"""First token, one past the last, first and one past the last token of the anchor (what cues act on), label, phrase,
state by itself, and the first token of the site where the predicate follows it (else -1)."""

_PHRASE, _SITE, _PREDICATE, _MODIFIER = int(Role.PHRASE), int(Role.SITE), int(Role.PREDICATE), int(Role.MODIFIER)
_CUE, _WORD = int(Role.CUE), int(Role.WORD)
_CLAUSE, _COMMA, _AND, _OR = int(Word.CLAUSE), int(Word.COMMA), int(Word.AND), int(Word.OR)
_WITH, _COPULA, _EXISTENTIAL, _REASON = int(Word.WITH), int(Word.COPULA), int(Word.EXISTENTIAL), int(Word.REASON)
_MILLIMETRE, _CENTIMETRE = int(Word.MILLIMETRE), int(Word.CENTIMETRE)
_JOINERS = frozenset({_COMMA, _AND, _OR})
_BREAKS = frozenset({_CLAUSE, _WITH, _EXISTENTIAL, _REASON})

ATTRIBUTE_GAP = 4
"""At most so many words between an attributive predicate and its site ("enlargement of the cardiac ...")."""
JOIN_GAP = 4
"""At most so many words between coordinated sites ("heart size and superior mediastinal contours")."""
MODIFIER_GAP = 7
"""At most so many words between a modifier and the finding it belongs to."""

SIZE_GAP = 8
"""At most so many words between a measurement and the finding it belongs to."""


def compose(code: str, hits: list[Hit], compiled: CompiledLexicon) -> list[MentionSpan]:
    """Mentions that arise from parts.

    Args:
        code: Encoded sentence; only its numbers are looked at, for sizes.
        hits: Hits of the sentence in order.
        compiled: Compiled lexicon.

    Returns:
        Mentions, in no particular order.
    """
    mentions: list[MentionSpan] = []
    has_site = any(hit[2] == _SITE for hit in hits)
    if not has_site and not compiled.finding_rules:
        return mentions
    if compiled.suppressor >= 0:  # words that only withhold No Finding stand in nobody's way
        entries, suppressor = compiled.phrases, compiled.suppressor
        hits = [hit for hit in hits if hit[2] != _PHRASE or entries[hit[3]].label != suppressor]
    sites = [i for i, hit in enumerate(hits) if hit[2] == _SITE]
    if sites:
        for i, hit in enumerate(hits):
            if hit[2] == _PREDICATE:
                attached, follows = _sites_of(i, hits)
                for j in attached:
                    for twin in _same_words(hits[j], hits):
                        _judge_pair(code, hits, twin, hit, follows, compiled, mentions)
        for j in sites:
            for rule in compiled.site_rules.get(hits[j][3], ()):
                if rule.alone and _has_modifiers(code, hits, rule, hits[j], hits[j]):
                    mentions.append(_mention(rule, hits[j], hits[j], POSITIVE, -1))
    if compiled.finding_rules:
        for hit in hits:
            if hit[2] == _PHRASE:
                for rule in compiled.finding_rules.get(compiled.phrases[hit[3]].label, ()):
                    if rule.alone and _has_modifiers(code, hits, rule, hit, hit):
                        mentions.append(_mention(rule, hit, hit, POSITIVE, -1))
    return mentions


def _same_words(site: Hit, hits: list[Hit]) -> list[Hit]:
    """The site in every group that has these words (`hila` as any hilum, and as both)."""
    return [hit for hit in hits if hit[:3] == site[:3]]


def _mention(rule: RuleEntry, site: Hit, anchor: Hit, state: int, site_first: int) -> MentionSpan:
    first, last = min(site[0], anchor[0]), max(site[1], anchor[1])
    return (first, last, anchor[0], anchor[1], rule.label, rule.phrase, state, site_first)


def _judge_pair(
    code: str,
    hits: list[Hit],
    site: Hit,
    predicate: Hit,
    follows: bool,
    compiled: CompiledLexicon,
    mentions: list[MentionSpan],
) -> None:
    for rule in compiled.site_rules.get(site[3], ()):
        group = predicate[3]
        if group in rule.abnormal:
            state = POSITIVE
        elif group in rule.uncertain:
            state = UNCERTAIN
        elif group in rule.normal:
            state = NEGATIVE
        else:
            continue
        if state == NEGATIVE or _has_modifiers(code, hits, rule, site, predicate):
            mentions.append(_mention(rule, site, predicate, state, site[0] if follows else -1))


def _sites_of(i: int, hits: list[Hit]) -> tuple[list[int], bool]:
    """Sites that predicate `i` speaks of, and whether it follows them ("heart is enlarged")."""
    start, end = hits[i][0], hits[i][1]
    if not _after_copula(i, hits):
        right = _site_to_the_right(i, hits, end, _opens_member(i, hits))
        if right is not None:
            return [right, *_joined_right(right, hits)], False
    left = _site_to_the_left(i, hits, start)
    if left is None:
        return [], False
    return [left, *_joined_left(left, hits)], True


def _after_copula(i: int, hits: list[Hit]) -> bool:
    start = hits[i][0]
    for hit in reversed(hits[:i]):
        if hit[1] > start:
            continue
        if start - hit[1] > 3:
            return False
        if hit[2] == _WORD and hit[3] == _COPULA:
            return True
        if hit[2] in (_SITE, _PREDICATE, _PHRASE) or (hit[2] == _WORD and hit[3] in _BREAKS | _JOINERS):
            return False
    return False


def _opens_member(i: int, hits: list[Hit]) -> bool:
    """Whether predicate `i` begins a list member: "..., moderately enlarged and tortuous aorta"."""
    start = hits[i][0]
    return any(hit[2] == _WORD and hit[3] == _COMMA and 0 <= start - hit[1] <= 1 for hit in hits[:i])


def _site_to_the_right(i: int, hits: list[Hit], end: int, across_and: bool) -> int | None:
    for j in range(i + 1, len(hits)):
        hit = hits[j]
        if hit[0] < end:
            continue
        if hit[0] - end > ATTRIBUTE_GAP:
            return None
        if hit[2] == _SITE:
            return j
        if hit[2] in (_PREDICATE, _MODIFIER) or (across_and and hit[2] == _WORD and hit[3] == _AND):
            continue
        if hit[2] in (_PHRASE, _CUE) or (hit[2] == _WORD and hit[3] in _BREAKS | _JOINERS | {_COPULA}):
            return None
    return None


def _joined_right(j: int, hits: list[Hit]) -> list[int]:
    """Further sites coordinated with site `j`, as long as no predicate of their own follows."""
    joined: list[int] = []
    last = j
    joiner = False
    for k in range(j + 1, len(hits)):
        hit = hits[k]
        if hit[0] < hits[last][1]:
            continue
        if hit[0] - hits[last][1] > JOIN_GAP:
            break
        if hit[2] == _WORD and hit[3] in _JOINERS:
            joiner = True
        elif hit[2] == _SITE:
            if _has_own_predicate(k, hits):
                break
            if joiner or hit[0] - hits[last][1] <= 1:
                joined.append(k)
            last, joiner = k, False
        elif hit[2] == _MODIFIER:
            continue
        else:
            break
    return joined


def _has_own_predicate(k: int, hits: list[Hit]) -> bool:
    end = hits[k][1]
    for hit in hits[k + 1 :]:
        if hit[0] < end:
            continue
        if hit[0] - end > 3:
            return False
        if hit[2] == _PREDICATE or (hit[2] == _WORD and hit[3] == _COPULA):
            return True
        if hit[2] in (_SITE, _PHRASE, _CUE) or hit[2] == _WORD:
            return False
    return False


def _site_to_the_left(i: int, hits: list[Hit], start: int) -> int | None:
    crossed_copula = False
    and_at = -1
    for j in range(i - 1, -1, -1):
        hit = hits[j]
        if hit[1] > start:
            continue
        if hit[2] == _SITE:
            return j
        if hit[2] == _WORD:
            if hit[3] in _BREAKS:
                return None
            if hit[3] == _COPULA:
                crossed_copula = True
            if hit[3] == _AND:
                and_at = hit[0]
            if hit[3] == _COMMA and hit[1] == and_at and not crossed_copula:
                return None  # "thickened pleura, and calcified granulomas"
        elif hit[2] == _PHRASE and not crossed_copula:
            return None
    return None


def _joined_left(j: int, hits: list[Hit]) -> list[int]:
    joined: list[int] = []
    last = j
    joiner = False
    for k in range(j - 1, -1, -1):
        hit = hits[k]
        if hit[1] > hits[last][0]:
            continue
        if hits[last][0] - hit[1] > JOIN_GAP:
            break
        if hit[2] == _WORD and hit[3] in _JOINERS:
            joiner = True
        elif hit[2] == _SITE:
            if joiner or hits[last][0] - hit[1] <= 1:
                joined.append(k)
            last, joiner = k, False
        elif hit[2] == _MODIFIER:
            continue
        else:
            break
    return joined


def _has_modifiers(code: str, hits: list[Hit], rule: RuleEntry, site: Hit, anchor: Hit) -> bool:
    if not (rule.needs or rule.forbids or rule.needs_also or rule.size):
        return True
    first, last = min(site[0], anchor[0]), max(site[1], anchor[1])
    near = _modifiers_near(hits, first, last, _first_comma(hits, last))
    if rule.needs_also and not rule.needs_also & near:
        return False
    if rule.forbids and rule.forbids & _modifiers_near(hits, first, last, _statement_end(hits, last)):
        return False
    if rule.size is not None:
        size = _largest_mm(code, hits, first, last)
        if size is not None:
            low, high = rule.size.min_mm, rule.size.max_mm
            return (low is None or size >= low) and (high is None or size <= high)
    return not rule.needs or bool(rule.needs & near)


def _first_comma(hits: list[Hit], last: int) -> int:
    """The first comma behind a finding: what it needs must stand before ("cardiomegaly, severe edema")."""
    return next((hit[0] for hit in hits if hit[0] >= last and hit[2] == _WORD and hit[3] == _COMMA), 1 << 30)


def _statement_end(hits: list[Hit], last: int) -> int:
    """The comma behind which another finding or site begins: what rules a finding out may stand before it."""
    comma = _first_comma(hits, last)
    names_more = any(hit[0] > comma and hit[2] in (_SITE, _PHRASE) for hit in hits)
    return comma if names_more else 1 << 30


def _modifiers_near(hits: list[Hit], first: int, last: int, limit: int) -> set[int]:
    """Modifier groups in the noun phrase of tokens `first` to `last`, or said of it after a copula before `limit`."""
    near: set[int] = set()
    walls = [hit for hit in hits if _is_wall(hit, hits)]
    left_wall = max((wall[1] for wall in walls if wall[1] <= first), default=0)
    right_wall = min([limit, *(wall[0] for wall in walls if wall[0] >= last)])
    for start, end, role, ref in hits:
        if role == _MODIFIER and start >= left_wall and end <= right_wall:
            distance = first - end if end <= first else start - last
            if distance <= MODIFIER_GAP:
                near.add(ref)
    return near


def _is_wall(hit: Hit, hits: list[Hit]) -> bool:
    """Whether modifiers beyond belong to something else."""
    if hit[2] == _SITE:  # "lung" in the modifier "lung base" is no site of its own
        return not any(other[2] == _MODIFIER and other[0] <= hit[0] and other[1] >= hit[1] for other in hits)
    return hit[2] == _PHRASE or (hit[2] == _WORD and hit[3] in _BREAKS | {_AND})


def _largest_mm(code: str, hits: list[Hit], first: int, last: int) -> float | None:
    """The largest measurement within reach of tokens `first` to `last`, in millimetres, or None."""
    largest: float | None = None
    for start, end, role, ref in hits:
        if role != _WORD or ref not in (_MILLIMETRE, _CENTIMETRE):
            continue
        if (first - end if end <= first else start - last) > SIZE_GAP:
            continue
        factor = 1.0 if ref == _MILLIMETRE else 10.0
        for k in range(start - 1, max(start - 6, -1), -1):
            value = number_value(code[k])
            if value is not None:
                largest = max(largest or 0.0, value * factor)
            elif (start - k) % 2:  # "1.2 x 0.8 cm": numbers and signs take turns
                break
    return largest
