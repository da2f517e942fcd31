"""The `sections` command."""

import json as json_module
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter


def sections(
    reports: Path,
    /,
    *,
    out: Path,
    rules: Literal["official", "default"] = "official",
    section_overrides: Path | None = None,
    lexicon: Path | None = None,
    chosen: Path | None = None,
    id_column: str | None = None,
    text_column: str | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Write mimic_cxr_sectioned.csv: the sections of every report.

    Args:
        reports: MIMIC-CXR zip or files/ tree, Open-I archive or folder, or a table.
        out: The CSV: study, impression, findings, last_paragraph, comparison.
        rules: official: bug for bug as the official labels. default: with the known faults mended.
        section_overrides: section_parser.py of MIT-LCP/mimic-cxr, or YAML: studies whose text is chosen by hand.
        lexicon: Folder of your own words, among them titles, laid over those that ship (docs/lexicons.md).
        chosen: Another CSV, for each study and the one text that is labelled.
        id_column: Id column of a table.
        text_column: Text column of a table; several, separated by commas, are sections of that name.
        json: Print a machine-readable summary.
    """
    from ltml_dataset.export.sectioned import write_sectioned
    from ltml_dataset.sources import open_source
    from ltml_dataset.text.section_overrides import load_overrides
    from ltml_dataset.text.section_rules import rules_of

    overrides = load_overrides(section_overrides) if section_overrides else None
    columns = [name.strip() for name in text_column.split(",")] if text_column else None
    source = open_source(reports, id_column=id_column, text_columns=columns)
    counts = write_sectioned(
        source,
        out,
        policy=rules,
        overrides=overrides,
        chosen=chosen,
        rules=rules_of(lexicon) if lexicon else None,
        others_read=[path for path in (section_overrides, lexicon) if path],
    )
    if json:
        summary = {
            "out": str(out),
            "rules": rules,
            "reports": counts.reports,
            "rows": counts.reports - len(counts.overridden),
            "overridden": len(counts.overridden),
            "empty": counts.empty,
            "skipped": [[skip.input, skip.reason] for skip in counts.skips],
        }
        print(json_module.dumps(summary, indent=2))
        return
    print(f"{out}: {counts.reports - len(counts.overridden):,} of {counts.reports:,} reports, {rules} rules.")
    if counts.overridden:
        print(f"{len(counts.overridden)} studies with an override have no row, as in the file of MIT-LCP/mimic-cxr.")
    if counts.empty:
        print(f"{counts.empty:,} reports have none of the four sections.")
    for skip in counts.skips[:10]:
        print(f"Skipped {skip.input}: {skip.reason}.")
    if len(counts.skips) > 10:
        print(f"... and {len(counts.skips) - 10:,} more; --json names all.")
    if source.credentialed:
        print("The file holds credentialed text: the data use agreement of MIMIC-CXR forbids sharing it.")


def register(app: App) -> None:
    """Add the commands of this module."""
    app.command(sections)
