"""The options of `split`."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ltml_dataset.config import SplitConfig, Uncertain


class TableConfig(BaseModel):
    """Options of `split`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    labels: str | None = None
    """Label columns, separated by commas, or one column that lists the labels of a row (A|B). By default the longest
    run of neighbouring columns of 1, 0, -1 and blanks."""
    label_column: str | None = None
    """Column that names one finding per row, where an image has a row for each of its findings (VinBigData, boxes, RLE
    masks): the rows of an image become one. By default class_name, finding_label, ... where image ids repeat."""
    group: str | None = None
    """Column of what must not cross splits. By default the patient's: subject_id, patient, PatientID, ..."""
    id_column: str | None = None
    """Column of image ids. By default image_id, ImageID, Image Index, Path, ..., else studies or row numbers."""
    image_column: str | None = None
    """Column of encoded images in a Parquet table. By default the one that holds images, if any does."""
    uncertain: Uncertain = "zero"
    """Target of a label that is -1: 0, 1, or -1 (left out of training and scoring). Blanks are always 0."""
    head: Annotated[int, Field(ge=1)] = 10_000
    """Least number of positive images of a head class."""
    medium: Annotated[int, Field(ge=1)] = 1_000
    """Least number of positive images of a medium class."""
    split: SplitConfig = SplitConfig()

    force: bool = False
    """Write into a folder that holds other files."""

    @property
    def label_columns(self) -> list[str] | None:
        """Names in `labels`."""
        return [name.strip() for name in self.labels.split(",") if name.strip()] if self.labels else None
