"""`README.md`: the card that a data set shows on the hub and to whoever opens the folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ltml_dataset.export.card_yaml import Yaml, dataset_yaml
from ltml_dataset.export.configs import Config
from ltml_dataset.export.manifest import Manifest
from ltml_dataset.schema import NO_FINDING
from ltml_lexicons.gamuts import worded

if TYPE_CHECKING:
    from ltml_lexicons.choose import ChosenLabels

SIMULATED_LICENCE = "cc0-1.0"
"""Of folders built from a simulated release, which this project makes and gives away."""
CREDENTIALED_LICENCE = "physionet-credentialed-health-data-license-1.5.0"


@dataclass(frozen=True, slots=True)
class LabelNote:
    """What the card says of a mined label."""

    definition: str
    phrases: str
    """Number of phrases by kind of source: "chexpert 3, curated 12"."""


def label_notes(chosen: "ChosenLabels", profile: str = "clinical") -> dict[str, LabelNote]:
    """Definition and phrases of every label, by column name, as the profile uses them."""
    notes = {}
    for name, plain in zip(chosen.names, chosen.labels, strict=True):
        label = worded(plain, profile)
        kinds = [chosen.lexicon.source_kind(label, phrase.source) for phrase in label.mentions]
        if profile == "paper":
            kinds = [kind for kind in kinds if kind in ("chexpert", "gamuts")]
        counted = [f"{kind} {kinds.count(kind)}" for kind in dict.fromkeys(sorted(kinds))]
        if label.composed and profile == "clinical":
            counted.append(f"composed {len(label.composed)}")
        notes[name] = LabelNote(" ".join(label.definition.split()), ", ".join(counted))
    return notes


def card_text(
    manifest: Manifest,
    configs: Sequence[Config],
    notes: Mapping[str, LabelNote] | None = None,
    *,
    credentialed: bool,
) -> str:
    """The whole card.

    Args:
        manifest: Manifest of the folder; its `files` are not used, so it may be before they are hashed.
        configs: Configs of the folder, default first.
        notes: Definitions by label name, for labels mined from reports.
        credentialed: Whether the source forbids sharing, as PhysioNet does.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("ltml_dataset", "export"),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown, and names pass through `cell`
    )
    environment.filters["cell"] = cell
    mined = manifest.lexicon is not None
    columns = list(configs[0].features)
    n_rows = sum(split.rows for split in manifest.splits.values())
    text = environment.get_template("card.j2").render(
        manifest=manifest,
        mined=mined,
        title=cell(title_of(manifest)),
        summary=summary_of(manifest),
        yaml=dataset_yaml(configs, _about(manifest, n_rows, credentialed=credentialed)),
        splits=list(configs[0].splits),
        configs=[config.name for config in configs],
        columns=columns,
        has_pixels="image" in columns,
        has_verified="verified" in columns,
        has_images=bool(manifest.config.get("metadata")),
        agreement_rows=_agreement_rows(manifest),
        label_rows=_label_rows(manifest, notes or {}),
        field_lists=[(config.name, _fields(config, manifest.labels)) for config in configs],
        split_text=_split_text(manifest),
        process=_process(manifest),
        known_errors=_known_errors(mined=mined),
        sharing=_sharing(mined=mined, credentialed=credentialed, simulated=manifest.simulated),
        licence=licence_of(credentialed=credentialed, simulated=manifest.simulated),
    )
    return _with_blank_lines(text)


def _with_blank_lines(text: str) -> str:
    """One blank line around headings, tables, lists and fences; the head and code stay as they are."""
    head, body = text.split("\n---\n", 1)
    lines: list[str] = []
    before, in_code = "text", False
    for line in body.splitlines():
        is_fence = line.startswith("```")
        kind = "text" if in_code or is_fence else {"|": "table", "-": "list", "#": "heading"}.get(line[:1], "text")
        starts_block = kind != before or kind == "heading" or (is_fence and not in_code)
        if not in_code and line and lines and lines[-1] and starts_block:
            lines.append("")
        if line or in_code or (lines and lines[-1]):
            lines.append(line)
        in_code = in_code != is_fence
        before = kind if line else before
    return f"{head}\n---\n\n" + "\n".join(lines).rstrip() + "\n"


