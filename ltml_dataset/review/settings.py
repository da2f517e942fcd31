"""What a reader has set for themselves, kept in the review folder: the same in every browser and on every port."""

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ltml_dataset.errors import UserError
from ltml_dataset.export.parquet import write_text

FILE_NAME = "settings.json"


class Settings(BaseModel):
    """Settings of one reader."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    theme: Literal["system", "light", "dark"] = "system"
    """Colours."""
    size: Literal["small", "normal", "large"] = "normal"
    """Size of the report's letters."""
    unfold: bool = False
    """Whether labels that are not mentioned start unfolded."""
    invert: bool = False
    """Whether images start inverted."""


def read_settings(folder: Path, reader: str) -> Settings:
    """A reader's settings; the defaults where there are none, or none that can be read."""
    try:
        return Settings.model_validate(_read(folder).get(reader, {}))
    except ValidationError:
        return Settings()


def save_settings(folder: Path, reader: str, values: object) -> Settings:
    """Keep a reader's settings.

    Raises:
        UserError: `values` are no settings.
    """
    try:
        settings = Settings.model_validate(values)
    except ValidationError:
        raise UserError("those are no settings: reload the page.") from None
    folder.mkdir(parents=True, exist_ok=True)
    everybody = {**_read(folder), reader: settings.model_dump()}
    write_text(json.dumps(everybody, indent=1, sort_keys=True) + "\n", folder / FILE_NAME)
    return settings


def _read(folder: Path) -> dict[str, object]:
    try:
        values = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
