"""The YAML head of a card, generated from the Parquet schemas so that the two cannot disagree.

Same shape as `datasets` writes when it uploads, without sizes. Every string is quoted: `No` and `off` are labels.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ltml_dataset.export.configs import Config

Yaml = Mapping[str, Any] | Sequence[Any] | str | int | bool


def dataset_yaml(configs: Sequence[Config], about: Mapping[str, Yaml]) -> str:
    """Everything between the two lines of dashes.

    Args:
        configs: Configs of the folder, default first.
        about: Further keys, written first (licence, tags, ...).
    """
    content = {
        **about,
        "dataset_info": [_info(config) for config in configs],
        "configs": [_files(config, is_default=config is configs[0]) for config in configs],
    }
    return "\n".join(_lines(content)) + "\n"


def _info(config: Config) -> dict[str, Yaml]:
    """Name and features; no sizes, which `load_dataset(..., filters=...)` would hold the filtered rows against."""
    return {
        "config_name": config.name,
        "features": [{"name": name, **_feature(feature)} for name, feature in config.features.items()],
    }


def _files(config: Config, *, is_default: bool) -> dict[str, Yaml]:
    files = [{"split": name, "path": f"{config.folder}/{name}-*"} for name in config.splits]
    return {"config_name": config.name, "data_files": files, **({"default": True} if is_default else {})}


def _feature(feature: Mapping[str, Any]) -> dict[str, Yaml]:
    """One feature: `datasets.Features.to_dict` spelling to card spelling."""
    kind = feature["_type"]
    if kind == "Value":
        return {"dtype": feature["dtype"]}
    if kind == "Image":
        return {"dtype": "image"}
    if kind == "ClassLabel":
        return {"dtype": {"class_label": {"names": {str(i): name for i, name in enumerate(feature["names"])}}}}
    if kind == "List":
        inner = _feature(feature["feature"])["dtype"]
        return {"list": inner, **({"length": feature["length"]} if feature.get("length", -1) > 0 else {})}
    raise ValueError(f"no card spelling for feature type {kind!r}")


def _lines(value: Yaml, indent: str = "") -> list[str]:
    """Block YAML; strings as JSON, which is YAML."""
    if isinstance(value, Mapping):
        return [line for key, inner in value.items() for line in _entry(f"{indent}{_key(key)}:", inner, indent + "  ")]
    if isinstance(value, Sequence) and not isinstance(value, str):
        lines = []
        for item in value:
            block = _lines(item, indent + "  ")
            lines += [f"{indent}- {block[0].lstrip()}", *block[1:]]
        return lines
    return [indent + json.dumps(value, ensure_ascii=False)]


def _entry(head: str, value: Yaml, indent: str) -> list[str]:
    if isinstance(value, Mapping | Sequence) and not isinstance(value, str):
        return (
            [head, *_lines(value, indent)]
            if value
            else [f"{head} []" if isinstance(value, Sequence) else f"{head} {{}}"]
        )
    return [f"{head} {json.dumps(value, ensure_ascii=False)}"]


def _key(key: str) -> str:
    return key if key.isidentifier() else json.dumps(key, ensure_ascii=False)
