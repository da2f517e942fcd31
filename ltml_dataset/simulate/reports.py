"""One simulated report: what it states, and its text laid out as MIMIC-CXR lays reports out."""

from collections.abc import Callable
from dataclasses import dataclass

from ltml_dataset.simulate.findings import LABELS
from ltml_dataset.simulate.phrases import BIT, OTHER, Memory, Phrase, Wording, close, say

WIDTH = 78
"""Longest line of a report, without the leading space."""

REGIONS: dict[str, tuple[str, ...]] = {
    "devices": ("Support Devices",),
    "lungs": (
        "Lung Lesion", "Lung Opacity", "Edema", "Consolidation", "Pneumonia", "Atelectasis", "Alveolar Lung Disease",
        "Bronchiectasis", "Embolus", "Mucoid Impaction", "Multiple Pulmonary Nodules", "Pulmonary Embolism",
        "Segmental Atelectasis", "Small Lung Nodules",
    ),
    "pleura": (
        "Pneumothorax", "Pleural Effusion", "Pleural Other", "Hemothorax", "Pleural Calcification",
        "Pleural Thickening",
    ),
    "heart": (
        "Enlarged Cardiomediastinum", "Cardiomegaly", "Aortic Aneurysm", "Bilateral Hilar Enlargement",
        "Cardiomyopathy", "Hypertension", "Left Atrial Enlargement", "Massive Cardiomegaly", "Mediastinal Shift",
        "Mitral Insufficiency", "Pericardial Effusion", "Pneumomediastinum", "Pneumopericardium",
        "Pulmonary Arterial Hypertension", "Pulmonary Hypertension",
    ),
    "bones": ("Fracture", "Diaphragmatic Hernia", "Unilaterally Elevated Diaphragm"),
}  # fmt: skip
"""Where in FINDINGS a class is described."""

