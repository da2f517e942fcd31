"""Column names and Arrow types of every table that crosses a stage or reaches a file."""

from collections.abc import Sequence

import pyarrow as pa

NO_FINDING = "No Finding"

NOT_MENTIONED = -2
"""Code of a null state inside int8 arrays; files hold null."""

HAS_TEXT = "has_text"
"""Column of a shard: whether any text of the report was read. Without it nothing is known, unlike "all absent"."""

SPLITS = ("train", "validation", "test")

LABEL_SOURCES = ("machine", "official", "gold", "reader", "readers", "adjudicated", "report")
"""Who decided a label: our labeler, the official file, the radiologist's file, one reader of a review who looked at it,
readers who agree, an adjudicator; `report`: nobody looked at it by itself, but a reader confirmed the whole report.
Persons come last (`FIRST_PERSON`)."""

FIRST_PERSON = LABEL_SOURCES.index("gold")
"""Sources from here on are persons: their labels are verified."""


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
        pa.field("status", pa.int8()),
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


def image_schema(
    label_names: Sequence[str],
    id_type: pa.DataType | None = None,
    *,
    with_image: bool = False,
    with_verified: bool = False,
    with_sources: bool = False,
) -> pa.Schema:
    """Config "images": one row per image, or per study where no metadata was given.

    `labels` holds the indices of the positive classes; `target` is 1, 0, or -1 (leave out) for each of the C classes
    in order. `image` carries encoded bytes where the source table did; `verified` (1 yes, 0 no) says which of the C
    labels of this row a person decided, and `label_source` who decided each (`LABEL_SOURCES`).
    """
    n_labels = len(label_names)
    ids = id_type or pa.int32()
    fields = [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("subject_id", ids),
        pa.field("study_id", ids),
        pa.field("view", pa.string()),
        pa.field("image_path", pa.string()),
        pa.field("labels", pa.list_(pa.int64()), nullable=False),
        pa.field("target", pa.list_(pa.int8(), n_labels), nullable=False),
    ]
    if with_image:
        fields.append(pa.field("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])))
    if with_verified:
        fields.append(pa.field("verified", pa.list_(pa.int8(), n_labels), nullable=False))
    if with_sources:
        fields.append(pa.field("label_source", pa.list_(pa.string(), n_labels), nullable=False))
    return pa.schema(fields)


def study_schema(label_names: Sequence[str], id_type: pa.DataType | None = None) -> pa.Schema:
    """Config "studies": ids, then one nullable int8 per class and `No Finding`, as in MIMIC's own label files."""
    ids = id_type or pa.int32()
    fields = [pa.field("subject_id", ids), pa.field("study_id", ids)]
    return pa.schema(fields + [pa.field(name, pa.int8()) for name in (*label_names, NO_FINDING)])


def disagreement_schema(id_type: pa.DataType | None = None) -> pa.Schema:
    """Config "disagreements": labels on which a second engine differs; null states are not mentioned."""
    ids = id_type or pa.int32()
    fields = [pa.field("subject_id", ids), pa.field("study_id", ids), pa.field("label", pa.string(), nullable=False)]
    return pa.schema([*fields, pa.field("status", pa.int8()), pa.field("second_status", pa.int8())])


def mention_schema(id_type: pa.DataType | None = None) -> pa.Schema:
    """Config "mentions": the evidence by study, offsets only, never text."""
    ids = id_type or pa.int32()
    fields = [pa.field("subject_id", ids), pa.field("study_id", ids)]
    return pa.schema(fields + [field for field in EVIDENCE_SCHEMA if field.name not in ("report_id", "text")])
