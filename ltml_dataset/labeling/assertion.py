"""How each mention of a sentence is asserted: cues with direction and reach, over the structure of the sentence."""

from ltml_dataset.labeling.compiled import (
    NEGATIVE,
    NOT_MENTIONED,
    POSITIVE,
    UNCERTAIN,
    CompiledLexicon,
    CueEntry,
    PhraseEntry,
    Role,
    Word,
)
from ltml_dataset.labeling.composed import MentionSpan
from ltml_dataset.labeling.matcher import Hit
from ltml_dataset.labeling.structure import (
    AND,
    CLAUSE,
    COMMA,
    EXIST,
    LISTED,
    OPEN,
    OR,
    REASON,
    RELATIVE,
    SUBORDINATE,
    WITH,
    Structure,
)
from ltml_dataset.labeling.verdicts import (
    Verdict,
    judge_alternatives,
    judge_artefacts,
    judge_signs,
    settle_by_denial,
)

_CUE, _WORD, _SITE = int(Role.CUE), int(Role.WORD), int(Role.SITE)
_PART, _PREPOSITION, _ARTEFACT = int(Word.PART), int(Word.PREPOSITION), int(Word.ARTEFACT)
_OPEN_ENDED = frozenset(int(word) for word in (Word.SEEN, Word.PREPOSITION, Word.ARTEFACT))
_CARRIED = frozenset({REASON, WITH, RELATIVE, SUBORDINATE, EXIST})
"""Openers that a cue directly before them reaches across."""
_END = 1 << 30

Reached = tuple[int, int, Hit]
"""Precedence of the cue's kind, nearness, and the cue."""


class AssertionEngine:
    """Rules of scope over the cues of a lexicon."""

    def __init__(self, compiled: CompiledLexicon) -> None:
        """An engine for the cues of `compiled`."""
        self._cues = compiled.cues
        self._ranks = compiled.precedence
        self._phrases = compiled.phrases
        self._implied_by = compiled.implied_by
        self._suppressor = compiled.suppressor
        self._devices = [label.device for label in compiled.labels]
        self._lasting = [label.chronic or label.device for label in compiled.labels]

    def assert_mentions(self, hits: list[Hit], mentions: list[MentionSpan], structure: Structure) -> list[Verdict]:
        """One verdict a mention.

        Args:
            hits: Hits of the sentence in order; cues and structural words are what is used.
            mentions: Phrases found and findings composed. A label of -1 stands for any span (see `assert_span`).
            structure: Structure of the sentence.
        """
        cue_hits = [hit for hit in hits if hit[2] == _CUE]
        has_or = any(member.opener == OR for member in structure.members)
        artefacts = [hit for hit in hits if hit[2] == _WORD and hit[3] == _ARTEFACT]
        if not cue_hits and not has_or and not artefacts:
            return [self._decide(mention, []) for mention in mentions]
        reached: list[list[Reached]] = [[] for _ in mentions]
        if cue_hits:
            reader = _Reader(hits, cue_hits, mentions, structure, self._cues, self._phrases, self._suppressor)
            for hit in cue_hits:
                cue = self._cues[hit[3]]
                rank = self._ranks[cue.kind]
                for i, distance in reader.reach(hit, cue):
                    reached[i].append((rank, -distance, hit))
        verdicts = [self._decide(mention, found) for mention, found in zip(mentions, reached, strict=True)]
        if has_or:
            judge_alternatives(mentions, verdicts, structure, self._implied_by)
        if artefacts:
            judge_artefacts(mentions, verdicts, structure, artefacts, self._cues)
        if cue_hits:
            settle_by_denial(mentions, verdicts)
            judge_signs(mentions, verdicts, structure, self._phrases)
        return verdicts

    def _decide(self, mention: MentionSpan, found: list[Reached]) -> Verdict:
        _, _, first, _, label, phrase, state, site = mention
        if phrase >= 0 and (own := self._phrases[phrase].state) is not None:
            if own == NEGATIVE:
                return Verdict(own, "phrase", -1, -1, -1)
            state = own
        if len(found) > 1:
            found.sort(reverse=True)
        for _, _, hit in found:
            if self._cues[hit[3]].denies_change and site >= 0 and hit[0] < mention[3] and first < hit[1]:
                return Verdict(NEGATIVE, "negation", hit[3], hit[0], hit[1])  # "the heart is not increased"
        if state == NEGATIVE:
            for _, _, hit in found:
                cue = self._cues[hit[3]]
                if cue.kind == "negation" and 0 <= site < hit[0] < first:
                    return Verdict(POSITIVE, "not normal", hit[3], hit[0], hit[1])
                if cue.state == NOT_MENTIONED:
                    return Verdict(NOT_MENTIONED, cue.kind, hit[3], hit[0], hit[1])
            return Verdict(NEGATIVE, "normal", -1, -1, -1)
        for _, _, hit in found:
            cue = self._cues[hit[3]]
            if cue.kind == "history" and (label < 0 or self._lasting[label]):
                continue
            if cue.kind in ("other_person", "removed", "normal", "comparison", "planned") and label < 0:
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