def cell(text: str) -> str:
    """Text that is safe inside a Markdown table."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def title_of(manifest: Manifest) -> str:
    """Name of the data set."""
    if manifest.lexicon is None:
        return f"Chest X-ray labels of {manifest.inputs[0].name if manifest.inputs else 'a table'}"
    kind = "SIMULATED: long" if manifest.simulated else "Long"
    return f"{kind}-tailed chest X-ray labels ({manifest.lexicon.label_set})"


def summary_of(manifest: Manifest) -> str:
    """One sentence on the data set."""
    n_rows = sum(split.rows for split in manifest.splits.values())
    kept = f"{len(manifest.labels)} labels for {n_rows:,} rows"
    if manifest.lexicon is None:
        return f"{kept} of a labelled table, split into train, validation and test."
    read = manifest.counts.get("reports", 0)
    if manifest.simulated:
        return (
            f"SIMULATED, for trying things out: no patient, report or image behind it exists. {kept}, mined from "
            f"{read:,} simulated reports with evidence for each label and split into train, validation and test."
        )
    return (
        f"{kept}, mined from {read:,} radiology reports with evidence for each label and split into train, "
        "validation and test."
    )


def _about(manifest: Manifest, n_rows: int, *, credentialed: bool) -> dict[str, Yaml]:
    """Keys of the card's head that do not come from a schema."""
    sizes = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")]
    return {
        **(
            {"license": SIMULATED_LICENCE}
            if manifest.simulated
            else {"license": "other", "license_name": CREDENTIALED_LICENCE if credentialed else "as-the-source"}
        ),
        "language": ["en"],
        "pretty_name": title_of(manifest),
        "size_categories": [next((name for limit, name in sizes if n_rows < limit), "1M<n<10M")],
        "task_categories": ["image-classification"],
        "task_ids": ["multi-label-image-classification"],
        "tags": [
            *(["simulated", "synthetic"] if manifest.simulated else []),
            "medical",
            "radiology",
            "chest-x-ray",
            "long-tailed",
            "multi-label",
            "croissant",
        ],
    }


def _label_rows(manifest: Manifest, notes: Mapping[str, LabelNote]) -> list[list[str]]:
    """Cells of the label table, in label order."""
    group_of = {name: group for group, members in manifest.groups.items() for name in members}
    rows = []
    for index, name in enumerate(manifest.labels):
        counts = [f"{manifest.label_counts[part][name]:,}" for part in ("all", "train", "validation", "test")]
        note = notes.get(name)
        said = [cell(note.definition) if note else "", note.phrases if note else ""] if manifest.lexicon else []
        rows.append([str(index), cell(name), *said, group_of[name], *counts])
    return rows


def _agreement_rows(manifest: Manifest) -> list[list[str]]:
    """Header, rule and cells of the agreement table; numbers with three decimals."""
    if not manifest.agreement:
        return []
    names = list(manifest.agreement[0])
    cells = [
        [
            ""
            if (value := entry.get(name)) is None
            else f"{value:.3f}"
            if isinstance(value, float)
            else cell(str(value))
            for name in names
        ]
        for entry in manifest.agreement
    ]
    return [[cell(name.replace("_", " ")) for name in names], ["---"] * len(names), *cells]


_MEANINGS = {
    "image_id": "name of the image in its source",
    "subject_id": "patient",
    "study_id": "study, that is one examination with one report",
    "view": "projection, as the source writes it",
    "image_path": "path below the image root",
    "labels": "indices of the positive labels",
    "target": "1 positive, 0 not, -1 leave out, for every label in order",
    "image": "encoded image",
    "verified": "1 where a person decided the label; `label_source` says whether they looked at it by itself",
    "label_source": "who decided each label: machine, official, gold, reader, readers, adjudicated or report",
    "second_status": "what the second engine says",
    "label": "name of the label",
    "status": "1 present, 0 negated, -1 uncertain",
    "section": "section, or text column, of the report",
    "start": "first code point of the phrase in the report",
    "end": "code point after the phrase",
    "phrase": "wording of the lexicon that matched",
    "phrase_source": "where that wording comes from",
    "cue": "word that decided the status",
    "cue_start": "first code point of the cue",
    "cue_end": "code point after the cue",
    "rule": "rule that decided",
}


def _fields(config: Config, labels: Sequence[str]) -> list[tuple[str, str, str]]:
    """Name, type and meaning of the columns; the label columns of config "studies" share one line."""
    states = [*labels, NO_FINDING] if config.name == "studies" else []
    lines = [
        (name, _type_name(feature), _MEANINGS.get(name, "as in the source"))
        for name, feature in config.features.items()
        if name not in states
    ]
    if states:
        lines.append(
            (f"{states[0]}` ... `{NO_FINDING}", "int8", "1 present, 0 negated, -1 uncertain, null not mentioned")
        )
    return lines


