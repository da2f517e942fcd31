"""How each mention of a sentence is asserted: cues with direction and scope over clauses and coordinated lists."""

from typing import NamedTuple

from ltml_dataset.labeling.compiled import NEGATIVE, POSITIVE, UNCERTAIN, CompiledLexicon, CueEntry, Role, Word
from ltml_dataset.labeling.composed import MentionSpan
from ltml_dataset.labeling.matcher import Hit

_CUE, _WORD = int(Role.CUE), int(Role.WORD)
_MENTION = -1
_CLAUSE, _COMMA, _AND, _OR, _COLON = (int(w) for w in (Word.CLAUSE, Word.COMMA, Word.AND, Word.OR, Word.COLON))
_WITH, _COPULA, _SEEN, _EXISTENTIAL = (int(w) for w in (Word.WITH, Word.COPULA, Word.SEEN, Word.EXISTENTIAL))
_AFFIRM, _REASON, _RELATIVE, _PART = (int(w) for w in (Word.AFFIRM, Word.REASON, Word.RELATIVE, Word.PART))
_SEPARATORS = frozenset({_CLAUSE, _COMMA, _AND, _OR})
_SOFT_BREAKS = frozenset({_WITH, _EXISTENTIAL, _REASON, _RELATIVE, _COLON})
_LIST_ENDS = _SOFT_BREAKS | {_CLAUSE, _COPULA, _AND}

RANK = {
    "exclusion": 9,
    "removed": 8,
    "resolved": 8,
    "negation": 7,
    "normal": 7,
    "hypothetical": 6,
    "other_person": 6,
    "history": 5,
    "uncertainty": 4,
}
"""Which cue decides where several reach a mention."""

ALTERNATIVE_GAP = 5
"""At most so many words between "or" and the finding that is one of its alternatives."""
FRESH_GAP = 2
"""A list member that affirms something says so within its first words."""


class Verdict(NamedTuple):
    """State of a mention, the rule that decided, and the tokens of the deciding cue (-1 where none did)."""

    state: int
    rule: str
    cue: int
    first: int
    last: int


class AssertionEngine:
    """Rules of scope over the cues of a lexicon."""

    def __init__(self, compiled: CompiledLexicon) -> None:
        """An engine for the cues of `compiled`."""
        self._cues = compiled.cues
        self._phrases = compiled.phrases
        self._implied_by = compiled.implied_by
        self._devices = [label.device for label in compiled.labels]
        self._lasting = [label.chronic or label.device for label in compiled.labels]

    def assert_mentions(self, hits: list[Hit], mentions: list[MentionSpan]) -> list[Verdict]:
        """One verdict a mention.

        Args:
            hits: Hits of the sentence in order; cues and structural words are what is used.
            mentions: Phrases found and findings composed. A label of -1 stands for any span (see `assert_span`).
        """
        has_cue = has_or = False
        for hit in hits:
            if hit[2] == _CUE:
                has_cue = True
            elif hit[2] == _WORD and hit[3] == _OR:
                has_or = True
        if not has_cue and not has_or:
            return [self._decide(mention, []) for mention in mentions]
        timeline = [hit for hit in hits if hit[2] == _CUE or hit[2] == _WORD]
        reached: list[list[tuple[int, int, Hit]]] = [[] for _ in mentions]
        if timeline:
            timeline.extend((mention[2], mention[3], _MENTION, i) for i, mention in enumerate(mentions))
            timeline.sort()
            for position, hit in enumerate(timeline):
                if hit[2] != _CUE:
                    continue
                cue = self._cues[hit[3]]
                if cue.before:
                    for i in _reach_right(timeline, position, cue, mentions, self._cues):
                        reached[i].append((RANK[cue.kind], -(mentions[i][2] - hit[1]), hit))
                if cue.after:
                    if cue.tail >= 0 and _next_mention(timeline, position, hit[1]) is not None:
                        backwards = []  # "opacity is likely atelectasis": what is likely follows
                    else:
                        backwards = _reach_left(timeline, position, cue, mentions, self._cues)
                    for i in backwards:
                        reached[i].append((RANK[cue.kind], -(hit[0] - mentions[i][3]), hit))
                    if not backwards and cue.tail >= 0:  # "there is probable edema": nothing stands before it
                        for i in _reach_right(timeline, position, self._cues[cue.tail], mentions, self._cues):
                            reached[i].append((RANK[cue.kind], -(mentions[i][2] - hit[1]), hit))
        verdicts = [self._decide(mention, found) for mention, found in zip(mentions, reached, strict=True)]
        if has_or:
            _judge_alternatives(timeline, mentions, verdicts, self._implied_by)
        return verdicts

    def _decide(self, mention: MentionSpan, found: list[tuple[int, int, Hit]]) -> Verdict:
        _, _, first, _, label, phrase, state, site = mention
        if phrase >= 0 and (own := self._phrases[phrase].state) is not None:
            if own == NEGATIVE:
                return Verdict(own, "phrase", -1, -1, -1)
            state = own
        if state == NEGATIVE:
            for _, _, hit in found:
                cue = self._cues[hit[3]]
                if cue.kind == "negation" and 0 <= site < hit[0] < first:
                    return Verdict(POSITIVE, "not normal", hit[3], hit[0], hit[1])
            return Verdict(NEGATIVE, "normal", -1, -1, -1)
        if len(found) > 1:
            found.sort(reverse=True)
        for _, _, hit in found:
            cue = self._cues[hit[3]]
            if cue.kind == "history" and (label < 0 or self._lasting[label]):
                continue
            if cue.kind in ("other_person", "removed", "normal") and label < 0:
                continue
            if cue.kind == "normal" and self._devices[label]:
                continue
            verdict = cue.state
            if state == UNCERTAIN and verdict == POSITIVE:
                break
            if label < 0 and cue.kind == "hypothetical":
                verdict = UNCERTAIN
            return Verdict(verdict, cue.kind, hit[3], hit[0], hit[1])
        return Verdict(state, "borderline" if state == UNCERTAIN else "affirmed", -1, -1, -1)


