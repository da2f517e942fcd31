"""Opening a build: every input found, checked and hashed before the long work starts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ltml_dataset.building.shards import REPORTS_PER_SHARD, Shards, open_shards
from ltml_dataset.building.verified import decisions_file
from ltml_dataset.config import BuildConfig
from ltml_dataset.errors import UserError
from ltml_dataset.export.manifest import MANIFEST_NAME, InputFile, LexiconStamp, read_manifest
from ltml_dataset.export.parquet import writing
from ltml_dataset.export.staging import check_out
from ltml_dataset.labeling.engines import Engine
from ltml_dataset.labeling.labeler import Labeler
from ltml_dataset.sources import Partition, Source, open_source
from ltml_dataset.sources.hashing import hash_input
from ltml_dataset.sources.mimic_tables import FILES, find_file
from ltml_dataset.studies import Studies, collect_studies
from ltml_dataset.text.section_overrides import load_overrides

_ROLES = {
    "metadata": "metadata",
    "official_labels": "official labels",
    "official_split": "official split",
    "gold": "gold labels",
}


@dataclass(frozen=True)
class Job:
    """A build whose inputs have been found."""

    config: BuildConfig
    out: Path
    source: Source
    labeler: Labeler
    partitions: list[Partition]
    inputs: list[InputFile]
    files: dict[str, Path]
    """Tables of MIMIC-CXR-JPG that were given, by option name."""
    shards: Shards
    lexicon: LexiconStamp
    second: "Job | None" = None
    """The same job with the second engine."""

    @property
    def replaces(self) -> list[str]:
        """In what a finished data set in the output folder differs from the one to come; empty if it does not."""
        if not (self.out / MANIFEST_NAME).is_file():
            return []
        try:
            old = read_manifest(self.out)
        except UserError:  # damaged, or of another version
            return ["its manifest cannot be read"]
        changes = [
            f"{name}: {old.config.get(name)!r} -> {value!r}"
            for name, value in self.config.content().items()
            if old.config.get(name) != value
        ]
        if [(each.role, each.sha256) for each in old.inputs] != [(each.role, each.sha256) for each in self.inputs]:
            changes.append("other input files")
        if old.lexicon is not None and old.lexicon.fingerprint != self.lexicon.fingerprint:
            changes.append("another lexicon or other rules")
        return changes

    @property
    def todo(self) -> list[Partition]:
        """Partitions of this call's part that have no shard yet; all of the part where labeling again is forced."""
        part, n_parts = self.config.part or (0, 1)
        mine = self.partitions[part::n_parts]
        return mine if self.config.force else [each for each in mine if self.shards.done(each.index) is None]


def open_job(config: BuildConfig) -> Job:
    """Find, check and hash everything a build reads.

    Raises:
        UserError: An input is missing or not what it should be, or the output folder cannot be used.
    """
    config = config.resolved()
    if config.reports is None or config.out is None:
        missing = "REPORTS" if config.reports is None else "--out"
        raise UserError(f"build needs {missing}: give it on the command line or in the recipe.")
    if config.medium > config.head:
        raise UserError(f"--medium {config.medium} is above --head {config.head}: give the larger number to --head.")
    names = [name.strip() for name in config.text_column.split(",")] if config.text_column else None
    source = open_source(config.reports, id_column=config.id_column, text_columns=names)
    files = find_tables(config)
    given = [config.section_overrides, config.lexicon, *(config.split.ids or ()), *files.values()]
    check_out(config.out, force=config.force, inputs=[*source.inputs, *(path for path in given if path is not None)])
    check_sharing(config, source)
    labeler = make_labeler(config, source, "rules")
    partitions = source.partitions(REPORTS_PER_SHARD)
    reports = describe_inputs("reports", source.inputs)
    inputs = reports + [file for option, path in files.items() for file in describe_inputs(option, [path])]
    if config.split.ids is not None:
        inputs += describe_inputs("split.ids", config.split.ids)
    if config.section_overrides is not None:
        inputs += describe_inputs("section_overrides", [config.section_overrides])
    if config.reviewed is not None:
        inputs += describe_inputs("reviewed", [decisions_file(config.reviewed)])
    columns: dict[str, object] = {"id": config.id_column, "text": [config.text_column, *source.text_columns]}
    shards = open_shards(config.out, reports, labeler, columns)
    if not config.dry_run:
        with writing(config.out):
            shards.folder.mkdir(parents=True, exist_ok=True)
    stamp = LexiconStamp(
        version=labeler.lexicon_version,
        fingerprint=labeler.fingerprint,
        label_set=Path(config.label_set).name,
        profile=config.profile or "clinical",
        folder=None if config.lexicon is None else config.lexicon.resolve().name,
    )
    job = Job(config, config.out, source, labeler, partitions, inputs, files, shards, stamp)
    if config.second_engine is None:
        return job
    other = make_labeler(config, source, config.second_engine)
    return replace(job, second=replace(job, labeler=other, shards=open_shards(config.out, reports, other, columns)))


def read_studies(job: Job) -> Studies:
    """Labels of all reports as the job's engine gave them, from its shards."""
    tables = [job.shards.labels(partition.index) for partition in job.partitions]
    return collect_studies(tables, job.labeler.label_names)


def make_labeler(config: BuildConfig, source: Source, engine: Engine) -> Labeler:
    """The labeler of a build, with either engine."""
    return Labeler(
        label_set=config.label_set,
        profile=config.profile or "clinical",
        sections=config.sections,
        engine=engine,
        parents=config.parents,
        text_columns=source.text_columns,
        section_overrides=load_overrides(config.section_overrides) if config.section_overrides else None,
        lexicon_folder=config.lexicon,
    )


def find_tables(config: BuildConfig) -> dict[str, Path]:
    """The tables of MIMIC-CXR-JPG that a build was given, by option name; each may be a folder that holds it.

    Raises:
        UserError: One is missing, or the protocol needs one that was not given.
    """
    if config.common_labels == "official" and config.official_labels is None:
        file = FILES["official labels"]
        raise UserError(
            f"the 13 common labels are to come from `{file.name}` ({file.origin}): give it with {file.flag}, or say "
            "--common-labels mined."
        )
    return {option: find_file(role, path) for option, role in _ROLES.items() if (path := getattr(config, option))}


def describe_inputs(role: str, paths: Sequence[Path]) -> list[InputFile]:
    """Name, size and hash of inputs; a folder stands for the reports in it.

    Raises:
        UserError: One is missing.
    """
    inputs = []
    for path in paths:
        if not path.exists():
            raise UserError(f"`{path}`, given as {role.replace('_', '-')}, was not found: give the path of the file.")
        n_bytes, sha256 = hash_input(path)
        inputs.append(InputFile(role=role, name=path.resolve().name, bytes=n_bytes, sha256=sha256))
    return inputs


def check_sharing(config: BuildConfig, source: Source) -> None:
    """Refuse an upload of credentialed data before any work is done.

    Raises:
        UserError: `--push-to-hub` with MIMIC-CXR reports and without `--i-may-share`.
    """
    if config.push_to_hub and source.credentialed and not config.i_may_share:
        raise UserError(
            f"`{config.reports}` is MIMIC-CXR, whose data use agreement forbids sharing it or what is derived from it: "
            "leave out --push-to-hub, or add --i-may-share if you have the right to."
        )


def replaced_sentence(out: Path, changes: Sequence[str]) -> str:
    """What a build says of the finished data set that it replaces."""
    return f"The finished data set in `{out}` is replaced ({'; '.join(changes)})."