def _type_name(feature: Mapping[str, Any]) -> str:
    if feature["_type"] == "Value":
        return str(feature["dtype"])
    if feature["_type"] == "List":
        length = feature.get("length", -1)
        return f"List({_type_name(feature['feature'])}{f', {length}' if length > 0 else ''})"
    return str(feature["_type"])


def _split_text(manifest: Manifest) -> str:
    """How the split was made, from the resolved options."""
    options = manifest.config.get("split") or {}
    if manifest.config.get("official_split"):
        return (
            "The official split of MIMIC-CXR-JPG (`validate` is called validation here), made by patients and not by "
            "labels; whether any patient crosses in these images is counted below."
        )
    if options.get("ids"):
        return "Validation and test are the given lists of image ids; everything else is train. Patients may cross."
    ratios, seed = options.get("ratios", "7:1:2"), options.get("seed", 0)
    unit = options.get("group_by", "subject")
    if manifest.config.get("protocol") == "paper" and unit == "image":
        return (
            "The protocol of the paper: iterative stratification of images, test 20 % first, then validation 10 % of "
            f"the rest (seed {seed}). Images of one patient lie in several splits: use it to compare with published "
            "numbers, not to estimate how a model does on new patients."
        )
    kept = {"image": "Rows are split one by one, so a patient may be in several splits."}.get(
        str(unit), f"No {cell(str(unit))} is in two splits; a group below is one {cell(str(unit))}."
    )
    return (
        f"{ratios} for train, validation and test (seed {seed}). {kept} Size and every label's share follow the ratios "
        "within 0.1 percentage points or one image, except where listed below the figure."
    )


def _process(manifest: Manifest) -> list[tuple[str, str]]:
    """The options that decide labels."""
    config = manifest.config
    lines = []
    if manifest.lexicon is not None:
        stamp = manifest.lexicon
        lines = [
            ("lexicon", f"version {stamp.version}, profile {stamp.profile}, fingerprint `{stamp.fingerprint[:16]}…`"),
            ("sections that count", f"`{config.get('sections', 'default')}`"),
            ("protocol", f"`{config.get('protocol', 'default')}`"),
            ("common labels", f"`{config.get('common_labels') or 'mined'}`"),
        ]
    columns = config.get("columns") or {}
    lines += [(f"column of the {what.replace('_', ' ')}", f"`{name}`") for what, name in columns.items() if name]
    meaning = {"zero": "0", "one": "1", "ignore": "-1, left out of training and scoring"}
    uncertain = str(config.get("uncertain", "zero"))
    lines.append(("uncertain label becomes the target", f"{meaning.get(uncertain, uncertain)} (`{uncertain}`)"))
    lines.append(("label not mentioned becomes the target", "0"))
    return lines


def _known_errors(*, mined: bool) -> list[str]:
    tail = (
        "A label with few images in test has a wide interval: report intervals, and means over labels that are defined."
    )
    if not mined:
        return ["Errors of the source's labels are errors here.", tail]
    return [
        "A report says what was worth saying: a label that is not mentioned counts as absent, though it may be there.",
        "Reports describe a study; every image of the study gets its labels, also a view that cannot show the finding.",
        "Rules misread some negations over long sentences, findings given only by comparison, and dictation errors.",
        "The wording of rare labels is short; unusual wording of a rare finding is missed. Each label's definition "
        "says what counts.",
        "Words taken out by de-identification can hide a negation or a device.",
        tail,
    ]


def _sharing(*, mined: bool, credentialed: bool, simulated: bool) -> str:
    if simulated:
        return "Nothing: everything here is simulated and may be passed on, as long as it is said that it is simulated."
    if credentialed:
        return (
            "Reports in the form of MIMIC-CXR come under the PhysioNet Credentialed Health Data Use Agreement 1.5.0: "
            "the user will not share the data. That covers report text, subject and study numbers, image ids and "
            "labels derived from reports, so it covers this folder. Share the recipe and the hashes of the manifest: "
            "whoever has access can build the same bytes."
        )
    if mined:
        return (
            "Labels and offsets are derived from the reports: their licence decides whether this folder may be passed "
            "on. Report text is not in it."
        )
    return (
        "Labels and images are those of the source table, whose licence decides whether this folder may be passed on."
    )


def licence_of(*, credentialed: bool, simulated: bool = False) -> str:
    """One sentence on the licence of the data and of the tool."""
    tool = "The tool that built the folder is Apache-2.0."
    if simulated:
        return f"CC0 1.0 (public domain): the data are simulated. {tool}"
    if credentialed:
        return f"PhysioNet Credentialed Health Data License 1.5.0, as the source. {tool}"
    return f"That of the source. {tool}"