class _Reader:
    """Which mentions the cues of one sentence reach."""

    def __init__(
        self,
        hits: list[Hit],
        cue_hits: list[Hit],
        mentions: list[MentionSpan],
        structure: Structure,
        cues: list[CueEntry],
        phrases: list[PhraseEntry],
        suppressor: int,
    ) -> None:
        self.phrases = phrases
        self.suppressor = suppressor
        self.words = [hit for hit in hits if hit[2] == _WORD]
        self.cue_hits = cue_hits
        self.cues = cues
        self.mentions = mentions
        self.structure = structure
        entries = [(m[0], m[1], i) for i, m in enumerate(mentions)]
        entries += [(m[2], m[3], i) for i, m in enumerate(mentions) if m[7] >= 0]
        entries.sort()
        self.entries = entries
        """First and one past the last token and number of each mention; one with its predicate behind the site
        stands here twice, so that a cue between the two reaches it."""

    def reach(self, hit: Hit, cue: CueEntry) -> list[tuple[int, int]]:
        """Mentions that a cue governs, with their distance."""
        if cue.denies_change:
            overlapped = [i for i, m in enumerate(self.mentions) if m[7] >= 0 and hit[0] < m[3] and m[2] < hit[1]]
            if overlapped:
                return [(i, 0) for i in overlapped]
        member = self.structure.member_at(hit[0])
        if cue.past and not member.past and not (member.aside and member.verb < 0):
            return []
        if cue.before and cue.after:
            if cue.either and not self._closes(hit):
                return self._right(hit, cue)  # "shadows, ?edema"
            left = self._left(hit, cue)
            right = self._right(hit, cue) if cue.beside or not left else []
            return [*left, *right]
        if cue.before:
            return self._right(hit, cue)
        if cue.tail >= 0:
            return self._with_tail(hit, cue)
        return self._left(hit, cue)

    def _closes(self, hit: Hit) -> bool:
        """Whether nothing but a closing bracket or a joiner follows a cue in its member."""
        return hit[1] >= self.structure.member_at(hit[0]).end

    def _with_tail(self, hit: Hit, cue: CueEntry) -> list[tuple[int, int]]:
        """A cue behind its finding that may as well open what follows ("opacity is likely atelectasis").

        Where it is followed by words that name no finding it hedges cause, kind or change, and the finding stands.
        """
        structure = self.structure
        member = structure.member_at(hit[0])
        end = member.end
        if cue.verb and cue.kind != "uncertainty":  # "has resolved without residua"
            return self._left(hit, cue) or self._right(hit, self.cues[cue.tail])
        forward = [i for first, _, i in self.entries if hit[1] <= first < end]
        if forward:
            return self._right(hit, self.cues[cue.tail])
        left = self._left(hit, cue)
        if not left:
            return self._right(hit, self.cues[cue.tail])
        if member.opener == COMMA and member.start == hit[0] and hit[1] >= end and self._cause_behind(hit[0]) >= 0:
            return self._right(hit, self.cues[cue.tail])  # ", maybe from a plug": the cause is what is hedged
        if hit[1] >= end or self._is_open_ended(hit[1]) or self._names_artefact(hit[1], end):
            return left
        return []

    def _cause_behind(self, token: int) -> int:
        """The member that gives a cause, right behind the one of a token; -1 where there is none."""
        number = self.structure.parts[self.structure.part_at(token)].member + 1
        members = self.structure.members
        return number if number < len(members) and members[number].opener == REASON else -1

    def _is_open_ended(self, token: int) -> bool:
        return any(start == token and ref in _OPEN_ENDED for start, _, _, ref in self.words)

    def _names_artefact(self, start: int, end: int) -> bool:
        return any(start <= first < end and ref == _ARTEFACT for first, _, _, ref in self.words)

    def _right(self, hit: Hit, cue: CueEntry) -> list[tuple[int, int]]:
        """Mentions after a cue that it governs."""
        structure = self.structure
        members = structure.members
        end = hit[1]
        number = structure.parts[structure.part_at(end)].member
        if end >= members[number].end and number + 1 < len(members) and members[number + 1].opener in _CARRIED:
            number += 1  # "possibly from mucus plugging"
        limit = self._limit(number, cue)
        for other in self.cue_hits:
            if end <= other[0] < limit and _takes_over(cue, self.cues[other[3]]):
                limit = other[0]
                break
        reached: list[tuple[int, int]] = []
        last_end = -1
        for first, last, i in self.entries:
            if first < hit[0] or last <= end:  # "no signs of stasis": cue and finding may share words
                continue
            mention = self.mentions[i]
            if first >= limit or (mention[2] >= limit and mention[7] >= 0):
                break
            if cue.words and first - end > cue.words:
                break
            here = structure.parts[structure.part_at(first)].member
            if here != number and cue.scope == "next":
                openers = [members[k].opener for k in range(number + 1, here + 1)]
                if OR not in openers and (
                    (reached and not members[here].closed_by_or) or (not reached and COMMA in openers)
                ):
                    break
            elif cue.scope == "next" and reached and first >= last_end and self._leaves_phrase(last_end, first):
                break
            if here != number and cue.kind == "history" and not reached and members[here].opener == COMMA:
                break  # "one day prior, edema is stable"
            if not reached and cue.kind in ("negation", "uncertainty") and self._crosses_part(end, first):
                break
            if all(i != known for known, _ in reached):
                reached.append((i, first - end))
            last_end = max(last_end, last)
            number = here
        if not reached and cue.kind == "uncertainty":
            return self._through_cause(limit, cue)
        if reached and cue.kind == "history" and cue.scope == "next" and self._goes_on(last_end):
            return []
        return reached

    def _through_cause(self, end: int, cue: CueEntry) -> list[tuple[int, int]]:
        """Findings that are the cause of what a hedge names ("may represent an infarct from an embolus")."""
        number = self._cause_behind(end - 1)
        if number < 0:
            return []
        start, limit = self.structure.members[number].start, self._limit(number, cue)
        return [(i, first - end) for first, _, i in self.entries if start <= first < limit]

    def _limit(self, number: int, cue: CueEntry) -> int:
        """One past the last token that a cue before its findings reaches."""
        if cue.scope == "sentence":
            return _END
        members = self.structure.members
        limit = members[number].end
        for member in members[number + 1 :]:
            if member.opener not in LISTED:
                break
            if cue.scope != "clause" and member.fresh:
                break
            if member.affirms and cue.scope != "clause" and not (cue.scope == "enumeration" and member.opener == AND):
                break
            if cue.scope == "phrase" and not member.closed_by_or and member.opener != OR:
                break
            limit = member.end
        return limit

    def _leaves_phrase(self, end: int, first: int) -> bool:
        """Whether a verb or preposition parts two mentions of one member; else they are one noun phrase."""
        structure = self.structure
        if structure.part_at(max(end - 1, 0)) != structure.part_at(first):
            return True
        return any(end <= start < first and ref == _PREPOSITION for start, _, _, ref in self.words)

    def _crosses_part(self, end: int, first: int) -> bool:
        return any(end <= start < first and ref == _PART for start, _, _, ref in self.words)

    def _goes_on(self, end: int) -> bool:
        """Whether something is said of the finding as it is now ("previous consolidation has improved")."""
        member = self.structure.member_at(end - 1)
        return member.verb >= end or any(
            other.verb_first and other.statement == member.statement and other.start >= end
            for other in self.structure.members
        )

    def _left(self, hit: Hit, cue: CueEntry) -> list[tuple[int, int]]:
        """Mentions before a cue that it governs."""
        structure = self.structure
        members = structure.members
        start = hit[0]
        part = structure.part_at(start)
        number = structure.parts[part].member
        member = members[number]
        if cue.kind == "normal":
            return self._called_normal(hit, cue, part)
        if member.start > start:  # the cue itself is the joiner
            return []
        found = self._in_member(number, start, cue)
        if not found and (member.verb_first or member.verb < 0):
            if number and member.verb_first and member.opener == RELATIVE and not cue.past:
                if any(hit[1] == member.start == hit[0] + 1 for hit in self.words):  # "which", not "some of which"
                    number -= 1
                    member = members[number]
                    found = self._in_member(number, start, cue)
            elif member.verb_first:
                first = next((m for m in range(number) if members[m].statement == member.statement), number)
                earlier = range(number - 1, first - 1, -1)
                if members[number - 1].aside:  # what the subject names comes before what the aside does
                    earlier = range(first, number)
                for k in earlier:
                    found = self._in_member(k, start, cue)
                    if found:
                        number, member = k, members[k]
                        break
            elif number and not cue.beside and member.opener in (*LISTED, OPEN, CLAUSE):
                number -= 1
                member = members[number]
                if not self._has_negation(number, start):
                    found = self._in_member(number, start, cue)
        if cue.beside:
            return found
        return [*found, *self._listed_before(number, start, cue)]

    def _in_member(self, number: int, start: int, cue: CueEntry) -> list[tuple[int, int]]:
        """Mentions of a member before token `start`, nearest last."""
        member = self.structure.members[number]
        inside: list[tuple[int, int]] = []
        last_negation = max(
            (hit[1] for hit in self.cue_hits if hit[1] <= start and self._denies(hit, member.start)), default=-1
        )
        for i, mention in enumerate(self.mentions):
            is_before = member.start <= mention[2] and mention[1] <= start and mention[2] < member.end + 1
            # "gas is not seen in the mediastinum"
            is_around = member.start <= mention[7] < start < mention[2] < member.end
            if is_before or is_around:
                if mention[0] < last_negation <= start and not cue.beside:
                    continue
                if self._crosses_part(mention[1], start):
                    continue
                inside.append((i, start - mention[1]))
        if cue.scope == "next" and len(inside) > 1:
            return self._head(inside, cue)
        return inside

    def _denies(self, hit: Hit, begin: int) -> bool:
        return hit[0] >= begin and self.cues[hit[3]].denies

    def _head(self, inside: list[tuple[int, int]], cue: CueEntry) -> list[tuple[int, int]]:
        """The finding that a cue behind a noun phrase is said of: what stands before its prepositions."""
        by_place = sorted(inside, key=lambda item: self.mentions[item[0]][0])
        nearest = self.mentions[by_place[-1][0]]
        part = self.structure.part_at(nearest[2])
        here = [item for item in by_place if self.structure.part_at(self.mentions[item[0]][2]) == part]
        if cue.beside:
            return self._chained(here)
        first = self.mentions[here[0][0]]
        prepositions = [place for place, _, _, ref in self.words if ref == _PREPOSITION and first[1] <= place]
        if not prepositions or prepositions[0] >= nearest[0]:
            return here
        return [item for item in here if self.mentions[item[0]][0] < prepositions[0]]

    def _chained(self, items: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """The nearest finding before a cue, and those that prepositions tie to it ("calcification of the plaque")."""
        items = sorted(items, key=lambda item: (self.mentions[item[0]][1], self.mentions[item[0]][0]))
        chain = [items[-1]]
        begin = self.mentions[items[-1][0]][0]
        for item in reversed(items[:-1]):
            end = self.mentions[item[0]][1]
            tied = any(end <= start < begin and ref == _PREPOSITION for start, _, _, ref in self.words)
            label, phrase = self.mentions[item[0]][4:6]
            nearest = self.mentions[chain[-1][0]][4]
            is_noun = phrase < 0 or self.phrases[phrase].noun
            one_noun = nearest == self.suppressor or (end == begin and (nearest == label or not is_noun))
            # "peribronchial wall thickening", "masslike opacity"
            if end <= begin and not tied and not one_noun:
                break
            chain.append(item)
            begin = min(begin, self.mentions[item[0]][0])
        return chain

    def _has_negation(self, number: int, start: int) -> bool:
        member = self.structure.members[number]
        return any(self._denies(hit, member.start) and hit[1] <= start for hit in self.cue_hits)

    def _listed_before(self, number: int, start: int, cue: CueEntry) -> list[tuple[int, int]]:
        """Findings of the members before, in the list that the cue closes."""
        members = self.structure.members
        member = members[number]
        is_plural = member.plural or cue.plural
        found: list[tuple[int, int]] = []
        is_list = False
        k = number
        while k > 0 and (members[k].opener in LISTED or self._hangs_on(k)):
            opener = members[k].opener
            if opener == COMMA and not is_list:
                break
            is_list = True
            if cue.scope == "next" and opener == AND and not is_plural:
                break
            if (members[k].fresh or members[k].affirms) and members[k].opener == COMMA and k != number:
                break
            k -= 1
            if members[k].verb >= 0 or self._has_negation(k, start):
                break
            found.extend(self._in_member(k, start, cue))
        return found

    def _hangs_on(self, k: int) -> bool:
        """Whether member `k` only qualifies the subject before it ("effusion with atelectasis is unchanged")."""
        members = self.structure.members
        return (
            members[k].opener in (WITH, REASON)
            and members[k].verb >= 0
            and members[k].statement == members[k - 1].statement
        )

    def _called_normal(self, hit: Hit, cue: CueEntry, part: int) -> list[tuple[int, int]]:
        """A finding of which the same part, or its verb, says that it is normal."""
        structure = self.structure
        start = hit[0]
        parts = [part]
        if structure.parts[part].predicate:
            parts = [part - 1] if start == structure.parts[part].start else []
        elif not cue.text.startswith("within"):
            return []
        found = []
        for i, mention in enumerate(self.mentions):
            if structure.part_at(mention[0]) in parts and mention[1] <= start:
                nothing_between = not any(
                    mention[1] <= other[0] < start for other in structure.hits if other[2] == _SITE
                )
                if nothing_between:
                    found.append((i, start - mention[1]))
        return found[-1:]


def _takes_over(cue: CueEntry, other: CueEntry) -> bool:
    """Whether `other`, met inside the reach of `cue`, ends it."""
    if not other.before:
        return False
    if other.kind == "exclusion" or other.kind == cue.kind:
        return True
    return other.kind == "negation"
