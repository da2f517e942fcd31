"""Composed findings: a site with what is said of it, read from the structure of the sentence."""

from ltml_dataset.labeling.compiled import (
    NEGATIVE,
    POSITIVE,
    UNCERTAIN,
    CompiledLexicon,
    Role,
    RuleEntry,
    Word,
)
from ltml_dataset.labeling.matcher import Hit, Modifier, find_modifiers
from ltml_dataset.labeling.structure import (
    AND,
    CLAUSE,
    LISTED,
    OPEN,
    OR,
    RELATIVE,
    WITH,
    Member,
    Structure,
)
from ltml_dataset.labeling.vocabulary import number_value

MentionSpan = tuple[int, int, int, int, int, int, int, int]
"""First token, one past the last, first and one past the last token of the anchor (the predicate), label, phrase,
state by itself, and the first token of the site where the predicate follows it (else -1)."""

_PHRASE, _SITE, _PREDICATE, _INNER_SITE = int(Role.PHRASE), int(Role.SITE), int(Role.PREDICATE), int(Role.INNER_SITE)
_CUE, _WORD = int(Role.CUE), int(Role.WORD)
_PREPOSITION = int(Word.PREPOSITION)
_NOTHING: frozenset[int] = frozenset()
_MILLIMETRE, _CENTIMETRE = int(Word.MILLIMETRE), int(Word.CENTIMETRE)


def compose(code: str, hits: list[Hit], structure: Structure, compiled: CompiledLexicon) -> list[MentionSpan]:
    """Mentions that arise from parts.

    Args:
        code: Encoded sentence; only its numbers are looked at, for sizes.
        hits: Hits of the sentence in order.
        structure: Its structure.
        compiled: Compiled lexicon.

    Returns:
        Mentions, in no particular order.
    """
    sites = {ref for _, _, role, ref in hits if role in (_SITE, _INNER_SITE)}
    said = {ref >> 1 for _, _, role, ref in hits if role == _PREDICATE}
    has_pairs = bool(sites and said) and any(not said.isdisjoint(compiled.said_of.get(ref, _NOTHING)) for ref in sites)
    alone = [rules for ref in sites if (rules := compiled.alone_by_site.get(ref)) is not None]
    if compiled.finding_rules:
        labels = {compiled.phrases[ref].label for _, _, role, ref in hits if role == _PHRASE}
        alone += [rules for label in labels if (rules := compiled.finding_rules.get(label)) is not None]
    modifiers = find_modifiers(code, compiled) if alone else None
    if modifiers is not None and not has_pairs:
        present = {group for _, _, group in modifiers}
        if not any(_may_hold_alone(rule, present) for rules in alone for rule in rules):
            return []
    if not alone and not has_pairs:
        return []
    return _Composer(code, hits, structure, compiled, modifiers).compose(has_pairs)


def _may_hold_alone(rule: RuleEntry, present: set[int]) -> bool:
    """Whether the modifiers of a sentence let a rule hold that needs no predicate."""
    return rule.alone and (not rule.needs or rule.size is not None or not rule.needs.isdisjoint(present))


