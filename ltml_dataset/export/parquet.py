"""Parquet files that load everywhere: checked schema, label names inside, same bytes every time."""

import errno
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ltml_dataset.errors import UserError
from ltml_dataset.schema import SPLITS

ROWS_PER_GROUP = 32_768
"""Rows of a Parquet row group; a reader of one row decodes one group."""

BYTES_PER_SHARD = 500_000_000
"""Size in memory at which a split goes on in the next file; what the hub advises."""


def with_hub_features(schema: pa.Schema, label_names: Sequence[str] = ()) -> pa.Schema:
    """The schema as written: with the `huggingface` metadata from which `datasets` learns label names without a card.

    A column `labels` becomes a list of ClassLabel over `label_names`, a struct column `image` an Image. All fields
    become nullable, because `datasets` ignores the metadata of those that are not; `check_rows` sees to the nulls.
    """
    features = {field.name: _feature(field, label_names) for field in schema}
    nullable = pa.schema([field.with_nullable(True) for field in schema])
    return nullable.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def label_names_of(schema: pa.Schema) -> tuple[str, ...]:
    """Class names in order, as the `huggingface` metadata of a written file gives them.

    Raises:
        UserError: The schema carries none.
    """
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return tuple(features["labels"]["feature"]["names"])
    except KeyError:
        raise UserError("the Parquet schema carries no label names: build the data set again") from None


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write one table under a temporary name and rename it, so that `path` is whole or absent.

    Raises:
        UserError: The disk is full, or the folder cannot be written.
    """
    with replacing(path) as unfinished:
        pq.write_table(table, unfinished, row_group_size=ROWS_PER_GROUP, compression="zstd", write_page_index=True)


def write_text(text: str, path: Path) -> None:
    """Write one text file (UTF-8, `\n`) under a temporary name and rename it.

    Raises:
        UserError: The disk is full, or the folder cannot be written.
    """
    with replacing(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8", newline="\n")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a hidden path beside `path`; when the block ends well, what was written there becomes `path`.

    Several processes may do so at once: the last one wins, and `path` is whole at any time.

    Raises:
        UserError: The disk is full, or the folder cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.unfinished")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield unfinished
            sync(unfinished)
            unfinished.replace(path)
            sync(path.parent)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise


def sync(path: Path) -> None:
    """Wait until a file or folder is on the disk, so that no crash of the machine leaves a name without its content."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):  # some file systems cannot
            raise
    finally:
        os.close(handle)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals while `path` is written into one sentence for the user."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise UserError(
            f"`{path}` could not be written ({reason}): give an --out on a disk with room that you may write to, "
            "or free some space, and repeat the call; it goes on where it stopped."
        ) from error


