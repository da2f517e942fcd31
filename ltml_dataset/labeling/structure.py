"""The structure of one sentence, found once: parts, members of lists, statements with subject and predicate.

Marks (verbs, joiners, breaks) cut a sentence into parts: noun phrases with what hangs on them by prepositions. Parts
make members, which commas, "and" and "or" put side by side; members make statements, each with a subject and what is
said of it. Composition and assertion read this and look at no distances.
"""

from bisect import bisect_right
from typing import NamedTuple

from ltml_dataset.labeling.compiled import CompiledLexicon, Role, Word
from ltml_dataset.labeling.matcher import Hit

_CUE, _WORD, _PHRASE = int(Role.CUE), int(Role.WORD), int(Role.PHRASE)
_SITE, _PREDICATE = int(Role.SITE), int(Role.PREDICATE)

START, COMMA, AND, OR, COLON, WITH, REASON, SUBORDINATE, RELATIVE, OPEN, CLOSE, EXIST, LIKEWISE, CLAUSE = range(14)
"""What opens a member. Where several stand together (", and", "; however") the later of this list counts."""
VERB = 14

_OPENERS = {
    int(Word.COMMA): COMMA,
    int(Word.AND): AND,
    int(Word.OR): OR,
    int(Word.NOR): OR,
    int(Word.SLASH): OR,
    int(Word.COLON): COLON,
    int(Word.WITH): WITH,
    int(Word.REASON): REASON,
    int(Word.SUBORDINATE): SUBORDINATE,
    int(Word.RELATIVE): RELATIVE,
    int(Word.OPEN): OPEN,
    int(Word.CLOSE): CLOSE,
    int(Word.EXISTENTIAL): EXIST,
    int(Word.LIKEWISE): LIKEWISE,
    int(Word.CLAUSE): CLAUSE,
    int(Word.COPULA): VERB,
    int(Word.COPULAS): VERB,
    int(Word.COPULA_PAST): VERB,
    int(Word.COPULAS_PAST): VERB,
    int(Word.VERB): VERB,
}
LISTED = frozenset({COMMA, AND, OR})
"""Openers that put a member beside the one before it."""
_PLURAL = frozenset({int(Word.COPULAS), int(Word.COPULAS_PAST)})
_PAST = frozenset({int(Word.COPULA_PAST), int(Word.COPULAS_PAST)})
_SEEN = int(Word.SEEN)
_AFFIRMING = frozenset({int(Word.AFFIRM), int(Word.PRONOUN)})


class Part(NamedTuple):
    """A stretch without joiner or verb: a noun phrase and what hangs on it."""

    start: int
    end: int
    member: int
    predicate: bool
    """Whether it stands behind the verb of its member."""


class Member:
    """Parts between two joiners."""

    __slots__ = (
        "affirms",
        "aside",
        "closed_by_or",
        "end",
        "first",
        "fresh",
        "last",
        "opener",
        "past",
        "plural",
        "seen",
        "start",
        "statement",
        "verb",
        "verb_first",
    )

    def __init__(self, start: int, opener: int, first: int) -> None:
        """A member that begins with part `first`."""
        self.start = start
        """First token, behind what opens it."""
        self.end = start
        self.opener = opener
        self.first = first
        self.last = first
        self.verb = -1
        """Token of its first verb, -1 where it has none."""
        self.verb_first = False
        """Whether the verb opens it, so that its subject stands before the joiner."""
        self.plural = False
        self.past = False
        self.seen = False
        """Whether the verb only says that something is seen."""
        self.statement = 0
        self.fresh = False
        """Whether it makes a statement of its own, which no list cue before it reaches."""
        self.affirms = False
        """Whether it opens with a word that affirms ("..., small effusion")."""
        self.aside = False
        """Whether it stands in commas between a subject and its verb ("the heart, large last week, is normal")."""
        self.closed_by_or = False
        """Whether its list ends in "or": then it is one list, whatever the adjectives."""

    @property
    def has_subject_and_verb(self) -> bool:
        """Whether it is a whole clause."""
        return self.verb >= 0 and not self.verb_first


