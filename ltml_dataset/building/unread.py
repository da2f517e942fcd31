"""Reports of which nothing was read: counted with the reason, so that a blank row is never a silent one."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from ltml_dataset.records import Skip
from ltml_dataset.text.section_rules import SectionRules
from ltml_dataset.text.sections import Policy, why_not_read

NO_TEXT = "has no text"
MANY = 0.05
"""Share of reports with text of which nothing is read that is worth a warning."""
_FIRST = 5


def unread_reports(
    batch: pa.RecordBatch, was_read: pa.BooleanArray, columns: Sequence[str], policy: Policy, rules: SectionRules
) -> list[Skip]:
    """The reports of a batch of which no section was read, each with the reason.

    Args:
        batch: Reports (`schema.report_schema`).
        was_read: (N,) whether text of a section was read.
        columns: Text columns of the batch.
        policy: Which sections are read.
        rules: What titles mean.
    """
    rows = np.flatnonzero(~was_read.to_numpy(zero_copy_only=False))
    if not len(rows):
        return []
    silent = batch.take(pa.array(rows))
    texts = zip(*(silent.column(name).to_pylist() for name in columns), strict=True)
    ids = silent.column("report_id").to_pylist()
    return [Skip(report, why_not_read(columns, row, policy, rules)) for report, row in zip(ids, texts, strict=True)]


@dataclass
class Unread:
    """Counts of reports of which nothing was read."""

    reasons: Counter[str] = field(default_factory=Counter)
    first: dict[str, list[str]] = field(default_factory=dict)
    """The first ids of each reason."""

    def add(self, skips: Iterable[Skip]) -> None:
        """Count some more."""
        for skip in skips:
            self.reasons[skip.reason] += 1
            ids = self.first.setdefault(skip.reason, [])
            if len(ids) < _FIRST:
                ids.append(skip.input)

    @property
    def n_without_text(self) -> int:
        """Reports that are empty or hold only what stands for a missing text."""
        return self.reasons[NO_TEXT]

    @property
    def n_not_read(self) -> int:
        """Reports with text, none of it in a section that is read."""
        return self.reasons.total() - self.n_without_text

    def is_worth_a_warning(self, n_reports: int) -> bool:
        """Whether so much text was passed over that the titles must be others than those the rules know."""
        n_with_text = n_reports - self.n_without_text
        return self.n_not_read > MANY * n_with_text

    def sentences(self, n_reports: int) -> list[str]:
        """What to tell the user; empty where all reports were read."""
        said = []
        if self.n_without_text:
            said.append(
                f"{self.n_without_text:,} of {n_reports:,} reports have no text and no label "
                f"(first {', '.join(self.first[NO_TEXT])})."
            )
        if self.n_not_read:
            share = self.n_not_read / max(1, n_reports - self.n_without_text)
            reasons = "; ".join(
                f"{count:,}: {reason} (first {', '.join(self.first[reason])})"
                for reason, count in self.reasons.most_common(_FIRST + 1)
                if reason != NO_TEXT
            )
            advice = " --sections all reads every section." if self.is_worth_a_warning(n_reports) else ""
            said.append(
                f"{'Warning: nothing' if advice else 'Nothing'} was read of {self.n_not_read:,} reports with text "
                f"({share:.1%} of those with text), so they have no label: {reasons}.{advice}"
            )
        return said

    def as_json(self) -> list[dict[str, Any]]:
        """One entry per reason, most frequent first."""
        return [
            {"reason": reason, "reports": count, "first": self.first[reason]}
            for reason, count in sorted(self.reasons.items(), key=lambda item: (-item[1], item[0]))
        ]