class SplitWriter:
    """Streams the rows of one config into `FOLDER/SPLIT-00000-of-0000N.parquet`.

    Rows keep the order of the calls. Row groups and shards depend on the rows alone, not on how they were cut into
    calls. Files lie under hidden names until `close`, because N is known only then. A split that got no
    row has no file: `datasets` refuses to load an empty one.
    """

    def __init__(
        self,
        folder: Path,
        schema: pa.Schema,
        label_names: Sequence[str] = (),
        *,
        bytes_per_shard: int = BYTES_PER_SHARD,
        rows_per_group: int | None = None,
    ) -> None:
        """Prepare to write.

        Args:
            folder: Folder of the config, made if absent.
            schema: Schema of every row, one of `ltml_dataset.schema`.
            label_names: Class names in order, for a schema with a column `labels`.
            bytes_per_shard: Bytes in memory after which a split goes on in the next file.
            rows_per_group: Rows of a row group, `ROWS_PER_GROUP` by default; some hundred where rows carry images.
        """
        self._folder = folder
        self._declared = schema
        self._schema = with_hub_features(schema, label_names)
        self._bytes_per_shard = bytes_per_shard
        self._rows_per_group = rows_per_group or ROWS_PER_GROUP
        self._splits = {name: _OpenSplit() for name in SPLITS}
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)

    def write(self, split: str, rows: pa.Table) -> None:
        """Append rows to one split.

        Raises:
            ValueError: The rows do not have the schema, or hold a null where none may be.
            UserError: The operating system refuses.
        """
        check_rows(rows, self._declared)
        state = self._splits[split]
        state.waiting.append(rows.cast(self._schema))
        state.n_waiting += rows.num_rows
        if state.n_waiting >= self._rows_per_group:
            self._flush(split, state, everything=False)

    def close(self) -> dict[Path, int]:
        """Finish all files and give them their names.

        Returns:
            Rows of each file, by path, in the order of splits and shards.
        """
        rows_by_path: dict[Path, int] = {}
        for split, state in self._splits.items():
            self._flush(split, state, everything=True)
            with writing(self._folder):
                if state.writer is not None:
                    state.writer.close()
                for index, n_rows in enumerate(state.n_rows):
                    path = self._folder / f"{split}-{index:05d}-of-{len(state.n_rows):05d}.parquet"
                    self._unfinished(split, index).replace(path)
                    rows_by_path[path] = n_rows
        return rows_by_path

    def _unfinished(self, split: str, index: int) -> Path:
        return self._folder / f".{split}-{index:05d}.unfinished"

    def _flush(self, split: str, state: "_OpenSplit", *, everything: bool) -> None:
        """Write whole row groups out of what waits; with `everything` also the rest."""
        waiting = pa.concat_tables(state.waiting) if state.waiting else self._schema.empty_table()
        n_written = 0
        with writing(self._folder):
            while waiting.num_rows - n_written >= self._rows_per_group or (everything and n_written < waiting.num_rows):
                group = waiting.slice(n_written, self._rows_per_group).combine_chunks()
                self._writer(split, state).write_table(group)
                n_written += group.num_rows
                state.n_rows[-1] += group.num_rows
                state.n_bytes += group.nbytes
        rest = waiting.slice(n_written)
        state.waiting, state.n_waiting = ([rest] if rest.num_rows else []), rest.num_rows

    def _writer(self, split: str, state: "_OpenSplit") -> pq.ParquetWriter:
        """The open file of a split, the next one when the last is full."""
        if state.writer is None or state.n_bytes >= self._bytes_per_shard:
            if state.writer is not None:
                state.writer.close()
            path = self._unfinished(split, len(state.n_rows))
            state.writer = pq.ParquetWriter(path, self._schema, compression="zstd", write_page_index=True)
            state.n_rows.append(0)
            state.n_bytes = 0
        return state.writer


class _OpenSplit:
    """What a `SplitWriter` knows of one split."""

    def __init__(self) -> None:
        self.writer: pq.ParquetWriter | None = None
        self.n_rows: list[int] = []
        self.n_bytes = 0
        self.waiting: list[pa.Table] = []
        self.n_waiting = 0


def check_rows(rows: pa.Table, schema: pa.Schema) -> None:
    """Refuse rows that are not what the schema promises.

    Raises:
        ValueError: A column is missing, surplus, out of order or of another type, or holds a null where none may be.
    """
    if rows.schema.names != schema.names:
        raise ValueError(f"columns {rows.schema.names} are not the schema's {schema.names}")
    for field, column in zip(schema, rows.columns, strict=True):
        if column.type != field.type:
            raise ValueError(f"column {field.name!r} has type {column.type}, the schema says {field.type}")
        if not field.nullable and column.null_count:
            raise ValueError(f"column {field.name!r} holds {column.null_count} nulls, the schema allows none")


def _feature(field: pa.Field, label_names: Sequence[str]) -> dict[str, object]:
    """One column in the spelling of `datasets.Features.to_dict`."""
    if field.name == "labels":
        return {"feature": {"names": list(label_names), "_type": "ClassLabel"}, "_type": "List"}
    if field.name == "image":
        return {"_type": "Image"}
    if pa.types.is_fixed_size_list(field.type):
        value = {"dtype": str(field.type.value_type), "_type": "Value"}
        return {"feature": value, "length": field.type.list_size, "_type": "List"}
    return {"dtype": str(field.type), "_type": "Value"}
