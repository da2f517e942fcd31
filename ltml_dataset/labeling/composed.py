"""Composed findings: a site with its predicate, in either order, in one clause."""

from ltml_dataset.labeling.compiled import (
    NEGATIVE,
    POSITIVE,
    UNCERTAIN,
    CompiledLexicon,
    CueEntry,
    Role,
    RuleEntry,
    Word,
)
from ltml_dataset.labeling.matcher import Hit, Modifier, find_modifiers
from ltml_dataset.labeling.vocabulary import number_value

MentionSpan = tuple[int, int, int, int, int, int, int, int]
"""First token, one past the last, first and one past the last token of the anchor (what cues act on), label, phrase,
state by itself, and the first token of the site where the predicate follows it (else -1)."""

_PHRASE, _SITE, _PREDICATE = int(Role.PHRASE), int(Role.SITE), int(Role.PREDICATE)
_CUE, _WORD = int(Role.CUE), int(Role.WORD)
_CLAUSE, _COMMA, _AND, _OR = int(Word.CLAUSE), int(Word.COMMA), int(Word.AND), int(Word.OR)
_WITH, _COPULA, _EXISTENTIAL, _REASON = int(Word.WITH), int(Word.COPULA), int(Word.EXISTENTIAL), int(Word.REASON)
_MILLIMETRE, _CENTIMETRE = int(Word.MILLIMETRE), int(Word.CENTIMETRE)
_JOINERS = frozenset({_COMMA, _AND, _OR})
_BREAKS = frozenset({_CLAUSE, _WITH, _EXISTENTIAL, _REASON})
_WALLS = _BREAKS | {_AND}
_STOPS = _BREAKS | _JOINERS
_STOPS_AND_COPULA = _STOPS | {_COPULA}

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
    has_site = has_predicate = is_enough = False
    for _, _, role, ref in hits:
        if role == _SITE:
            has_site = has_site or ref in compiled.site_rules
            is_enough = is_enough or ref in compiled.alone_by_site
        elif role == _PREDICATE:
            has_predicate = True
        elif role == _PHRASE:
            is_enough = is_enough or compiled.phrases[ref].label in compiled.finding_rules
    if not is_enough and not (has_site and has_predicate):
        return []
    return _Composer(code, hits, compiled).compose(has_site)


class _Composer:
    """The parts of one sentence."""

    def __init__(self, code: str, hits: list[Hit], compiled: CompiledLexicon) -> None:
        entries, suppressor = compiled.phrases, compiled.suppressor
        self.code = code
        self.compiled = compiled
        # words that only withhold No Finding stand in nobody's way
        self.hits = [hit for hit in hits if hit[2] != _PHRASE or entries[hit[3]].label != suppressor]
        self.mentions: list[MentionSpan] = []
        self._modifiers: list[Modifier] | None = None

    @property
    def modifiers(self) -> list[Modifier]:
        if self._modifiers is None:
            self._modifiers = find_modifiers(self.code, self.compiled)
        return self._modifiers

    def compose(self, has_site: bool) -> list[MentionSpan]:
        hits, compiled = self.hits, self.compiled
        if has_site:
            for i, hit in enumerate(hits):
                if hit[2] == _PREDICATE:
                    attached, follows = _sites_of(i, hits, compiled.cues)
                    for j in attached:
                        for twin in _same_words(hits[j], hits):
                            self._judge_pair(twin, hit, follows)
        for hit in hits:
            if hit[2] == _SITE:
                rules = compiled.alone_by_site.get(hit[3], ())
            elif hit[2] == _PHRASE:
                rules = compiled.finding_rules.get(compiled.phrases[hit[3]].label, ())
            else:
                continue
            for rule in rules:
                if rule.alone and self._has_modifiers(rule, hit, hit):
                    self.mentions.append(_mention(rule, hit, hit, POSITIVE, -1))
        return self.mentions

    def _judge_pair(self, site: Hit, predicate: Hit, follows: bool) -> None:
        for rule in self.compiled.site_rules.get(site[3], ()):
            group = predicate[3]
            if group in rule.abnormal:
                state = POSITIVE
            elif group in rule.uncertain:
                state = UNCERTAIN
            elif group in rule.normal:
                state = NEGATIVE
            else:
                continue
            if state == NEGATIVE or self._has_modifiers(rule, site, predicate):
                self.mentions.append(_mention(rule, site, predicate, state, site[0] if follows else -1))

    def _has_modifiers(self, rule: RuleEntry, site: Hit, anchor: Hit) -> bool:
        if not (rule.needs or rule.forbids or rule.needs_also or rule.size):
            return True
        present = {group for _, _, group in self.modifiers}
        if (rule.needs_also and rule.needs_also.isdisjoint(present)) or (
            rule.needs and rule.size is None and rule.needs.isdisjoint(present)
        ):
            return False
        first, last = min(site[0], anchor[0]), max(site[1], anchor[1])
        near: set[int] = set()
        if rule.needs or rule.needs_also:
            near = _modifiers_near(self.modifiers, self.hits, first, last, _first_comma(self.hits, last))
        if rule.needs_also and not rule.needs_also & near:
            return False
        if not rule.forbids.isdisjoint(present):
            wide = _modifiers_near(self.modifiers, self.hits, first, last, _statement_end(self.hits, last))
            if rule.forbids & wide:
                return False
        if rule.size is not None:
            size = _largest_mm(self.code, self.hits, first, last)
            if size is not None:
                low, high = rule.size.min_mm, rule.size.max_mm
                return (low is None or size >= low) and (high is None or size <= high)
        return not rule.needs or bool(rule.needs & near)


