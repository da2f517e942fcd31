"""Sentences of the wording files, compiled: what each can say and what it commits the report to."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from ruamel.yaml import YAML

from ltml_dataset.simulate.findings import LABELS, PARENTS, UNSAID, children_first

Memory = dict[str, str]
"""Slot values that a report has already given for one finding."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A place to fill: side, lobe, size and so on. A report gives one finding the same value every time."""

    name: str
    values: tuple[str, ...]
    capital: bool

    def fill(self, rnd: Callable[[], float], memory: Memory) -> str:
        """A value: the remembered one, else a new one that does not contradict the remembered side or lobe."""
        value = memory.get(self.name)
        if value is None:
            values = self.values
            beside = memory.get(_BESIDE.get(self.name, ""), "").split(" ")[0]
            if beside in ("left", "right"):
                values = tuple(value for value in values if value.startswith(beside)) or values
            value = memory[self.name] = values[int(rnd() * len(values))]
        return value[0].upper() + value[1:] if self.capital else value


_BESIDE = {"side1": "lobe", "lobe": "side1", "side": "side1"}

Node = str | Slot | tuple["Node", ...] | list["Node"]
"""A tree: a string or slot stands for itself, a tuple for one of its members, a list for all of them in a row."""

OTHER = "Other"
"""Not a class: something abnormal that rules out No Finding. Written `@ Other=1` in the wording files."""

BIT = {name: 1 << index for index, name in enumerate((*LABELS, OTHER))}