def _reach_right(
    timeline: list[Hit], position: int, cue: CueEntry, mentions: list[MentionSpan], cues: list[CueEntry]
) -> list[int]:
    """Mentions after a cue that it governs."""
    end = timeline[position][1]
    reached: list[int] = []
    last_end = -1
    since_or = False
    for k in range(position + 1, len(timeline)):
        first, last, role, ref = timeline[k]
        if first < end:
            continue
        if cue.words and first - end > cue.words:
            break
        if role == _MENTION:
            if mentions[ref][7] >= end and cue.kind == "negation":
                continue  # "no effusion, the heart is enlarged": the predicate has its own subject
            if cue.scope == "next" and reached and not since_or and first >= last_end:
                break
            reached.append(ref)
            last_end = max(last_end, last)
            since_or = False
        elif role == _CUE:
            if _takes_over(cue, cues[ref]):
                break
        elif ref == _CLAUSE:
            if cue.scope != "sentence":
                break
        elif ref in _SOFT_BREAKS:
            if (first > end or cue.scope == "next") and cue.scope != "sentence":
                break
        elif ref == _PART:
            if cue.kind in ("negation", "uncertainty") and not reached:
                break
        elif ref == _OR:
            since_or = True
        elif ref in (_COMMA, _AND):
            if cue.scope == "sentence":
                continue
            if (cue.kind == "history" or cue.scope == "next") and ref == _COMMA and not reached:
                break  # "one day prior, edema is stable", "pneumonia unlikely, edema stable"
            if cue.scope == "phrase" and first > end and not _is_closed_by_or(timeline, k):
                break
            if cue.scope == "next" and reached and not _is_closed_by_or(timeline, k):
                break
            if cue.scope != "clause" and first > end and _is_fresh(timeline, k, cues):
                break
    if reached and cue.kind == "history" and cue.scope == "next" and _goes_on(timeline, last_end):
        return []
    return reached


def _goes_on(timeline: list[Hit], end: int) -> bool:
    """Whether something is said of the finding as it is now ("previous consolidation has improved")."""
    for first, _, role, ref in timeline:
        if first < end or role == _MENTION:
            continue
        if role == _WORD and ref == _CLAUSE:
            return False
        if role == _WORD and ref == _COPULA:
            return True
    return False


def _takes_over(cue: CueEntry, other: CueEntry) -> bool:
    """Whether `other`, met inside the scope of `cue`, ends it."""
    if not other.before:
        return False
    if other.kind == "exclusion" or other.kind == cue.kind:
        return True
    return other.kind == "negation"


def _is_fresh(timeline: list[Hit], k: int, cues: list[CueEntry]) -> bool:
    """Whether the list member behind separator `k` makes a statement of its own."""
    start = timeline[k][1]
    seen_something = False
    for m in range(k + 1, len(timeline)):
        first, last, role, ref = timeline[m]
        if role == _MENTION:
            seen_something = True
        elif role == _CUE:
            if cues[ref].before and first - start <= FRESH_GAP and cues[ref].kind != "uncertainty":
                return True
        elif ref in _SEPARATORS:
            if first <= start:  # ", and"
                start = last
                continue
            return False
        elif ref == _EXISTENTIAL:
            return True
        elif ref == _AFFIRM:
            if not seen_something and first - start <= FRESH_GAP and not _is_closed_by_or(timeline, k):
                return True
        elif ref == _COPULA:
            return not _is_seen(timeline, m)
        elif ref in _SOFT_BREAKS:
            return False
    return False