def _same_words(site: Hit, hits: list[Hit]) -> list[Hit]:
    """The site in every group that has these words (`hila` as any hilum, and as both)."""
    return [hit for hit in hits if hit[:3] == site[:3]]


def _mention(rule: RuleEntry, site: Hit, anchor: Hit, state: int, site_first: int) -> MentionSpan:
    first, last = min(site[0], anchor[0]), max(site[1], anchor[1])
    return (first, last, anchor[0], anchor[1], rule.label, rule.phrase, state, site_first)


def _sites_of(i: int, hits: list[Hit], cues: list[CueEntry]) -> tuple[list[int], bool]:
    """Sites that predicate `i` speaks of, and whether it follows them ("heart is enlarged")."""
    start, end = hits[i][0], hits[i][1]
    if not _after_copula(i, hits):
        right = _site_to_the_right(i, hits, end, _opens_member(i, hits))
        if right is not None:
            return [right, *_joined_right(right, hits)], False
    left = _site_to_the_left(i, hits, start, cues)
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
        if hit[2] in (_SITE, _PREDICATE, _PHRASE) or (hit[2] == _WORD and hit[3] in _STOPS):
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
        if hit[2] == _PREDICATE or (across_and and hit[2] == _WORD and hit[3] == _AND):
            continue
        if hit[2] in (_PHRASE, _CUE) or (hit[2] == _WORD and hit[3] in _STOPS_AND_COPULA):
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


def _site_to_the_left(i: int, hits: list[Hit], start: int, cues: list[CueEntry]) -> int | None:
    crossed_copula = False
    and_at = -1
    for j in range(i - 1, -1, -1):
        hit = hits[j]
        if hit[1] > start:
            continue
        if hit[2] == _SITE:
            return j
        if hit[2] == _WORD:
            if hit[3] in _BREAKS and not (hit[3] == _CLAUSE and _keeps_subject(j, hits, cues)):
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


def _keeps_subject(j: int, hits: list[Hit], cues: list[CueEntry]) -> bool:
    """Whether a verb follows clause word `j` at once: "hard to assess but may be enlarged" is still about the heart."""
    end = hits[j][1]
    for first, _, role, ref in hits[j + 1 : j + 4]:
        if first == end and role == _WORD and ref == _COPULA:
            return True
        if first == end and role == _CUE and cues[ref].kind == "uncertainty" and cues[ref].scope == "list":
            return True
    return False


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
        else:
            break
    return joined


def _first_comma(hits: list[Hit], last: int) -> int:
    """The first comma behind a finding: what it needs must stand before ("cardiomegaly, severe edema")."""
    return next((hit[0] for hit in hits if hit[0] >= last and hit[2] == _WORD and hit[3] == _COMMA), 1 << 30)


def _statement_end(hits: list[Hit], last: int) -> int:
    """The comma behind which another finding or site begins: what rules a finding out may stand before it."""
    comma = _first_comma(hits, last)
    names_more = any(hit[0] > comma and hit[2] in (_SITE, _PHRASE) for hit in hits)
    return comma if names_more else 1 << 30


def _modifiers_near(modifiers: list[Modifier], hits: list[Hit], first: int, last: int, limit: int) -> set[int]:
    """Modifier groups in the noun phrase of tokens `first` to `last`, or said of it after a copula before `limit`."""
    near: set[int] = set()
    if not modifiers:
        return near
    walls = [hit for hit in hits if _is_wall(hit, modifiers)]
    left_wall = max((wall[1] for wall in walls if wall[1] <= first), default=0)
    right_wall = min([limit, *(wall[0] for wall in walls if wall[0] >= last)])
    for start, end, group in modifiers:
        if start >= left_wall and end <= right_wall:
            distance = first - end if end <= first else start - last
            if distance <= MODIFIER_GAP:
                near.add(group)
    return near


def _is_wall(hit: Hit, modifiers: list[Modifier]) -> bool:
    """Whether modifiers beyond belong to something else."""
    if hit[2] == _SITE:  # "lung" in the modifier "lung base" is no site of its own
        return not any(start <= hit[0] and end >= hit[1] for start, end, _ in modifiers)
    return hit[2] == _PHRASE or (hit[2] == _WORD and hit[3] in _WALLS)


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
