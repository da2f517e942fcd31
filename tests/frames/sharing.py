"""Findings that share a word with another: "pleural effusion or thickening", "pericardial or pleural effusion"."""

from collections.abc import Iterator
from dataclasses import replace

from frames.findings import Finding
from frames.grammar import read_yaml


def findings_that_share(finding: Finding) -> Iterator[Finding]:
    """The same finding without the word that it shares; `words.yaml` says with what it stands.

    Args:
        finding: A noun phrase of a site or adjective and one noun; anything else shares nothing.

    Yields:
        Findings with trait `shared_site` or `shared_head`, whose parts fill the places of the frames for them.
    """
    words = read_yaml("words.yaml")
    if "noun" not in finding.traits or {"long", "coordinated"} & finding.traits:
        return
    site, _, noun = finding.text.rpartition(" ")
    traits = finding.traits - {"noun"}
    for entry in words["shared_sites"]:
        if entry["site"] == site and noun in entry["nouns"]:
            parts = (("site", site), ("other noun", entry["other"]), ("noun", noun))
            yield replace(finding, traits=traits | {"shared_site"}, parts=parts)
    for entry in words["shared_heads"]:
        if entry["adjective"] == site and noun in entry["nouns"]:
            parts = (("adjective", site), ("other", entry["other"]), ("noun", noun))
            yield replace(finding, traits=traits | {"shared_head"}, parts=parts)