class Structure:
    """Parts, members and statements of one sentence."""

    __slots__ = ("_starts", "hits", "members", "parts", "subjects")

    def __init__(self, parts: list[Part], members: list[Member], subjects: list[list[int]], hits: list[Hit]) -> None:
        """What `read_structure` found."""
        self.parts = parts
        self.members = members
        self.subjects = subjects
        """Statement -> parts of its subject."""
        self.hits = hits
        self._starts = [part.start for part in parts]

    def part_at(self, token: int) -> int:
        """Number of the part that a token belongs to; a joiner or verb belongs to what follows it."""
        return max(0, bisect_right(self._starts, token) - 1)

    def member_at(self, token: int) -> Member:
        """The member that a token belongs to."""
        return self.members[self.parts[self.part_at(token)].member]


def read_structure(n_tokens: int, hits: list[Hit], compiled: CompiledLexicon) -> Structure:
    """The structure of a sentence.

    Args:
        n_tokens: Tokens of the sentence.
        hits: Its hits in order.
        compiled: Compiled lexicon; which cues are verbs stands there.
    """
    parts, members = _cut(n_tokens, hits, compiled)
    _mark_openings(members, hits, compiled)
    subjects = _join(parts, members)
    return Structure(parts, members, subjects, hits)


def _cut(n_tokens: int, hits: list[Hit], compiled: CompiledLexicon) -> tuple[list[Part], list[Member]]:
    cues = compiled.cues
    parts: list[Part] = []
    members = [Member(0, START, 0)]
    member = members[0]
    position = 0
    predicate = False
    is_empty = True  # nothing stands in the member yet
    titled = False  # a colon was the last mark
    for start, end, role, ref in hits:
        if role == _WORD:
            kind = _OPENERS.get(ref, -1)
            if kind < 0:
                if ref == _SEEN and predicate and member.verb >= 0:
                    member.seen = member.seen or start == position
                continue
        elif role == _CUE and cues[ref].verb:
            kind = VERB
        else:
            continue
        if start < position:
            continue
        if start > position:
            is_empty = False
        if kind == VERB and titled and start > position and _names_something(hits, position, start):
            # "PA view: the heart is enlarged": the colon ended a title, it is no verb
            member.last, member.end, member.verb = len(parts) - 1, parts[-1].end, -1
            member = Member(position, COLON, len(parts))
            members.append(member)
            predicate = False
        titled = kind == COLON
        if kind == VERB or (kind == COLON and not is_empty):
            if start > position or not predicate:
                parts.append(Part(position, start, len(members) - 1, predicate))
            if member.verb < 0:
                member.verb = start
                member.verb_first = is_empty
                member.past = role == _WORD and ref in _PAST
                member.plural = (role == _WORD and ref in _PLURAL) or (role == _CUE and cues[ref].plural)
            predicate = True
            is_empty = False
            position = end
            if role == _CUE and cues[ref].seen:
                member.seen = True
            continue
        if is_empty:
            # a preposition without a noun ("which was normal before, is large") opens nothing
            is_stranded = kind == COMMA and member.opener in (WITH, REASON)
            member.opener = COMMA if is_stranded else max(member.opener, kind)
            member.start = position = end
            continue
        parts.append(Part(position, start, len(members) - 1, predicate))
        member.last, member.end = len(parts) - 1, start
        member = Member(end, kind, len(parts))
        members.append(member)
        position, predicate, is_empty = end, False, True
    parts.append(Part(position, n_tokens, len(members) - 1, predicate))
    member.last, member.end = len(parts) - 1, n_tokens
    return parts, members


def _names_something(hits: list[Hit], start: int, end: int) -> bool:
    """Whether a stretch holds a site or a finding of its own."""
    return any(start <= hit[0] < end and hit[2] in (_SITE, _PHRASE) for hit in hits)


