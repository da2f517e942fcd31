"""The options of `build`: one frozen model, filled by a YAML recipe and by flags; flags win."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ltml_dataset.errors import UserError

Protocol = Literal["default", "paper"]
SplitUnit = Literal["subject", "study", "image"]
Uncertain = Literal["zero", "one", "ignore"]
Runner = Literal["local", "ray", "spark"]


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class SplitConfig(_Options):
    """How images are dealt to train, validation and test."""

    ratios: str = "7:1:2"
    """Shares of train, validation and test."""
    group_by: SplitUnit | None = None
    """Unit that never crosses splits; by default the subject, in protocol `paper` the image."""
    seed: int = 0
    """Seed of the stratification."""
    ids: tuple[Path, Path] | None = None
    """Two lists, of validation and of test image ids, one id a line, plain or .gz; everything else is train."""

    @field_validator("ratios")
    @classmethod
    def _three_numbers(cls, value: str) -> str:
        _shares_of(value)
        return value

    @property
    def shares(self) -> tuple[float, float, float]:
        """Ratios as fractions that sum to 1."""
        return _shares_of(self.ratios)


class BuildConfig(_Options):
    """Options of `build`."""

    reports: Path | None = None
    """MIMIC-CXR zip or `files/` tree, mimic_cxr_sectioned.csv, Open-I archive or folder, or a table of reports."""
    out: Path | None = None
    """Folder of the data set."""
    metadata: Path | None = None
    """mimic-cxr-2.0.0-metadata.csv.gz: gives image rows; without it there is one row per study."""
    official_labels: Path | None = None
    """mimic-cxr-2.0.0-chexpert.csv.gz: compared with ours, and used where --common-labels says so."""
    official_split: Path | None = None
    """mimic-cxr-2.0.0-split.csv.gz: use this split."""
    gold: Path | None = None
    """mimic-cxr-2.1.0-test-set-labeled.csv: a radiologist's labels, which replace ours where they speak."""
    reviewed: Path | None = None
    """Folder of `review`: what readers decided replaces what was mined, after the split."""
    second_engine: Literal["spacy"] | None = None
    """Label a second time with this engine and store where the two differ, for `review`."""
    protocol: Protocol = "default"
    """default: patients split 7:1:2, all frontal images, all labels mined. paper: what the authors' release did."""
    label_set: str = "ltml39"
    """ltml39, chexpert14, or a YAML file."""
    lexicon: Path | None = None
    """Folder of your own words, laid over those that ship (docs/lexicons.md)."""
    profile: Literal["clinical", "paper", "gamuts"] | None = None
    """Phrases: clinical has the curated ones too, paper only CheXpert and Gamuts, gamuts the Gamuts synonyms as they
    stand; by default as the protocol."""
    sections: Literal["default", "official", "all"] = "default"
    """Sections that count: findings and impression; as the official labels chose; or all."""
    section_overrides: Path | None = None
    """section_parser.py of MIT-LCP/mimic-cxr, or YAML: studies whose text is chosen by hand, for official sections."""
    parents: bool = True
    """A positive label makes its parents positive."""
    common_labels: Literal["mined", "official"] | None = None
    """Where the 13 CheXpert labels come from; by default mined, in protocol `paper` official."""
    uncertain: Uncertain = "zero"
    """Target of an uncertain label: 0, 1, or -1 (left out of training and scoring)."""
    views: Literal["frontal", "paper", "all"] | None = None
    """Images that make rows: frontal ones (default), the paper's views (AP, PA, LAO, recumbent), or all."""
    one_per_study: bool | None = None
    """Only the first listed image of each study; by default so in protocol `paper`."""
    head: Annotated[int, Field(ge=1)] = 10_000
    """Least number of positive images of a head class."""
    medium: Annotated[int, Field(ge=1)] = 1_000
    """Least number of positive images of a medium class."""
    id_column: str | None = None
    """Id column of a table."""
    text_column: str | None = None
    """Text column of a table; several names, separated by commas, are read as sections of that name."""
    split: SplitConfig = SplitConfig()

    workers: Annotated[int, Field(ge=1)] | None = None
    """Processes; 1 is this process alone. By default one per core."""
    runner: Runner = "local"
    """local: processes on this machine. ray, spark: a cluster that sees the same folders."""
    shard: str | None = None
    """i/n: only label the i-th of n parts (1 to n) into the cache of DIR; a call without --shard then builds."""
    dry_run: bool = False
    """Check everything and say what would be done; write nothing."""
    force: bool = False
    """Label again, and write into a folder that holds other files."""
    push_to_hub: str | None = None
    """Upload to this hub data set when done; private."""
    i_may_share: bool = False
    """Allow the upload of what comes from credentialed data."""

    @field_validator("shard")
    @classmethod
    def _part_of_n(cls, value: str | None) -> str | None:
        if value is not None:
            _part_of(value)
        return value

    @property
    def part(self) -> tuple[int, int] | None:
        """Zero-based part and number of parts that `shard` names."""
        return None if self.shard is None else _part_of(self.shard)

    def resolved(self) -> "BuildConfig":
        """The same with every option decided that was left to the protocol."""
        paper = self.protocol == "paper"
        split = self.split.model_copy(update={"group_by": self.split.group_by or ("image" if paper else "subject")})
        return self.model_copy(
            update={
                "profile": self.profile or ("paper" if paper else "clinical"),
                "views": self.views or ("paper" if paper else "frontal"),
                "one_per_study": paper if self.one_per_study is None else self.one_per_study,
                "common_labels": self.common_labels or ("official" if paper else "mined"),
                "split": split,
            }
        )

    def content(self) -> dict[str, Any]:
        """What decides the bytes of the data set, for its manifest: files by name alone, nothing about how it ran."""
        return {name: _plain(value) for name, value in self.model_dump(exclude=_NOT_CONTENT).items()}


