"""What a reader of a built folder sees: figures, card and Croissant description, made from its files and manifest."""

from collections.abc import Mapping
from pathlib import Path

from ltml_dataset.export.card import LabelNote, card_text, licence_of, summary_of, title_of
from ltml_dataset.export.configs import count_pairs, read_configs
from ltml_dataset.export.croissant import croissant_of, write_croissant
from ltml_dataset.export.figures import draw_conditional_probability, draw_long_tail, draw_split_balance
from ltml_dataset.export.manifest import Manifest
from ltml_dataset.export.parquet import write_text


def write_presentation(
    folder: Path,
    manifest: Manifest,
    *,
    ratios: Mapping[str, float],
    notes: Mapping[str, LabelNote] | None = None,
    credentialed: bool,
) -> None:
    """Write `README.md`, `croissant.json` and `figures/` into a folder whose Parquet files are complete.

    Args:
        folder: Folder of the data set, still without manifest file.
        manifest: What the manifest will say; its `files` are not used.
        ratios: Share that each split should have, by name; the actual shares where a split was given.
        notes: Definition and phrases of mined labels, by name (`label_notes`).
        credentialed: Whether the source forbids sharing.
    """
    configs = read_configs(folder)
    figures = folder / "figures"
    draw_long_tail(manifest.label_counts["all"], manifest.groups, manifest.group_thresholds, figures)
    draw_conditional_probability(manifest.labels, count_pairs(configs[0], len(manifest.labels)), figures)
    rows = {name: split.rows for name, split in manifest.splits.items()}
    draw_split_balance(manifest.label_counts, rows, ratios, figures)
    write_text(card_text(manifest, configs, notes, credentialed=credentialed), folder / "README.md")
    description = croissant_of(
        manifest,
        configs,
        folder,
        title=title_of(manifest),
        summary=summary_of(manifest),
        licence=licence_of(credentialed=credentialed, simulated=manifest.simulated),
    )
    write_croissant(description, folder)
