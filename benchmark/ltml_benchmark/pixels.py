"""Where pixels come from: files under a root, the `image` column, or a cache; all give the same arrays."""

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ltml_benchmark.cache import CACHE_FILE, ImageCache
from ltml_benchmark.data import Folder, Split
from ltml_benchmark.decode import decode_gray
from ltml_benchmark.errors import UserError

IN_MEMORY_LIMIT = 4 * 2**30
"""Bytes of encoded images that are held in memory; beyond it a cache is asked for."""


class Pixels(Protocol):
    """Decoded images of one split."""

    @property
    def size(self) -> int:
        """Side in pixels."""
        ...

    def read(self, rows: NDArray[np.int64], pool: ThreadPoolExecutor) -> NDArray[np.uint8]:
        """Images of these rows: (B, size, size) uint8."""
        ...

    def stored(self, row: int) -> bytes:
        """What is stored for one row: the encoded image, or its decoded bytes in a cache."""
        ...


class EncodedImages:
    """Images decoded on demand from files or bytes."""

    def __init__(self, sources: Sequence[Path | bytes] | pa.ChunkedArray, names: pa.ChunkedArray, size: int) -> None:
        self.sources = sources
        self.names = names
        self.size = size

    def read(self, rows: NDArray[np.int64], pool: ThreadPoolExecutor) -> NDArray[np.uint8]:
        """Decode in the pool's threads (PIL releases the interpreter while it decodes)."""
        out = np.empty((len(rows), self.size, self.size), dtype=np.uint8)

        def one(place: int) -> None:
            out[place] = decode_gray(self.source(int(rows[place])), self.size, shown=self.shown(int(rows[place])))

        list(pool.map(one, range(len(rows))))
        return out

    def stored(self, row: int) -> bytes:
        """The encoded bytes of one row."""
        source = self.source(row)
        return source.read_bytes() if isinstance(source, Path) else source

    def source(self, row: int) -> Path | bytes:
        """Path or encoded bytes of one row."""
        value = self.sources[row]
        return value.as_py() if isinstance(value, pa.Scalar) else value

    def shown(self, row: int) -> str:
        """The path, or the image id of bytes, for messages."""
        source = self.source(row)
        return str(source) if isinstance(source, Path) else str(self.names[row].as_py())


class FilePaths(Sequence[Path]):
    """Paths of a split under an image root, made on demand."""

    def __init__(self, root: Path, relative: pa.ChunkedArray) -> None:
        self.root = root
        self.relative = relative
        head, _, rest = str(relative[0].as_py()).partition("/")
        # The folder given may be the one that paths begin with (`files/`), whatever it is called here.
        self.strip = f"{head}/" if rest and not (root / head).is_dir() else ""

    def __len__(self) -> int:
        return len(self.relative)

    def __getitem__(self, row: int) -> Path:  # type: ignore[override]
        return self.root / str(self.relative[row].as_py()).removeprefix(self.strip)


class ImageColumn(Sequence[bytes]):
    """The `image` column of Parquet files read in order, one row group in memory at a time."""

    def __init__(self, shards: Sequence[Path]) -> None:
        self._files = [pq.ParquetFile(shard) for shard in shards]
        self._groups = [(file, group) for file in self._files for group in range(file.num_row_groups)]
        rows = [file.metadata.row_group(group).num_rows for file, group in self._groups]
        self._starts = np.concatenate([[0], np.cumsum(rows)])
        self._held = -1
        self._column = pa.chunked_array([], pa.binary())

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, row: int) -> bytes:  # type: ignore[override]
        group = int(np.searchsorted(self._starts, row, side="right")) - 1
        if group != self._held:
            file, place = self._groups[group]
            self._column = encoded_bytes(file.read_row_group(place, columns=["image"])["image"])
            self._held = group
        value: bytes | None = self._column[row - int(self._starts[group])].as_py()
        return value or b""


def sources_of(folder: Folder, images: Path | None) -> tuple[list[str], Sequence[Path | bytes]]:
    """Every image of a data set for `cache`: ids, and where each is found.

    Args:
        folder: Data set.
        images: Folder that holds `files/`, or None for the `image` column.

    Raises:
        UserError: The data set refers to no images.
    """
    ids = [str(name) for split in folder.splits.values() for name in split.image_id.to_pylist()]
    shards = [shard for split in folder.splits.values() for shard in split.shards]
    if images is None:
        if "image" not in pq.read_schema(shards[0]).names:
            raise UserError(f"{folder.path} holds no pixels; give --images the folder that holds `files/`.")
        return ids, ImageColumn(shards)
    if not images.is_dir():
        raise UserError(f"The image folder {images} was not found; give --images the folder that holds `files/`.")
    relative = [split.image_path for split in folder.splits.values() if split.image_path is not None]
    if len(relative) < len(folder.splits):
        raise UserError(f"{folder.path} has rows without image_path; build it with --metadata, or leave --images away.")
    return ids, FilePaths(images, pa.chunked_array([chunk for column in relative for chunk in column.chunks]))


