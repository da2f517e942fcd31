"""Per-study exceptions of the official section rules.

The authors of MIMIC-CXR named, for a few dozen badly formatted reports, the section or the character range
that holds the findings. The table consists of real study numbers, so it is not part of this project: point
`--section-overrides` to `txt/section_parser.py` of MIT-LCP/mimic-cxr, or to a YAML file of the same content::

    sections: {s12345678: recommendations}
    ranges: {s23456789: [59, 399], s34567890: [0, 0]}
"""

import ast
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ltml_dataset.errors import UserError

_UPSTREAM_NAMES = {"custom_section_names": "sections", "custom_indices": "ranges"}


@dataclass(frozen=True)
class Overrides:
    """Studies whose text is chosen by hand."""

    sections: dict[str, str] = field(default_factory=dict)
    """Study name (`s12345678`) to the section that is read."""
    ranges: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Study name to code-point offsets; an empty range means that nothing is read."""

    def digest(self) -> str:
        """SHA-256 of the content."""
        content = json.dumps([sorted(self.sections.items()), sorted(self.ranges.items())])
        return hashlib.sha256(content.encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.sections) + len(self.ranges)

    def __contains__(self, report_id: object) -> bool:
        return report_id in self.sections or report_id in self.ranges


def load_overrides(path: Path) -> Overrides:
    """Read overrides from upstream's `section_parser.py` or a YAML file. Python files are parsed, never run.

    Raises:
        UserError: The file cannot be read or holds no such tables.
    """
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"`{path}` could not be read as text ({error}); give MIT-LCP/mimic-cxr txt/section_parser.py."
        ) from error
    tables = _from_python(path, content) if path.suffix == ".py" else _from_yaml(path, content)
    return _checked(path, tables)


def _from_python(path: Path, content: str) -> dict[str, object]:
    try:
        tree = ast.parse(content)
    except SyntaxError as error:
        raise UserError(
            f"`{path}` line {error.lineno} is not Python; give MIT-LCP/mimic-cxr txt/section_parser.py."
        ) from error
    tables: dict[str, object] = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            if isinstance(target, ast.Name) and target.id in _UPSTREAM_NAMES:
                try:
                    tables[_UPSTREAM_NAMES[target.id]] = ast.literal_eval(node.value)
                except ValueError as error:
                    raise UserError(
                        f"`{path}` line {node.lineno}: `{target.id}` is not a plain table; "
                        "give MIT-LCP/mimic-cxr txt/section_parser.py unchanged."
                    ) from error
    return tables


def _from_yaml(path: Path, content: str) -> dict[str, object]:
    try:
        tables = YAML(typ="safe", pure=True).load(content)
    except YAMLError as error:
        raise UserError(f"`{path}` is neither a Python file nor YAML: {' '.join(str(error).split())}") from error
    return dict(tables) if isinstance(tables, dict) else {}


def _checked(path: Path, tables: dict[str, object]) -> Overrides:
    sections, ranges = tables.get("sections") or {}, tables.get("ranges") or {}
    if not tables or set(tables) - {"sections", "ranges"}:
        raise UserError(
            f"`{path}` holds no section overrides: expected the tables `sections` and `ranges`, "
            "or MIT-LCP/mimic-cxr txt/section_parser.py."
        )
    if not isinstance(sections, dict) or not all(isinstance(v, str) for v in sections.values()):
        raise UserError(f"`{path}`: `sections` must map study names to section names.")
    if not isinstance(ranges, dict) or not all(_is_range(v) for v in ranges.values()):
        raise UserError(f"`{path}`: `ranges` must map study names to two offsets, [start, end].")
    return Overrides(
        {str(study): name for study, name in sections.items()},
        {str(study): (span[0], span[1]) for study, span in ranges.items()},
    )


def _is_range(value: object) -> bool:
    return (
        isinstance(value, (list, tuple))
        and len(value) == 2
        and all(isinstance(place, int) and place >= 0 for place in value)
        and value[0] <= value[1]
    )
