"""The files of a run folder: written under a temporary name and renamed, read back with a clear error."""

import json
import math
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ltml_benchmark import __version__
from ltml_benchmark.errors import UserError

PRIOR_KEY = b"ltml_benchmark.prior_thresholds"
"""Key of the schema of a predictions file: class name to the threshold of the prior correction, as JSON."""
LEFT_OUT_KEY = b"ltml_benchmark.left_out"
"""Key of the schema of a predictions file: split name to the ids of images that the run left out, as JSON."""


def write_text(path: Path, text: str) -> None:
    """Write a text file so that it is either whole or absent."""
    partial = path.with_name(path.name + ".part")
    partial.write_text(text, "utf-8")
    partial.replace(path)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON with NaN as null, keys in their own order."""
    write_text(path, json.dumps(without_nan(content), indent=2) + "\n")


def without_nan(value: Any) -> Any:
    """The same structure with NaN and infinities as None and numpy numbers as Python's."""
    if isinstance(value, Mapping):
        return {str(key): without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [without_nan(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: Path, meaning: str) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        path: File.
        meaning: What the file is, for the error.

    Raises:
        UserError: Missing or broken file.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path} was not found; {meaning}.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); {meaning}.") from error
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}); {meaning}.") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no JSON object; {meaning}.")
    return content


def write_predictions(
    path: Path,
    labels: Sequence[str],
    parts: Sequence[tuple[str, pa.ChunkedArray, NDArray[np.float32]]],
    prior: NDArray[np.float64],
    left_out: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Write `image_id`, `split` and one float32 score column per class.

    Args:
        path: Parquet file.
        labels: Class names.
        parts: Split name, its image ids and its (N, C) scores in [0, 1].
        prior: (C,) thresholds of the prior correction, kept in the schema for whoever scores the file.
        left_out: Split name to images without pixels (`--data.missing-images drop`), kept in the schema too.
    """
    tables = []
    for split, image_id, scores in parts:
        columns = {"image_id": image_id, "split": pa.array([split] * len(scores)).dictionary_encode()}
        columns |= {name: pa.array(np.ascontiguousarray(scores[:, place])) for place, name in enumerate(labels)}
        tables.append(pa.table(columns))
    partial = path.with_name(path.name + ".part")
    table = pa.concat_tables(tables, promote_options="default").unify_dictionaries()
    about = {PRIOR_KEY: json.dumps(dict(zip(labels, prior.tolist(), strict=True)))}
    if left_out:
        about[LEFT_OUT_KEY] = json.dumps({split: list(ids) for split, ids in left_out.items()})
    pq.write_table(table.replace_schema_metadata(about), partial, compression="zstd")
    partial.replace(path)


def code_version() -> dict[str, str]:
    """Version of the package and, in a checkout, the commit."""
    here = Path(__file__).parent
    found = {"version": __version__}
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, timeout=5, check=True
        ).stdout.strip()
        tracked = subprocess.run(
            ["git", "ls-files", "--error-unmatch", Path(__file__).name],
            cwd=here, capture_output=True, text=True, timeout=5, check=False,
        )  # fmt: skip
        if tracked.returncode == 0:  # not some other repository around an installed package
            found["commit"] = commit
    except (OSError, subprocess.SubprocessError):
        pass
    return found