def _mark_openings(members: list[Member], hits: list[Hit], compiled: CompiledLexicon) -> None:
    """Which members open like a statement of their own, and which lists end in "or"."""
    closed = False
    for member in reversed(members):
        member.closed_by_or = closed and member.opener == COMMA
        if member.opener == OR:
            closed = True
        elif member.opener != COMMA or member.verb >= 0:
            closed = False
    cues = compiled.cues
    at = 0
    for member in members:
        if member.opener == EXIST:
            member.fresh = True
            continue
        if member.opener not in LISTED:
            continue
        while at < len(hits) and hits[at][0] < member.start:
            at += 1
        site_end = -1
        for start, end, role, ref in hits[at:]:
            if start >= member.end or role == _PHRASE or (member.verb >= 0 and start >= member.verb):
                break
            if role == _SITE:
                site_end = end
            elif role == _PREDICATE:
                if 0 <= site_end <= start and not ref & 1 and end == member.end and member.opener != OR:
                    member.fresh = not member.closed_by_or  # "no effusion, heart enlarged"
                    break
            elif role == _CUE:
                cue = cues[ref]
                if cue.before and cue.kind != "uncertainty":
                    member.fresh = True
                    break
            elif role == _WORD and ref in _AFFIRMING and not member.closed_by_or and member.opener != OR:
                member.affirms = True
                break


def _join(parts: list[Part], members: list[Member]) -> list[list[int]]:
    """Number the statements and find the subject of each."""
    subjects: list[list[int]] = [[]]
    statement = 0
    has_verb = False  # of the statement
    before_bracket = 0
    heirs: dict[int, int] = {}
    for i, member in enumerate(members):
        opener = member.opener
        own = member.has_subject_and_verb
        aside = _aside_before(members, i) if member.verb_first and opener == COMMA else 0
        if i == 0:
            pass
        elif aside:
            owner = members[aside - 1]
            statement = owner.statement
            subjects[statement] = [k for k in range(owner.first, owner.last + 1) if not parts[k].predicate]
            for other in members[aside:i]:
                other.aside = True
        elif opener == CLOSE:
            statement = before_bracket
        elif opener in LISTED:
            if own:
                member.fresh = member.fresh or (opener != OR and not member.seen and not member.closed_by_or)
                if has_verb or (opener != OR and not member.plural and not member.seen):
                    statement = _open(subjects)
                    has_verb = False
                    if opener == OR or (opener == AND and (member.plural or member.seen)):
                        _pull(members, i, statement)
        elif opener in (WITH, REASON) and own and not has_verb:
            pass  # "the effusion from last week has resolved": the verb is said of what stands before
        else:
            if opener == OPEN:
                before_bracket = statement
            earlier = statement
            statement = _open(subjects)
            has_verb = False
            if opener == RELATIVE:
                subjects[statement] = [member.first - 1]
            elif member.verb_first:
                heirs[statement] = earlier  # "hard to assess but may be enlarged"
        member.statement = statement
        if own:
            has_verb = True
    for i, member in enumerate(members):
        if member.verb_first and member.statement in heirs and not subjects[member.statement]:
            subjects[member.statement] = list(subjects[heirs[member.statement]])
        if member.has_subject_and_verb:
            subject = subjects[member.statement]
            first = i
            while first and members[first - 1].statement == member.statement and members[first - 1].verb < 0:
                if members[first].opener not in (*LISTED, WITH, REASON):
                    break
                first -= 1
            if not subject:
                for other in members[first : i + 1]:
                    subject.extend(k for k in range(other.first, other.last + 1) if not parts[k].predicate)
    return subjects


def _aside_before(members: list[Member], i: int) -> int:
    """The first member of an aside in commas that parts a subject from the verb that opens member `i`; 0 for none."""
    k = i - 1
    while k > 0:
        before = members[k - 1]
        opener = members[k].opener
        if opener in (SUBORDINATE, CLAUSE) or (opener == COMMA and not members[k].has_subject_and_verb):
            return k if before.verb < 0 and (k == 1 or before.opener not in LISTED) else 0
        if opener in LISTED or members[k].verb >= 0:
            return 0
        k -= 1
    return 0


def _open(subjects: list[list[int]]) -> int:
    subjects.append([])
    return len(subjects) - 1


def _pull(members: list[Member], i: int, statement: int) -> None:
    """Members before `i` without a verb belong to its subject: "the heart is large, edema and effusion are seen"."""
    k = i - 1
    while k > 0 and members[k].verb < 0 and members[k].opener in LISTED:
        members[k].statement = statement
        if members[k].opener == AND:
            members[k].fresh = True
            return
        k -= 1
    if k < i - 1:
        members[k + 1].fresh = True
