"""`croissant.json`: the folder described in the Croissant format (1.0) for dataset search and loaders."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ltml_dataset.export.configs import Config
from ltml_dataset.export.manifest import Manifest, sha256_of
from ltml_dataset.export.parquet import write_text

FORMAT = "http://mlcommons.org/croissant/1.0"

Json = dict[str, Any]

_CONTEXT: Json = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}

_KEYS = {"images": "image_id"}
"""Column that identifies a record, by config."""


def croissant_of(
    manifest: Manifest, configs: Sequence[Config], folder: Path, *, title: str, summary: str, licence: str
) -> Json:
    """The whole description as JSON-LD.

    Every file stands in it with its hash; the records of a config are read from all its files together, and the
    record set `splits` names the splits they come from. It holds no date and no address, because the folder has none
    of its own; the validator advises a date.

    Args:
        manifest: Manifest of the folder.
        configs: Configs of the folder, default first.
        folder: Where the files lie; its path does not enter the result.
        title: Name of the data set, as in its card.
        summary: One sentence, as in its card.
        licence: One sentence, as in its card.
    """
    files = [path for config in configs for split in config.splits.values() for path in split.paths]
    distribution = [_file(path, folder) for path in files]
    distribution += [_file_set(config) for config in configs]
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": FORMAT,
        "name": title,
        "description": summary,
        "license": licence,
        "version": _semantic(manifest.tool.version),
        "citeAs": "Lai et al. (2023), arXiv:2311.17334",
        "distribution": distribution,
        "recordSet": [_split_names(configs), *(_record_set(config) for config in configs)],
    }


def write_croissant(description: Mapping[str, Any], folder: Path) -> None:
    """Write `croissant.json`."""
    write_text(json.dumps(description, indent=2, ensure_ascii=False) + "\n", folder / "croissant.json")


def _semantic(version: str) -> str:
    """MAJOR.MINOR.PATCH, as Croissant wants it; an unreleased source tree has none."""
    found = re.match(r"\d+\.\d+\.\d+", version)
    return found[0] if found else "0.0.0"


def _file(path: Path, folder: Path) -> Json:
    name = path.relative_to(folder).as_posix()
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentSize": f"{path.stat().st_size} B",
        "contentUrl": name,
        "encodingFormat": "application/x-parquet",
        "sha256": sha256_of(path),
    }


def _file_set(config: Config) -> Json:
    return {
        "@type": "cr:FileSet",
        "@id": f"{config.name}-files",
        "name": f"{config.name}-files",
        "description": f"Parquet files of the config {config.name}.",
        "encodingFormat": "application/x-parquet",
        "includes": f"{config.folder}/*.parquet",
    }


def _split_names(configs: Sequence[Config]) -> Json:
    """The splits as Croissant wants them: a record set of their names."""
    names = list(dict.fromkeys(name for config in configs for name in config.splits))
    return {
        "@type": "cr:RecordSet",
        "@id": "splits",
        "name": "splits",
        "description": "Names of the splits.",
        "dataType": "cr:Split",
        "key": {"@id": "splits/name"},
        "field": [{"@type": "cr:Field", "@id": "splits/name", "name": "name", "dataType": "sc:Text"}],
        "data": [{"splits/name": name} for name in names],
    }


def _record_set(config: Config) -> Json:
    fields = [_field(config, index, name, feature) for index, (name, feature) in enumerate(config.features.items())]
    split = {
        "@type": "cr:Field",
        "@id": f"{config.name}/split",
        "name": "split",
        "description": "Split of the record, from the name of its file.",
        "dataType": "sc:Text",
        "references": {"field": {"@id": "splits/name"}},
        "source": {
            "fileSet": {"@id": f"{config.name}-files"},
            "extract": {"fileProperty": "filename"},
            "transform": {"regex": "^(train|validation|test)(?:-.*\\.parquet)?$"},
        },
    }
    key = {"key": {"@id": f"{config.name}/{_KEYS[config.name]}"}} if config.name in _KEYS else {}
    return {
        "@type": "cr:RecordSet",
        "@id": config.name,
        "name": config.name,
        "description": f"Rows of the config {config.name}.",
        **key,
        "field": [split, *fields],
    }


def _field(config: Config, index: int, name: str, feature: Mapping[str, Any]) -> Json:
    is_list = feature["_type"] == "List"
    value = feature["feature"] if is_list else feature
    extract: Json = {"column": name}
    source: Json = {"fileSet": {"@id": f"{config.name}-files"}, "extract": extract}
    if value["_type"] == "Image":
        source["transform"] = {"jsonPath": "bytes"}
    return {
        "@type": "cr:Field",
        "@id": f"{config.name}/{_identifier(name, index)}",
        "name": name,
        "description": _description(name, value),
        "dataType": _data_type(value),
        **({"repeated": True} if is_list else {}),
        "source": source,
    }


def _identifier(name: str, index: int) -> str:
    """Name of a column as part of an id, which must hold no blank; the position keeps two of them apart."""
    return name if re.fullmatch(r"[a-z][a-z_]*", name) else f"column_{index}"


def _description(name: str, value: Mapping[str, Any]) -> str:
    if value["_type"] == "ClassLabel":
        return "Indices of the positive labels: " + ", ".join(f"{i} {label}" for i, label in enumerate(value["names"]))
    return f"Column {name}."


def _data_type(value: Mapping[str, Any]) -> str:
    if value["_type"] == "Image":
        return "sc:ImageObject"
    if value["_type"] == "ClassLabel" or "int" in value["dtype"]:
        return "sc:Integer"
    return "sc:Text"