class _Composer:
    """The parts of one sentence."""

    def __init__(
        self,
        code: str,
        hits: list[Hit],
        structure: Structure,
        compiled: CompiledLexicon,
        modifiers: list[Modifier] | None,
    ) -> None:
        entries, suppressor = compiled.phrases, compiled.suppressor
        self.code = code
        self.compiled = compiled
        self.structure = structure
        # words that only withhold No Finding stand in nobody's way
        self.hits = [hit for hit in hits if hit[2] != _PHRASE or entries[hit[3]].label != suppressor]
        self.asides = [hit for hit in hits if hit[2] == _PHRASE and entries[hit[3]].label == suppressor]
        self.denials = [hit for hit in hits if hit[2] == _CUE and compiled.cues[hit[3]].denies]
        self.hedges = [hit for hit in hits if hit[2] == _CUE and compiled.cues[hit[3]].kind == "uncertainty"]
        self.walls = [cue[0] for cue in self.denials] + [cue[0] for cue in self.hedges if compiled.cues[cue[3]].after]
        """Where a cue begins behind which a predicate looks for no site of its own."""
        self.mentions: list[MentionSpan] = []
        self._modifiers = modifiers
        self.by_part: dict[int, list[Hit]] = {}
        """Part -> its sites, predicates, phrases and prepositions, in order."""

    @property
    def modifiers(self) -> list[Modifier]:
        if self._modifiers is None:
            self._modifiers = find_modifiers(self.code, self.compiled)
        return self._modifiers

    def compose(self, has_pairs: bool) -> list[MentionSpan]:
        compiled = self.compiled
        if has_pairs:
            self._sort_by_part()
            for hit in self.hits:
                if hit[2] == _PREDICATE:
                    for site, follows in self._sites_of(hit):
                        for twin in self._same_words(site):
                            self._judge_pair(twin, hit, follows)
        for hit in self.hits:
            if hit[2] == _SITE:
                rules = compiled.alone_by_site.get(hit[3], ())
            elif hit[2] == _PHRASE:
                rules = compiled.finding_rules.get(compiled.phrases[hit[3]].label, ())
            else:
                continue
            for rule in rules:
                if rule.alone and self._has_modifiers(rule, hit, hit):
                    if self._is_denied(rule, hit):
                        self.mentions.append(_mention(rule, hit, hit, NEGATIVE, -1))
                        continue
                    behind = self._needed_behind(rule, hit)
                    first = -1 if behind is hit else hit[0]
                    self.mentions.append(_mention(rule, hit, behind, POSITIVE, first))
        return self.mentions

    def _sort_by_part(self) -> None:
        part_at = self.structure.part_at
        for hit in self.hits:
            role = hit[2]
            if role in (_SITE, _PREDICATE, _PHRASE, _INNER_SITE) or (role == _WORD and hit[3] == _PREPOSITION):
                self.by_part.setdefault(part_at(hit[0]), []).append(hit)

    # Which sites a predicate speaks of

    def _sites_of(self, predicate: Hit) -> list[tuple[Hit, bool]]:
        """Sites that a predicate speaks of, and whether it follows them ("heart is enlarged")."""
        structure = self.structure
        k = structure.part_at(predicate[0])
        here = self.by_part.get(k, [])
        left = [hit for hit in here if hit[2] == _SITE and hit[1] <= predicate[0]]
        wall = min((place for place in self.walls if place >= predicate[1]), default=1 << 30)
        right = [
            hit
            for hit in here  # "increase in size of the heart": the two may share words
            if hit[2] == _SITE and predicate[0] < hit[0] < wall and predicate[1] < hit[1]
        ]
        if left and right and any(left[-1][1] <= cue[0] and cue[1] <= predicate[0] for cue in self.denials):
            left = []  # "hernia without fluid in the fissure"
        if right and structure.parts[k].predicate and self._run_on(k + 1) is not None:
            right = []  # "heart is enlarged lungs are clear"
        member = structure.members[structure.parts[k].member]
        if left and (not right or self._belongs_left(predicate, left[-1], right[0], here)):
            if not self._is_cut_off(left[-1], predicate, here):
                runs = self._run_left(left)
                placed = self._run_right(right) if right and self._brings_preposition(predicate, right[0]) else []
                return [
                    *((site, True) for site in (*runs, *self._listed_left(member, k))),
                    *((site, False) for site in placed),
                ]
            left = []
        if (
            right
            and structure.parts[k].predicate
            and not predicate[3] & 1
            and self._is_parted(predicate, right[0], here)
        ):
            subject = self._subject_sites(member)
            if subject:
                placed = self._run_right(right) if self._brings_preposition(predicate, right[0]) else []
                # "the heart is shifted into the left hemithorax"
                return [*((site, True) for site in subject), *((site, False) for site in placed)]
        if right and not (left and self._has_own_predicate(right[0], here)):
            return [(site, False) for site in (*self._run_right(right), *self._listed_right(member, k))]
        if structure.parts[k].predicate:
            run_on = self._run_on(k)
            return [(site, True) for site in (self._subject_sites(member) if run_on is None else run_on)]
        if predicate[3] & 1 and member.verb >= 0 and k < member.last:
            placed = self._placed_in(k, member)
            if placed:
                return [(site, False) for site in placed]  # "air is seen in the mediastinum"
        return self._sites_elsewhere(predicate, member, k)

    def _belongs_left(self, predicate: Hit, left: Hit, right: Hit, here: list[Hit]) -> bool:
        """Whether a predicate between two sites of one part is said of the left one."""
        if self._has_own_predicate(right, here) or self.code[predicate[0]] in self.compiled.prepositions:
            return True
        by_preposition = self._is_parted(predicate, right, here)
        touches = left[1] == predicate[0] or not any(
            hit[2] == _WORD and left[1] <= hit[0] < predicate[0] for hit in here
        )
        if not by_preposition:
            return False
        return touches and bool(predicate[3] & 1 or left[1] == predicate[0])

    def _is_parted(self, predicate: Hit, site: Hit, here: list[Hit]) -> bool:
        """Whether a preposition stands between a predicate and a site behind it."""
        if self._brings_preposition(predicate, site):
            return True
        return any(hit[2] == _WORD and predicate[1] <= hit[0] < site[0] for hit in here)

    def _brings_preposition(self, predicate: Hit, site: Hit) -> bool:
        """Whether a site begins with its preposition, or a predicate ends with it ("into the chest", "filled with")."""
        prepositions = self.compiled.prepositions
        return self.code[site[0]] in prepositions or (
            not predicate[3] & 1 and self.code[predicate[1] - 1] in prepositions
        )

    def _is_cut_off(self, site: Hit, predicate: Hit, here: list[Hit]) -> bool:
        """Whether a finding between site and predicate is what the predicate is said of."""
        return any(hit[2] == _PHRASE and site[1] <= hit[0] and hit[1] <= predicate[0] for hit in here)

    def _has_own_predicate(self, site: Hit, here: list[Hit]) -> bool:
        """Whether a predicate stands directly behind a site."""
        return any(hit[2] == _PREDICATE and hit[0] == site[1] for hit in here)

    def _run_left(self, sites: list[Hit]) -> list[Hit]:
        """The last site and those that touch it: "cardiac mediastinal contours"."""
        run = [sites[-1]]
        for site in reversed(sites[:-1]):
            if site[1] == run[-1][0]:
                run.append(site)
        return run

    def _run_right(self, sites: list[Hit]) -> list[Hit]:
        run = [sites[0]]
        for site in sites[1:]:
            if site[0] == run[-1][1]:
                run.append(site)
        return run

    def _listed_left(self, member: Member, k: int) -> list[Hit]:
        """Sites listed before that share the predicate: "left atrial and left ventricular enlargement"."""
        structure = self.structure
        found: list[Hit] = []
        if structure.parts[k].predicate:
            return found
        current = member
        while current.opener in LISTED and current.first > 0:
            part = current.first - 1
            current = structure.members[structure.parts[part].member]
            if current.verb >= 0 or current.statement != member.statement:
                break
            sites = self._bare_sites(part)
            if not sites:
                break
            found.extend(sites)
        return found

    def _listed_right(self, member: Member, k: int) -> list[Hit]:
        """Sites listed behind that share the predicate: "enlarged heart and mediastinum"."""
        structure = self.structure
        found: list[Hit] = []
        for number in range(structure.parts[k].member + 1, len(structure.members)):
            current = structure.members[number]
            if current.opener not in LISTED or current.verb_first or current.statement != member.statement:
                break
            sites = self._bare_sites(current.first)
            if not sites or (current.verb >= 0 and not current.seen):
                break
            found.extend(sites)
        return found

    def _bare_sites(self, part: int) -> list[Hit]:
        """The sites of a part that names nothing else."""
        here = self.by_part.get(part, [])
        if any(hit[2] in (_PREDICATE, _PHRASE) for hit in here):
            return []
        return self._head_run(here)

    def _head_run(self, here: list[Hit]) -> list[Hit]:
        """The sites before the first preposition of a part, or the first one behind it where there is none."""
        sites = [hit for hit in here if hit[2] == _SITE]
        if not sites:
            return []
        first = next((hit[0] for hit in here if hit[2] == _WORD), 1 << 30)
        heads = [site for site in sites if site[0] < first]
        return self._run_left(heads) if heads else [sites[0]]

    def _subject_sites(self, member: Member) -> list[Hit]:
        """Sites at the head of the subject."""
        found: list[Hit] = []
        for part in self.structure.subjects[member.statement]:
            found.extend(self._heads_of(part))
        return found

    def _run_on(self, k: int) -> list[Hit] | None:
        """The subject of a second verb with no joiner before it ("heart is normal lungs are clear"), or None."""
        parts = self.structure.parts
        if not k or k >= len(parts) or not parts[k - 1].predicate or parts[k - 1].member != parts[k].member:
            return None
        here = self.by_part.get(k - 1, [])
        if not here or here[-1][1] != parts[k - 1].end:
            return None
        if here[-1][2] == _SITE:
            return self._run_left([hit for hit in here if hit[2] == _SITE])
        return [] if here[-1][2] == _PHRASE else None

    def _heads_of(self, part: int) -> list[Hit]:
        here = self.by_part.get(part, [])
        first = next((hit[0] for hit in here if hit[2] == _WORD), 1 << 30)
        heads = [hit for hit in here if hit[2] == _SITE and hit[0] < first]
        findings = [hit for hit in here if hit[2] == _PHRASE and hit[0] < first]
        if findings and (not heads or findings[-1][1] > heads[-1][1]):
            return []
        return self._head_run(here)

    def _placed_in(self, k: int, member: Member) -> list[Hit]:
        """The site that the verb of a subject places it in."""
        here = self.by_part.get(k + 1, [])
        if any(hit[2] == _PHRASE for hit in self.by_part.get(k, [])):
            return []
        prepositions = [hit for hit in here if hit[2] == _WORD]
        sites = [hit for hit in here if hit[2] == _SITE]
        if not prepositions or not sites or sites[0][0] < prepositions[0][0]:
            return []
        return self._run_right(sites)

    def _sites_elsewhere(self, predicate: Hit, member: Member, k: int) -> list[tuple[Hit, bool]]:
        """Sites of other members, for a predicate whose own part names none."""
        structure = self.structure
        number = structure.parts[k].member
        here = self.by_part.get(k, [])
        if not any(hit[2] == _PHRASE for hit in here) and member.verb < 0:
            following = structure.members[number + 1 : number + 2]
            if following and following[0].opener in LISTED and not following[0].verb_first:
                sites = self._leading_sites(following[0].first)
                if sites:
                    return [(site, False) for site in sites]  # "an enlarged, flask-shaped silhouette"
        if member.opener == RELATIVE:
            return [(site, True) for site in self._subject_sites(member)]
        if number == 0 or member.opener not in (*LISTED, CLAUSE, OPEN):
            return []
        if predicate[3] & 1 and member.opener != OPEN:
            shared = self._shared_site(number - 1) if member.opener in LISTED else None
            return [(shared, True)] if shared is not None else []  # "pleural effusion and thickening"
        return [(site, True) for site in self._said_of(number - 1)]

    def _leading_sites(self, part: int) -> list[Hit]:
        """Sites of a part in which nothing but words of its own stands before them."""
        here = self.by_part.get(part, [])
        if not here or here[0][2] not in (_SITE, _PREDICATE):
            return []
        sites = [hit for hit in here if hit[2] == _SITE]
        if not sites or self._has_own_predicate(sites[0], here):
            return []
        return self._run_right(sites)

    def _shared_site(self, number: int) -> Hit | None:
        """The site that the member before names as part of its own finding."""
        member = self.structure.members[number]
        part = member.last
        here = self.by_part.get(part, [])
        for hit in here:
            if hit[2] in (_SITE, _INNER_SITE):
                return hit
        if member.opener in LISTED and number and member.verb < 0:
            return self._shared_site(number - 1)
        return None

    def _said_of(self, number: int) -> list[Hit]:
        """What member `number` speaks of: "the heart is enlarged and globular", "heart enlarged, globular"."""
        while True:
            member = self.structure.members[number]
            if member.verb >= 0:
                return self._subject_sites(member)
            heads = self._heads_of(member.last)
            if heads:
                return heads
            if any(hit[2] == _PHRASE for hit in self.by_part.get(member.last, [])):
                return []
            if member.opener not in LISTED or number == 0:
                return []
            number -= 1

    # Whether a rule holds

    def _same_words(self, site: Hit) -> list[Hit]:
        """The site in every group that has these words (`hila` as any hilum, and as both)."""
        return [hit for hit in self.hits if hit[:3] == site[:3]]

    def _judge_pair(self, site: Hit, predicate: Hit, follows: bool) -> None:
        for rule in self.compiled.site_rules.get(site[3], ()):
            group = predicate[3] >> 1
            if group in rule.abnormal:
                state = POSITIVE
            elif group in rule.uncertain:
                state = UNCERTAIN
            elif group in rule.normal:
                state = NEGATIVE
            else:
                continue
            if state == NEGATIVE or self._has_modifiers(rule, site, predicate):
                if state == POSITIVE and self._is_denied(rule, predicate):
                    state = NEGATIVE
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
        reach = self._reach(first, last, wide=False)
        near = self._within(reach)
        if rule.needs_also and not rule.needs_also & near:
            return False
        if not rule.forbids.isdisjoint(present) and rule.forbids & self._within(self._reach(first, last, wide=True)):
            return False
        if rule.size is not None:
            size = self._largest_mm(reach)
            if size is not None:
                low, high = rule.size.min_mm, rule.size.max_mm
                return (low is None or size >= low) and (high is None or size <= high)
        return not rule.needs or bool(rule.needs & near)

    def _is_denied(self, rule: RuleEntry, anchor: Hit) -> bool:
        """Whether what the rule needs is denied behind a finding that stands ("the fluid is not bloody")."""
        if not rule.needs or not self.denials:
            return False
        wanted = [start for start, _, group in self.modifiers if group in rule.needs]
        denied = [
            start
            for start in wanted
            if any(
                anchor[1] <= cue[0] and cue[1] <= start and not any(cue[1] <= hit[0] < start for hit in self.hits)
                for cue in self.denials
            )
        ]
        return bool(denied) and len(denied) == len(wanted)

    def _needed_behind(self, rule: RuleEntry, anchor: Hit) -> Hit:
        """What the rule needs, where it only stands behind the anchor as a predicate does; else the anchor."""
        if not rule.needs:
            return anchor
        reach = self._reach(anchor[0], anchor[1], wide=False)
        needed = [
            (start, end)
            for start, end, group in self.modifiers
            if group in rule.needs and any(a <= start and end <= b for a, b in reach)
        ]
        if not needed or any(start < anchor[1] for start, _ in needed):
            return anchor
        start, end = min(needed)
        return (start, end, _PREDICATE, -1)

    def _within(self, reach: list[tuple[int, int]]) -> set[int]:
        return {group for start, end, group in self.modifiers if any(a <= start and end <= b for a, b in reach)}

    def _reach(self, first: int, last: int, *, wide: bool) -> list[tuple[int, int]]:
        """Stretches whose modifiers and sizes belong to the finding of tokens `first` to `last`.

        Its own part up to the next finding or site on either side; what its verb says of it, or its subject; and
        members behind that name nothing of their own (", 7 mm in size", "(2 x 3 cm)", ", calcified"). What rules a
        finding out may stand beside words that only withhold No Finding (`wide`: ", a calcified granuloma").
        """
        structure = self.structure
        walls = [hit for hit in self.hits if self._is_wall(hit) and (hit[1] < first or hit[0] >= last)]
        first_part, last_part = structure.part_at(first), structure.part_at(last - 1)
        low = structure.parts[first_part].start
        high = structure.parts[last_part].end
        stretches = [
            (
                max([low, *(hit[1] for hit in walls if hit[1] <= first)]),
                min([high, *(hit[0] for hit in walls if hit[0] >= last)]),
            )
        ]
        is_open = stretches[0][1] == high
        number = structure.parts[last_part].member
        for k in range(last_part + 1, len(structure.parts)):
            part = structure.parts[k]
            member = structure.members[part.member]
            denied = member.verb < 0 and any(cue[0] == member.start for cue in self.denials)
            if not is_open or (part.member != number and member.has_subject_and_verb):
                break
            if member.opener == CLAUSE and not denied:
                break  # unless "enlarged, but not massively so"
            if part.member != number and member.opener in (AND, OR) and not (member.verb_first or denied):
                break
            wall = min([part.end, *(hit[0] for hit in walls if hit[0] >= part.start)])
            others = self.hedges if wide else self.asides
            if part.member != number and (wall < part.end or any(part.start <= hit[0] < part.end for hit in others)):
                break
            stretches.append((part.start, wall))
            is_open = wall == part.end
        member = structure.members[structure.parts[first_part].member]
        if member.opener == WITH and structure.parts[first_part].member:
            carrier = structure.members[structure.parts[first_part].member - 1]  # "both lungs are studded with ..."
            if carrier.verb >= 0 and not any(
                carrier.start <= hit[0] < carrier.end and hit[2] == _PHRASE for hit in walls
            ):
                stretches.append((carrier.start, carrier.end))
        if structure.parts[first_part].predicate:
            before = structure.members[structure.parts[first_part].member]
            for k in structure.subjects[before.statement]:
                part = structure.parts[k]
                inside = [hit for hit in walls if part.start <= hit[0] < part.end]
                if not any(hit[2] == _PHRASE for hit in inside):
                    stretches.append((part.start, part.end))
                else:
                    stretches.append((part.start, inside[0][0]))  # "several densities might be nodules"
        return stretches

    def _is_wall(self, hit: Hit) -> bool:
        """Whether modifiers beyond belong to something else."""
        if hit[2] == _SITE and self.code[hit[0]] in self.compiled.prepositions:
            return False  # "through a tear in the diaphragm" says where the finding is
        if hit[2] == _SITE:  # "lung" in the modifier "lung base" is no site of its own
            return not any(start <= hit[0] and end >= hit[1] for start, end, _ in self.modifiers)
        return hit[2] == _PHRASE

    def _largest_mm(self, reach: list[tuple[int, int]]) -> float | None:
        """The largest measurement in the stretches, in millimetres, or None."""
        largest: float | None = None
        for start, _, role, ref in self.hits:
            if role != _WORD or ref not in (_MILLIMETRE, _CENTIMETRE):
                continue
            if not any(a <= start < b for a, b in reach):
                continue
            factor = 1.0 if ref == _MILLIMETRE else 10.0
            for k in range(start - 1, -1, -1):
                value = number_value(self.code[k])
                if value is not None:
                    largest = max(largest or 0.0, value * factor)
                elif (start - k) % 2:  # "1.2 x 0.8 cm": numbers and signs take turns
                    break
        return largest


def _mention(rule: RuleEntry, site: Hit, anchor: Hit, state: int, site_first: int) -> MentionSpan:
    first, last = min(site[0], anchor[0]), max(site[1], anchor[1])
    return (first, last, anchor[0], anchor[1], rule.label, rule.phrase, state, site_first)