FINGERPRINTED = 8
"""Images of each split whose stored bytes tell one image source from another."""


def pixels_facts(opened: Mapping[str, tuple[Pixels, Split]], images: Path | None) -> dict[str, Any]:
    """Where pixels came from, for `manifest.json`: kind of source, path, size, fingerprint, images found by split.

    Args:
        opened: Split name to its pixels and the rows that have some.
        images: Image root or cache; None for the `image` column.
    """
    digest = hashlib.sha256()
    for pixels, split in opened.values():
        for row in np.linspace(0, len(split) - 1, min(FINGERPRINTED, len(split)), dtype=np.int64):
            digest.update(str(split.image_id[int(row)].as_py()).encode() + pixels.stored(int(row)))
    is_cache = images is not None and (images / CACHE_FILE).is_file()
    return {
        "source": "column" if images is None else "cache" if is_cache else "files",
        "path": "" if images is None else str(images.resolve()),
        "size": next(iter(opened.values()))[0].size,
        "fingerprint": digest.hexdigest(),
        "images": {name: len(split) for name, (_, split) in opened.items()},
    }


def encoded_bytes(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The bytes in a column of bytes or of Image structs."""
    if not pa.types.is_struct(column.type):
        return column
    return pa.chunked_array([chunk.field("bytes") for chunk in column.chunks], column.type.field("bytes").type)


def open_pixels(split: Split, images: Path | None, size: int, missing: str = "error") -> tuple[Pixels, Split]:
    """Find the pixels of a split.

    Args:
        split: Rows to show.
        images: Image root (the folder that contains `files/`, or `files/` itself), a cache, or None to
            read the `image` column of the data set.
        size: Side in pixels; a cache keeps its own.
        missing: `error`, or `drop` to go on with the images that are there.

    Returns:
        Pixels, and the split without the rows that were dropped.

    Raises:
        UserError: No pixels, or some are missing and `missing` is `error`.
    """
    if images is not None and (images / CACHE_FILE).is_file():
        cache = ImageCache.open(images)
        positions = cache.positions(split.image_id)
        split, positions = _present(split, positions >= 0, positions, missing, f"the cache {images}")
        return cache.view(positions), split
    if images is not None:
        if not images.is_dir():
            raise UserError(f"The image folder {images} was not found; give --images the folder that holds `files/`.")
        if split.image_path is None:
            raise UserError(
                f"The split {split.name} has no image_path; build the folder with --metadata, or leave --images away."
            )
        paths = FilePaths(images, split.image_path)
        with ThreadPoolExecutor(16) as pool:  # a network file system answers many questions at once
            there = np.array(list(pool.map(Path.is_file, paths)), dtype=bool)
        if not there.any():
            raise UserError(f"No image of the split {split.name} was found, such as {paths[0]}; check --images.")
        split, rows = _present(split, there, np.arange(len(there)), missing, str(images))
        return EncodedImages(FilePaths(images, paths.relative.take(rows)), split.image_id, size), split
    return EncodedImages(_image_column(split), split.image_id, size), split


def _present(
    split: Split, there: NDArray[np.bool_], positions: NDArray[np.int64], missing: str, where: str
) -> tuple[Split, NDArray[np.int64]]:
    if there.all():
        return split, positions
    lost = int((~there).sum())
    if missing == "error" or lost == len(there):
        first = split.image_id[int(np.argmin(there))].as_py()
        raise UserError(
            f"{lost} of {len(there)} {split.name} images are not in {where}, the first is {first}; "
            "complete it, or go on without them with --data.missing-images drop."
        )
    rows = np.flatnonzero(there)
    return split.take(rows), positions[rows]


def _image_column(split: Split) -> pa.ChunkedArray:
    """Encoded bytes of every row, from an `image` column of bytes or of Image structs."""
    if "image" not in pq.read_schema(split.shards[0]).names:
        raise UserError(
            f"{split.shards[0].parent} holds no pixels; give --images the folder that holds `files/`, or a cache."
        )
    total = 0
    for shard in split.shards:
        footer = pq.read_metadata(shard)
        for group in range(footer.num_row_groups):
            columns = (footer.row_group(group).column(place) for place in range(footer.num_columns))
            total += sum(c.total_uncompressed_size for c in columns if c.path_in_schema.startswith("image."))
    if total > IN_MEMORY_LIMIT:
        raise UserError(
            f"The {split.name} images take {total / 2**30:.0f} GB encoded; decode them once with "
            "`ltml-benchmark cache`, then give the cache to --images."
        )
    stored = [encoded_bytes(pq.read_table(shard, columns=["image"])["image"]) for shard in split.shards]
    column = pa.chunked_array([chunk for each in stored for chunk in each.chunks])
    if split.kept is not None:
        column = column.take(split.kept)
    if column.null_count:
        raise UserError(f"{column.null_count} {split.name} rows hold no image bytes; give --images the image folder.")
    return column