CLASHES = {
    "Lung Opacity": (
        "Lung Lesion", "Edema", "Consolidation", "Pneumonia", "Atelectasis", "Bronchiectasis", "Mucoid Impaction",
        "Pulmonary Embolism", "Embolus",
    ),
    "Consolidation": ("Pneumonia",),
    "Cardiomegaly": ("Cardiomyopathy", "Left Atrial Enlargement", "Pericardial Effusion"),
    "Enlarged Cardiomediastinum": ("Mediastinal Shift", "Pneumomediastinum", "Aortic Aneurysm", "Pericardial Effusion"),
    "Pleural Effusion": ("Hemothorax",),
    "Pleural Thickening": ("Pleural Other", "Pleural Calcification"),
}  # fmt: skip
"""No report denies the first beside one of the others, although the classes allow it."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """One sentence of the wording files.

    The masks have bit `i` set for class `i`; `present` and `uncertain` include the parents. `forbids` are the
    classes that must be neither present nor uncertain in the study.
    """

    tree: Node
    present: int
    uncertain: int
    absent: int
    forbids: int

    def fits(self, present: int, uncertain: int) -> bool:
        """True where a study with these findings may contain the sentence."""
        either = present | uncertain
        return not (self.present & ~present or self.uncertain & ~either or self.forbids & either)


@dataclass(frozen=True)
class Wording:
    """All sentences, ready to pick from."""

    present: dict[int, tuple[Phrase, ...]]
    uncertain: dict[int, tuple[Phrase, ...]]
    terms: dict[int, tuple[Phrase, ...]]
    normal: dict[str, tuple[Phrase, ...]]
    frames: dict[str, tuple[Node, ...]]
    typos: dict[str, str]


def say(tree: Node, rnd: Callable[[], float], memory: Memory) -> str:
    """One wording of a sentence; `rnd` gives uniform numbers in [0, 1), `memory` keeps the slots that it fills."""
    if isinstance(tree, str):
        return tree
    if isinstance(tree, tuple):
        return say(tree[int(rnd() * len(tree))], rnd, memory)
    if isinstance(tree, Slot):
        return tree.fill(rnd, memory)
    return "".join([part if isinstance(part, str) else say(part, rnd, memory) for part in tree])


def close(mask: int) -> int:
    """Mask with every class set that the words for a set class state too."""
    for child, parent in _UP:
        if mask & child:
            mask |= parent
    return mask


_UP = tuple((BIT[child], BIT[PARENTS[child]]) for child in children_first() if child not in UNSAID)


@lru_cache(maxsize=1)
def load_wording() -> Wording:
    """The wording files of the package, compiled."""
    slots = _compile_slots(_read("slots.yaml"))
    absent = _read("absent.yaml")
    frames = _read("frames.yaml")
    typos = frames.pop("typos")
    benign = {f"benign {name}": text for name, text in frames.pop("benign").items()}
    views = {f"{kind} {view}": text for kind in ("exam", "technique") for view, text in frames.pop(kind).items()}
    terms = absent.pop("terms")
    return Wording(
        present=_by_class(_read("present.yaml"), slots, 1),
        uncertain=_by_class(_read("uncertain.yaml"), slots, -1),
        terms=_by_class(terms, slots, 0),
        normal={name: tuple(_phrases(text, slots, {})) for name, text in (absent | benign).items()},
        frames={name: tuple(_tree(line, slots) for line in _lines(text)) for name, text in (frames | views).items()},
        typos=typos,
    )


def _read(name: str) -> dict[str, Any]:
    text = (files("ltml_dataset.simulate.wording") / name).read_text(encoding="utf-8")
    content: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    return content


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _by_class(texts: dict[str, str], slots: dict[str, Slot], state: int) -> dict[int, tuple[Phrase, ...]]:
    return {LABELS.index(name): tuple(_phrases(text, slots, {name: state})) for name, text in texts.items()}


def _phrases(text: str, slots: dict[str, Slot], own: dict[str, int]) -> Iterable[Phrase]:
    for line in _lines(text):
        sentence, _, effects = line.partition(" @ ")
        states = dict(own)
        for effect in filter(None, effects.split(", ")):
            name, _, state = effect.partition("=")
            states[name] = int(state)
        masks = {wanted: sum(BIT[name] for name, state in states.items() if state == wanted) for wanted in (1, 0, -1)}
        forbidden = masks[0]
        for name, others in CLASHES.items():
            if masks[0] & BIT[name]:
                forbidden |= sum(BIT[other] for other in others)
        yield Phrase(_tree(sentence.strip(), slots), close(masks[1]), close(masks[-1]), masks[0], forbidden)


def _compile_slots(raw: dict[str, str]) -> dict[str, Slot]:
    slots = {}
    for name, text in raw.items():
        values = tuple(value.strip() for value in text.split(" | "))
        slots[name] = Slot(name, values, capital=False)
        slots[name.capitalize()] = Slot(name, values, capital=True)
    return slots


def _tree(text: str, slots: dict[str, Slot]) -> Node:
    """Parse `{slot}` and `{a|b}`, nested as deep as one likes."""
    node, rest = _sequence(text, 0, slots, top=True)
    if rest != len(text):
        raise ValueError(f"unbalanced brace in wording: {text!r}")
    return node


def _sequence(text: str, at: int, slots: dict[str, Slot], *, top: bool = False) -> tuple[Node, int]:
    parts: list[Node] = []
    start = at
    while at < len(text):
        character = text[at]
        if character == "{":
            parts.append(text[start:at])
            choices, at = _choices(text, at + 1, slots)
            parts.append(choices)
            start = at
        elif character in "|}" and not top:
            break
        else:
            at += 1
    parts.append(text[start:at])
    kept = [part for part in parts if part != ""]
    if not kept:
        return "", at
    return (kept[0] if len(kept) == 1 else kept), at


def _choices(text: str, at: int, slots: dict[str, Slot]) -> tuple[Node, int]:
    choices: list[Node] = []
    while True:
        node, at = _sequence(text, at, slots)
        choices.append(node)
        if at >= len(text):
            raise ValueError(f"unbalanced brace in wording: {text!r}")
        at += 1
        if text[at - 1] == "}":
            break
    if len(choices) > 1:
        return tuple(choices), at
    name = choices[0]
    if not isinstance(name, str) or name not in slots:
        raise ValueError(f"unknown slot {name!r} in wording: {text!r}")
    return slots[name], at
