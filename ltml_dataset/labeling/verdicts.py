"""A verdict on a mention, and what the mentions of one sentence say of each other once cues have been applied."""

from typing import NamedTuple

from ltml_dataset.labeling.compiled import NEGATIVE, POSITIVE, UNCERTAIN, CueEntry, PhraseEntry, Role, Word
from ltml_dataset.labeling.composed import MentionSpan
from ltml_dataset.labeling.matcher import Hit
from ltml_dataset.labeling.structure import COMMA, OR, REASON, RELATIVE, Part, Structure

_CUE, _WORD, _PHRASE = int(Role.CUE), int(Role.WORD), int(Role.PHRASE)
_PREPOSITION, _ARTEFACT, _SLASH = int(Word.PREPOSITION), int(Word.ARTEFACT), int(Word.SLASH)


class Verdict(NamedTuple):
    """State of a mention, the rule that decided, and the tokens of the deciding cue (-1 where none did)."""

    state: int
    rule: str
    cue: int
    first: int
    last: int


def judge_alternatives(
    mentions: list[MentionSpan], verdicts: list[Verdict], structure: Structure, implied_by: list[frozenset[int]]
) -> None:
    """ "Atelectasis or infiltrate": neither is certain."""
    members = structure.members
    where = [structure.part_at(mention[0]) for mention in mentions]
    for number, member in enumerate(members):
        if member.opener != OR or number == 0:
            continue
        last_part = members[number - 1].last
        left = [i for i, place in enumerate(where) if place == last_part]
        right = [i for i, place in enumerate(where) if place == member.first]
        if left and right:
            doubted = _doubted_by_each_other(left, right, mentions, verdicts, implied_by)
        elif left or right:
            other = structure.parts[member.first if left else last_part]
            is_word = not any(hit[1] == member.start and hit[2] == _WORD and hit[3] == _SLASH for hit in structure.hits)
            named = is_word and _names_something_else(structure, other)
            doubted = [i for i in (left or right) if mentions[i][7] < 0] if named else []
        else:
            continue
        for i in doubted:
            if verdicts[i].rule == "affirmed":
                verdicts[i] = Verdict(UNCERTAIN, "alternative", -2, member.start - 1, member.start)


def _doubted_by_each_other(
    left: list[int],
    right: list[int],
    mentions: list[MentionSpan],
    verdicts: list[Verdict],
    implied_by: list[frozenset[int]],
) -> list[int]:
    """Of the findings on two sides of an "or" those that are no case of the other side."""
    left = [i for i in left if mentions[i][1] > mentions[left[-1]][0]]
    right = [i for i in right if mentions[i][0] < mentions[right[0]][1]]
    if any(mentions[i][7] >= 0 or verdicts[i].state == NEGATIVE for i in (*left, *right)):
        return []
    doubted = []
    for side, others in ((left, right), (right, left)):
        named = {mentions[i][4] for i in others}
        for i in side:
            label = mentions[i][4]
            if label not in named and (label < 0 or implied_by[label].isdisjoint(named)):
                doubted.append(i)
    return doubted


def _names_something_else(structure: Structure, part: Part) -> bool:
    """Whether a part is headed by a noun that the lexicon does not know ("fracture or bone island")."""
    here = [hit for hit in structure.hits if part.start <= hit[0] < part.end]
    end = next((hit[0] for hit in here if hit[2] == _WORD and hit[3] == _PREPOSITION), part.end)
    if end <= part.start or any(hit[2] == _PHRASE for hit in here):
        return False
    return not any(hit[1] >= end and hit[0] < end and not (hit[2] == _WORD and hit[3] == _ARTEFACT) for hit in here)


def judge_signs(
    mentions: list[MentionSpan], verdicts: list[Verdict], structure: Structure, phrases: list[PhraseEntry]
) -> None:
    """ "Rounded density, lung mass not excluded": the hedge is on what the sign is of."""
    where = [structure.part_at(mention[0]) for mention in mentions]
    for j, verdict in enumerate(verdicts):
        if verdict.state != UNCERTAIN or verdict.rule != "uncertainty":
            continue
        member = structure.members[structure.parts[where[j]].member]
        is_verb = member.has_subject_and_verb and verdict.first == member.verb
        if not is_verb and (member.opener not in (COMMA, RELATIVE) or member.has_subject_and_verb):
            continue
        hedged = Verdict(UNCERTAIN, "uncertainty", verdict.cue, verdict.first, verdict.last)
        for i, sign in enumerate(mentions):
            if verdicts[i].rule != "affirmed" or sign[4] != mentions[j][4] or sign[5] < 0 or not phrases[sign[5]].sign:
                continue
            if where[i] == member.first - 1 or (is_verb and member.start <= sign[0] < member.verb):
                for k, other in enumerate(mentions):
                    if verdicts[k].rule == "affirmed" and _share_words(other, sign):
                        verdicts[k] = hedged


def _share_words(one: MentionSpan, other: MentionSpan) -> bool:
    """Whether two mentions of one label share words."""
    return one[4] == other[4] and one[0] < other[1] and other[0] < one[1]


def settle_by_denial(mentions: list[MentionSpan], verdicts: list[Verdict]) -> None:
    """What words leave open by themselves, the same clause denies ("pleural plaques are not calcified")."""
    for j, denial in enumerate(verdicts):
        if denial.state != NEGATIVE:
            continue
        for i, verdict in enumerate(verdicts):
            if verdict.rule == "borderline" and _share_words(mentions[i], mentions[j]):
                verdicts[i] = denial


def judge_artefacts(
    mentions: list[MentionSpan],
    verdicts: list[Verdict],
    structure: Structure,
    artefacts: list[Hit],
    cues: list[CueEntry],
) -> None:
    """ "The rounded density was a nipple shadow", "the opacity is due to overlap": there is no such finding."""
    prepositions = {start for start, _, role, ref in structure.hits if role == _WORD and ref == _PREPOSITION}
    for hit in artefacts:
        part = structure.parts[structure.part_at(hit[0])]
        member = structure.members[part.member]
        if part.start != hit[0] or hit[1] in prepositions:  # "superimposed on"
            continue
        if member.opener == REASON and not part.predicate and part.member:
            member = structure.members[part.member - 1]
            is_said = member.verb >= 0 and member.verb + 1 >= member.end
        else:
            is_said = part.predicate
        if not is_said or not member.has_subject_and_verb:
            continue
        hedge = next((cue for cue in structure.hits if cue[2] == _CUE and cue[0] == member.verb), None)
        for i, verdict in enumerate(verdicts):
            if not member.start <= mentions[i][0] < member.verb or verdict.state not in (POSITIVE, UNCERTAIN):
                continue
            if hedge is None and verdict.first < member.verb:
                verdicts[i] = Verdict(NEGATIVE, "artefact", -2, hit[0], hit[1])
            elif hedge is not None and cues[hedge[3]].kind == "uncertainty":
                verdicts[i] = Verdict(UNCERTAIN, "uncertainty", hedge[3], hedge[0], hedge[1])