_NOT_CONTENT = {"out", "workers", "runner", "shard", "dry_run", "force", "push_to_hub", "i_may_share"}


def read_recipe(path: Path, flags: dict[str, Any]) -> BuildConfig:
    """A YAML recipe with the flags laid over it.

    Raises:
        UserError: The file is missing, is no YAML mapping, or has a key or value that `build` does not know.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        content = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError:
        raise UserError(f"the recipe `{path}` was not found: give --recipe a YAML file of options of build.") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"the recipe `{path}` is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UserError(f"the recipe `{path}` must be a mapping of option names to values, for example `seed: 1`.")
    merged = {str(key).replace("-", "_"): value for key, value in content.items()}
    for name, value in flags.items():
        inner = merged.get(name)
        merged[name] = {**inner, **value} if isinstance(inner, dict) and isinstance(value, dict) else value
    try:
        return BuildConfig.model_validate(merged)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        known = ", ".join(sorted(BuildConfig.model_fields))
        hint = f"build knows {known}" if first["type"] == "extra_forbidden" else first["msg"]
        raise UserError(f"the recipe `{path}` has `{name}`, which build cannot use: {hint}.") from None


def _shares_of(ratios: str) -> tuple[float, float, float]:
    try:
        train, validation, test = (float(part) for part in ratios.split(":"))
    except ValueError:
        raise ValueError(f"{ratios!r} is not three numbers like 7:1:2") from None
    total = train + validation + test
    if min(train, validation, test) < 0 or not 0 < total < float("inf") or train == 0:
        raise ValueError(f"{ratios!r} needs numbers from 0 on and a train share above 0, like 7:1:2")
    return train / total, validation / total, test / total


def _part_of(shard: str) -> tuple[int, int]:
    try:
        part, n_parts = (int(number) for number in shard.split("/"))
    except ValueError:
        raise ValueError(f"{shard!r} is not i/n, like 1/8") from None
    if not 1 <= part <= n_parts:
        raise ValueError(f"{shard!r} needs i from 1 to n")
    return part - 1, n_parts


def _plain(value: object) -> object:
    """A JSON value; paths become names."""
    if isinstance(value, Path):
        return value.name
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(inner) for inner in value]
    return value
