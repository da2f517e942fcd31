"""Column names and Arrow types of every table that crosses a stage or reaches a file."""

from collections.abc import Sequence

import pyarrow as pa

NO_FINDING = "No Finding"

SPLITS = ("train", "validation", "test")


def report_schema(text_columns: Sequence[str] = ("text",), id_type: pa.DataType | None = None) -> pa.Schema:
    """Reports as a source yields them: ids, then one column per text (see `sources`).

    `subject_id` and `study_id` are int32 in MIMIC-CXR and strings elsewhere; both may be null.
    """
    ids = id_type or pa.int32()
    fields = [
        pa.field("report_id", pa.string(), nullable=False),
        pa.field("subject_id", ids),
        pa.field("study_id", ids),
    ]
    return pa.schema(fields + [pa.field(name, pa.string()) for name in text_columns])


def label_schema(label_names: Sequence[str]) -> pa.Schema:
    """The label file: `report_id`, then one nullable int8 per class in order, then `No Finding`.

    1 present, 0 negated, -1 uncertain, null not mentioned (CONTRACT: label file).
    """
    fields = [pa.field("report_id", pa.string(), nullable=False)]
    return pa.schema(fields + [pa.field(name, pa.int8()) for name in (*label_names, NO_FINDING)])


EVIDENCE_SCHEMA = pa.schema(
    [
        pa.field("report_id", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("status", pa.int8(), nullable=False),
        pa.field("section", pa.string(), nullable=False),
        pa.field("start", pa.int32(), nullable=False),
        pa.field("end", pa.int32(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("phrase", pa.string(), nullable=False),
        pa.field("phrase_source", pa.string(), nullable=False),
        pa.field("cue", pa.string()),
        pa.field("cue_start", pa.int32()),
        pa.field("cue_end", pa.int32()),
        pa.field("rule", pa.string(), nullable=False),
    ]
)
"""The evidence file: one row per mention, also for mentions that lost in aggregation.

With several text columns the offsets count within the column named by `section`.
"""