def _is_seen(timeline: list[Hit], m: int) -> bool:
    """Whether the copula at `m` only says "is seen"."""
    for first, _, role, ref in timeline[m + 1 :]:
        if first - timeline[m][1] > 2:
            return False
        if role == _WORD and ref == _SEEN:
            return True
    return False


def _is_closed_by_or(timeline: list[Hit], k: int) -> bool:
    """Whether the list that comma `k` belongs to ends in "or": then it is one list, whatever its adjectives."""
    if timeline[k][3] == _AND:
        return False
    for _, _, role, ref in timeline[k + 1 :]:
        if role != _WORD:
            continue
        if ref == _OR:
            return True
        if ref in _LIST_ENDS:
            return False
    return False


def _reach_left(
    timeline: list[Hit], position: int, cue: CueEntry, mentions: list[MentionSpan], cues: list[CueEntry]
) -> list[int]:
    """Mentions before a cue that it governs."""
    start = timeline[position][0]
    reached: list[int] = []
    first_start = 1 << 30
    is_list = is_choice = since_choice = False
    needs_copula = cue.kind == "normal" and not cue.text.startswith("within")
    for k in range(position - 1, -1, -1):
        first, last, role, ref = timeline[k]
        if last > start:
            continue
        if cue.kind == "normal":
            if role == _WORD and ref == _COPULA:
                needs_copula = False
                continue
            if role != _MENTION or needs_copula:
                break
        if cue.words and start - last > cue.words:
            break
        if role == _MENTION:
            if cue.scope == "next" and reached and last <= first_start and not since_choice:
                break
            since_choice = False
            reached.append(ref)
            first_start = min(first_start, first)
        elif role == _CUE:
            if reached and cues[ref].before and cues[ref].kind in ("negation", "exclusion"):
                break
        elif ref == _CLAUSE:
            break
        elif ref in _SOFT_BREAKS:
            if reached:
                break
        elif ref in (_AND, _OR):
            is_list = True
            is_choice = is_choice or ref == _OR
            since_choice = since_choice or ref == _OR
            if reached and ((cue.scope == "next" and ref == _AND) or _states_something(timeline, k, cues)):
                break
        elif ref == _COMMA:
            if cue.before:  # "opacity, stable versus worse": what stands beside is in the same phrase
                break
            since_choice = is_choice
            if reached and (not is_list or (cue.scope == "next" and not is_choice)):
                break
            if reached and _states_something(timeline, k, cues):
                break
        elif (ref == _COPULA and reached) or (ref == _PART and not reached):
            break
    return reached


def _states_something(timeline: list[Hit], k: int, cues: list[CueEntry]) -> bool:
    """Whether the list member before separator `k` is a statement of its own."""
    for m in range(k - 1, -1, -1):
        _, _, role, ref = timeline[m]
        if role == _CUE:
            if cues[ref].kind == "negation":
                return True
        elif role == _WORD:
            if ref in _SEPARATORS:
                return False
            if ref in (_COPULA, _EXISTENTIAL):
                return True
    return False


def _judge_alternatives(
    timeline: list[Hit],
    mentions: list[MentionSpan],
    verdicts: list[Verdict],
    implied_by: list[frozenset[int]],
) -> None:
    """ "Atelectasis or infiltrate": neither is certain."""
    for k, (start, end, role, ref) in enumerate(timeline):
        if role != _WORD or ref != _OR:
            continue
        right = _next_mention(timeline, k, end)
        if right is None or mentions[right][7] >= 0:
            continue
        left = _previous_mention(timeline, k, start)
        if left is None or mentions[left][4] == mentions[right][4] or mentions[left][7] >= 0:
            continue
        if verdicts[left].state == NEGATIVE or verdicts[right].state == NEGATIVE:
            continue
        for i, other in ((left, right), (right, left)):
            if mentions[i][4] >= 0 and mentions[other][4] in implied_by[mentions[i][4]]:
                continue
            if verdicts[i].state == POSITIVE and verdicts[i].rule == "affirmed":
                verdicts[i] = Verdict(UNCERTAIN, "alternative", -2, start, end)


def _next_mention(timeline: list[Hit], k: int, end: int) -> int | None:
    for first, _, role, ref in timeline[k + 1 :]:
        if first - end > ALTERNATIVE_GAP:
            return None
        if role == _MENTION:
            return ref
        if role == _WORD and ref in (_CLAUSE, _COMMA, _WITH, _COPULA, _EXISTENTIAL, _AND):
            return None
    return None


def _previous_mention(timeline: list[Hit], k: int, start: int) -> int | None:
    for m in range(k - 1, -1, -1):
        _, last, role, ref = timeline[m]
        if start - last > ALTERNATIVE_GAP:
            return None
        if role == _MENTION:
            return ref
        if role == _WORD and ref in (_CLAUSE, _WITH, _COPULA, _EXISTENTIAL, _AND):
            return None
    return None