_REGION_MASKS = {region: sum(BIT[name] for name in names) for region, names in REGIONS.items()}
_CHILDREN_OF = [
    sum(BIT[child] for child in LABELS if child != name and close(BIT[child]) & BIT[name]) for name in LABELS
]
_DEVICES = BIT["Support Devices"]
_OTHER = BIT[OTHER]
_TERM_ODDS = (
    ("Pneumothorax", 0.75), ("Pleural Effusion", 0.6), ("Consolidation", 0.5), ("Edema", 0.3), ("Pneumonia", 0.2),
    ("Lung Opacity", 0.06), ("Fracture", 0.05), ("Atelectasis", 0.02), ("Lung Lesion", 0.03),
    ("Pneumomediastinum", 0.02), ("Mediastinal Shift", 0.02), ("Pericardial Effusion", 0.01), ("Cardiomegaly", 0.01),
    ("Hemothorax", 0.003), ("Pleural Thickening", 0.003), ("Bronchiectasis", 0.003),
)  # fmt: skip
_TERMS = tuple((LABELS.index(name), BIT[name], odds) for name, odds in _TERM_ODDS)
_DENIALS = (
    "No {}.", "No {}.", "There is no {}.", "There is no {}.", "No evidence of {}.", "There is no evidence of {}.",
    "No {} is seen.", "No {} is identified.", "Negative for {}.", "No definite {}.", "Without {}.",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Report:
    """A report and the truth about it: masks with bit `i` for class `i`."""

    text: str
    present: int
    uncertain: int
    absent: int
    no_finding: bool


class Writer:
    """Writes reports with one stream of random numbers."""

    def __init__(self, wording: Wording, rnd: Callable[[], float]) -> None:
        """Keep the wording and the stream."""
        self._wording = wording
        self._rnd = rnd

    def write(self, present: int, uncertain: int, *, remarks: bool, portable: bool) -> Report:
        """One report.

        Args:
            present: Classes the report states, parents included.
            uncertain: Classes it hedges, parents included; none of them in `present`.
            remarks: Whether it mentions something outside the 39 classes, which rules out No Finding.
            portable: One AP view instead of PA and lateral.
        """
        if remarks or (present | uncertain) & ~_DEVICES:
            present |= _OTHER  # there is no No Finding to spoil
        return _Draft(self._wording, self._rnd, present, uncertain).report(remarks, portable)


class _Draft:
    """A report being written; remembers what its counted sections have committed it to."""

    def __init__(self, wording: Wording, rnd: Callable[[], float], present: int, uncertain: int) -> None:
        self.wording, self.rnd, self.present, self.uncertain = wording, rnd, present, uncertain
        self.stated = self.hedged = self.denied = 0
        self.memories: dict[int, Memory] = {}

    def report(self, remarks: bool, portable: bool) -> Report:
        draw = self.rnd()
        findings = self.findings(remarks)
        if draw < 0.70:
            body = [
                *self.opening(portable),
                _section("FINDINGS", " ".join(findings), self.rnd),
                _section("IMPRESSION", self.impression(), self.rnd),
            ]
        elif draw < 0.86:
            first = "AP chest compared to ___:" if self.rnd() < 0.5 else ""
            body = [*self.opening(portable), f" IMPRESSION:  {first}\n \n{_paragraphs(findings, self.rnd)}"]
        elif draw < 0.94:
            body = [*self.opening(portable), _section("FINDINGS", " ".join(findings), self.rnd)]
        elif draw < 0.985:
            title = " PORTABLE AP CHEST FILM ___ AT 07:40" if portable else " PA AND LATERAL CHEST, ___"
            body = [title, *self.opening(portable)[1:], _wrap(" ".join(findings))]
            body[-2:] = [body[-2] + "\n \n" + body[-1]]
        else:
            body = [_wrap(" ".join(findings))]
        if draw < 0.94:  # else there is no title after which the last paragraph could end
            body += self.closing()
        text = "\n \n".join(body) + "\n"
        head = "                                 FINAL REPORT\n"
        if self.rnd() < 0.03:
            wet = say(self.wording.frames["wet_read"], self.rnd, {})
            head = f"                                 WET READ: ___ ___ ___ 6:05 PM\n   {wet}\n {'_' * 78}\n{head}"
        if self.rnd() < 0.015:
            added = _wrap("ADDENDUM:  " + say(self.wording.frames["addendum"], self.rnd, {}))
            head = f"                                 FINAL ADDENDUM\n{added}\n {'_' * 78}\n{head}"
        text = head + text
        if self.rnd() < 0.02:
            text = self.misspell(text)
        if self.rnd() < 0.005:
            text = text.replace(" INDICATION:", " NDICATION:", 1)
        elif self.rnd() < 0.005:
            text = text.replace(" IMPRESSION:", " IMPRESSON:", 1)
        either = self.stated | self.hedged
        return Report(
            text,
            self.stated & ~_OTHER,
            self.hedged & ~self.stated,
            self.denied & ~either,
            no_finding=not either & ~_DEVICES,
        )

    def use(self, phrase: Phrase, index: int | None = None) -> str:
        """Words of a phrase about class `index`, or about none; the report is committed to what it says."""
        memory = {} if index is None else self.memories.setdefault(index, {})
        self.stated |= phrase.present
        self.hedged |= phrase.uncertain
        self.denied |= phrase.absent
        sentence = say(phrase.tree, self.rnd, memory).replace("  ", " ")
        if sentence[-1] not in ".:":
            sentence += "."
        return sentence if sentence[0].isupper() else sentence[0].upper() + sentence[1:]

    def pick(self, phrases: tuple[Phrase, ...]) -> Phrase | None:
        """One phrase that the findings of the study allow."""
        rnd, n = self.rnd, len(phrases)
        for _ in range(4):
            phrase = phrases[int(rnd() * n)]
            if phrase.fits(self.present, self.uncertain):
                return phrase
        fitting = [phrase for phrase in phrases if phrase.fits(self.present, self.uncertain)]
        return fitting[int(rnd() * len(fitting))] if fitting else None

    def findings(self, remarks: bool) -> list[str]:
        """Sentences that state every finding once, with the usual normal remarks, in a usual order."""
        rnd = self.rnd
        regions = list(_REGION_MASKS.items())
        if rnd() < 0.3:
            regions[1], regions[3] = regions[3], regions[1]
        said: list[str] = []
        either = self.present | self.uncertain
        for region, mask in regions:
            here = either & mask
            if here:
                said += self.region(here)
            elif region != "devices" and rnd() < 0.7:
                phrase = self.pick(self.wording.normal[region])
                if phrase:
                    said.append(self.use(phrase))
            if region == "pleura" and rnd() < 0.5:
                said += self.denials()
        if rnd() < 0.06:
            phrase = self.pick(self.wording.normal["gone"])
            if phrase:
                said.append(self.use(phrase))
        if remarks:
            others = self.wording.normal["benign other"]
            said.append(self.use(others[int(rnd() * len(others))]))
        if rnd() < 0.2:
            phrase = self.pick(self.wording.normal["benign neutral"])
            if phrase:
                said.insert(0 if rnd() < 0.5 else len(said), self.use(phrase))
        if not said:
            phrase = self.pick(self.wording.normal["quiet"]) or self.pick(self.wording.normal["benign late"])
            if phrase:
                said.append(self.use(phrase))
        return said

    def region(self, here: int) -> list[str]:
        """Sentences about the findings of one region; a class its child or a neighbour has stated may rest."""
        rnd = self.rnd
        said = []
        indices = [index for index in range(len(LABELS)) if here >> index & 1]
        indices.sort(key=lambda index: bool(_CHILDREN_OF[index]))
        for index in indices:
            bit = 1 << index
            if self.present & bit:
                if self.stated & bit and rnd() < 0.6:
                    continue
                if rnd() < 0.03 and bit != _DEVICES:  # first a doubt, then a word without doubt
                    phrase = self.pick(self.wording.uncertain[index])
                    if phrase:
                        said.append(self.use(phrase, index))
                times = 1
                if bit == _DEVICES:
                    times = 1 + (rnd() < 0.5) + (rnd() < 0.25)
                for _ in range(times):
                    phrase = self.pick(self.wording.present[index])
                    if phrase:
                        said.append(self.use(phrase, None if bit == _DEVICES else index))
            elif not self.hedged & bit:
                phrase = self.pick(self.wording.uncertain[index])
                if phrase:
                    said.append(self.use(phrase, index))
        return said

    def denials(self) -> list[str]:
        """Zero or one sentence of the kind "No A, B or C."."""
        rnd, either = self.rnd, self.present | self.uncertain
        terms = []
        for index, _bit, odds in _TERMS:
            if rnd() < odds:
                phrases = self.wording.terms[index]
                phrase = phrases[int(rnd() * len(phrases))]
                if not phrase.forbids & either:
                    self.denied |= phrase.absent
                    terms.append(say(phrase.tree, rnd, {}))
        if not terms:
            return []
        if len(terms) > 1 and rnd() < 0.4:
            terms.reverse()
        joint = " or " if rnd() < 0.8 else ", or " if len(terms) > 2 else " and " if rnd() < 0.3 else " or "
        listed = terms[0] if len(terms) == 1 else ", ".join(terms[:-1]) + joint + terms[-1]
        return [_DENIALS[int(rnd() * len(_DENIALS))].format(listed)]

    def impression(self) -> str:
        """The impression: the findings again in short, or that there are none."""
        rnd = self.rnd
        items: list[str] = []
        either = self.present | self.uncertain
        for index in range(len(LABELS)):
            bit = 1 << index
            if either & bit and rnd() < (0.25 if bit == _DEVICES else 0.55):
                source = self.wording.present if self.present & bit else self.wording.uncertain
                phrase = self.pick(source[index])
                if phrase:
                    items.append(self.use(phrase, None if bit == _DEVICES else index))
        if not items and not either & ~(_DEVICES | _OTHER):
            items.append(self.use(self.pick(self.wording.normal["quiet"]) or self.wording.normal["benign late"][0]))
        elif not items:
            items.append(self.use(self.wording.normal["benign late"][int(rnd() * 4)]))
        elif rnd() < 0.2:
            items += self.denials()
        if len(items) > 1 and rnd() < 0.75:
            gap = "\n \n" if rnd() < 0.4 else "\n"
            if rnd() < 0.1:
                items = [item.rstrip(".") for item in items]
            return gap.join(_wrap(f"{number}. {item}") for number, item in enumerate(items, 1)).lstrip()
        return _wrap(" ".join(items)).lstrip()

    def opening(self, portable: bool) -> list[str]:
        """Examination, indication, technique and comparison: sections that do not count."""
        rnd, frames = self.rnd, self.wording.frames
        view = "portable" if portable else "frontal_lateral"
        style = rnd()
        parts = []
        if style < 0.75:
            parts.append(_wrap("EXAMINATION:  " + say(frames[f"exam {view}"], rnd, {})))
        else:
            parts.append(_wrap(say(frames[f"exam {view}"], rnd, {}).upper()))
        if rnd() < 0.93:
            name = "INDICATION" if rnd() < 0.6 else "HISTORY" if rnd() < 0.8 else "REASON FOR EXAM"
            why = say(frames["patient"], rnd, {}) + " " + say(frames["reason"], rnd, {})
            parts.append(_wrap(f"{name}:  {why}."))
        if style < 0.6 and rnd() < 0.8:
            parts.append(_wrap("TECHNIQUE:  " + say(frames[f"technique {view}"], rnd, {})))
        if rnd() < 0.9:
            parts.append(_wrap("COMPARISON:  " + say(frames["comparison"], rnd, {})))
        return parts

    def closing(self) -> list[str]:
        """Sometimes a recommendation or a notification, which do not count."""
        rnd, frames = self.rnd, self.wording.frames
        parts = []
        if rnd() < 0.04:
            parts.append(_wrap("RECOMMENDATION(S):  " + say(frames["recommendation"], rnd, {})))
        if rnd() < 0.05:
            parts.append(_wrap("NOTIFICATION:  " + say(frames["notification"], rnd, {})))
        return parts

    def misspell(self, text: str) -> str:
        """The text with one word misspelt, where it has one of the words."""
        typos = list(self.wording.typos.items())
        start = int(self.rnd() * len(typos))
        for right, wrong in typos[start:] + typos[:start]:
            if f" {right} " in text:
                return text.replace(f" {right} ", f" {wrong} ", 1)
        return text


def _section(name: str, body: str, rnd: Callable[[], float]) -> str:
    """A titled section, the text on the title's line or below it."""
    if rnd() < 0.5 or "\n" in body:
        wrapped = body if "\n" in body else _wrap(body).lstrip()
        return f" {name}: \n \n {wrapped}"
    return _wrap(f"{name}:  {body}")


def _paragraphs(sentences: list[str], rnd: Callable[[], float]) -> str:
    """One block of text, or two."""
    if len(sentences) > 3 and rnd() < 0.4:
        half = len(sentences) // 2
        return _wrap(" ".join(sentences[:half])) + "\n \n" + _wrap(" ".join(sentences[half:]))
    return _wrap(" ".join(sentences))


def _wrap(text: str) -> str:
    """Lines of at most `WIDTH` characters behind one leading space each."""
    lines = []
    at, end = 0, len(text)
    while end - at > WIDTH:
        cut = text.rfind(" ", at, at + WIDTH + 1)
        if cut <= at:
            break
        lines.append(text[at:cut])
        at = cut + 1
    lines.append(text[at:])
    return " " + "\n ".join(lines)
