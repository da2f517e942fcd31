"""`cache`: every image decoded once into a memory map of uint8, so that reading is a copy."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ltml_benchmark.decode import decode_gray
from ltml_benchmark.errors import UserError
from ltml_benchmark.onlyone import only_one
from ltml_benchmark.runfiles import read_json

CACHE_FILE = "cache.json"
PIXEL_FILE = "pixels.u8"
INDEX_FILE = "index.parquet"
DONE_FILE = "done.u8"
FORMAT = "ltml-benchmark-cache/3"
CHUNK = 512
SAMPLED = 8
"""Sources whose bytes tell one set of images from another with the same names."""


@dataclass(frozen=True)
class CacheView:
    """Rows of a cache in the order of a split."""

    pixels: NDArray[np.uint8]
    positions: NDArray[np.int64]
    size: int

    def read(self, rows: NDArray[np.int64], pool: ThreadPoolExecutor) -> NDArray[np.uint8]:
        """Copy these rows: (B, size, size) uint8."""
        return self.pixels[self.positions[rows]]

    def stored(self, row: int) -> bytes:
        """The decoded bytes of one row."""
        return bytes(self.pixels[self.positions[row]].tobytes())


@dataclass(frozen=True)
class ImageCache:
    """A finished cache."""

    path: Path
    size: int
    image_id: pa.Array
    pixels: NDArray[np.uint8]

    @classmethod
    def open(cls, path: Path) -> "ImageCache":
        """Map a finished cache; a half-written one has no `cache.json`."""
        about = read_json(path / CACHE_FILE, "run `ltml-benchmark cache` again")
        if about.get("format") != FORMAT:
            raise UserError(f"{path / CACHE_FILE} is no image cache of this version; run `ltml-benchmark cache` again.")
        index = pq.read_table(path / INDEX_FILE)
        size = int(about["size"])
        expected = index.num_rows * size * size
        if (path / PIXEL_FILE).stat().st_size != expected:
            raise UserError(f"{path / PIXEL_FILE} has not {expected} bytes; run `ltml-benchmark cache` again.")
        pixels = np.memmap(path / PIXEL_FILE, dtype=np.uint8, mode="r", shape=(index.num_rows, size, size))
        ids = index["image_id"].combine_chunks()
        if about["skipped"]:
            left_out = pa.array([entry["image_id"] for entry in about["skipped"]], pa.string())
            ids = pc.if_else(pc.is_in(ids, left_out), pa.scalar(None, pa.string()), ids)
        return cls(path=path, size=size, image_id=ids, pixels=pixels)

    def positions(self, image_id: pa.ChunkedArray) -> NDArray[np.int64]:
        """Place of each image in the cache, -1 where it has none."""
        found = pc.index_in(image_id, value_set=self.image_id, skip_nulls=True)
        return np.asarray(pc.fill_null(found, -1).to_numpy(), dtype=np.int64)

    def view(self, positions: NDArray[np.int64]) -> CacheView:
        """The rows of a split."""
        return CacheView(self.pixels, positions, self.size)


def build_cache(
    ids: Sequence[str],
    sources: Sequence[Path | bytes],
    out: Path,
    size: int = 256,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Decode images into `out`; a repeat call goes on where the last one stopped.

    Images that cannot be decoded are named in `cache.json` under `skipped` and are absent for readers.

    Args:
        ids: `image_id` of every image.
        sources: Path or encoded bytes of every image; read in order, once.
        out: Folder to write.
        size: Side in pixels.
        workers: Threads; the number of cores by default.
        progress: Called with the number of images after each chunk.

    Returns:
        The content of `cache.json`.

    Raises:
        UserError: `out` holds or is getting another cache, or not one image can be decoded.
    """
    with only_one(out, "filling the cache"):
        return _filled(ids, sources, out, size, workers, progress)


def _filled(
    ids: Sequence[str],
    sources: Sequence[Path | bytes],
    out: Path,
    size: int,
    workers: int | None,
    progress: Callable[[int], None] | None,
) -> dict[str, Any]:
    count = len(ids)
    named = hashlib.sha256("\n".join([FORMAT, str(size), *ids]).encode())
    for row in np.linspace(0, count - 1, min(SAMPLED, count), dtype=np.int64):
        named.update(_bytes_of(sources[int(row)]))
    identity = named.hexdigest()
    finished = out / CACHE_FILE
    if finished.is_file():
        about: dict[str, Any] = read_json(finished, "it describes the cache; give another --out, or delete the folder")
        if about.get("identity") == identity:
            return about
        raise UserError(f"{out} holds a cache of other images or another size; give another --out, or delete it.")
    pixel_path, done_path = out / f"{PIXEL_FILE}.part", out / f"{DONE_FILE}.part"
    started = out / "identity.part"
    if not (
        started.is_file() and started.read_text("utf-8") == identity and pixel_path.is_file() and done_path.is_file()
    ):
        np.memmap(pixel_path, dtype=np.uint8, mode="w+", shape=(count, size, size)).flush()
        np.memmap(done_path, dtype=np.uint8, mode="w+", shape=(count,)).flush()
        started.write_text(identity, "utf-8")
    pixels = np.memmap(pixel_path, dtype=np.uint8, mode="r+", shape=(count, size, size))
    done = np.memmap(done_path, dtype=np.uint8, mode="r+", shape=(count,))
    reasons: dict[int, str] = {}

    def one(row: int, source: Path | bytes) -> int:
        try:
            pixels[row] = decode_gray(source, size)
        except UserError as error:
            reasons[row] = str(error.__cause__ or error)
            return 2
        return 1

    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        for start in range(0, count, CHUNK):
            todo = [row for row in range(start, min(start + CHUNK, count)) if done[row] != 1]
            states = list(pool.map(one, todo, [sources[row] for row in todo]))
            pixels.flush()
            done[todo] = states
            done.flush()
            if progress is not None:
                progress(min(start + CHUNK, count))
    if count and not np.any(done == 1):
        raise UserError(f"Not one of {count} images could be decoded ({next(iter(reasons.values()))}); check --images.")
    skipped = [{"image_id": ids[row], "reason": reasons[row]} for row in np.flatnonzero(done == 2).tolist()]
    index = pa.table({"image_id": pa.array(ids, pa.string())})
    pq.write_table(index, out / f"{INDEX_FILE}.part")
    about = {"format": FORMAT, "identity": identity, "size": size, "images": count, "skipped": skipped}
    (out / f"{CACHE_FILE}.part").write_text(json.dumps(about, indent=2, sort_keys=True) + "\n", "utf-8")
    for name in (PIXEL_FILE, INDEX_FILE, CACHE_FILE):  # the last one makes the cache visible
        (out / f"{name}.part").replace(out / name)
    done_path.unlink()
    started.unlink()
    return about


def _bytes_of(source: Path | bytes) -> bytes:
    """What is stored there; nothing where the file is missing."""
    if isinstance(source, bytes):
        return source
    try:
        return source.read_bytes()
    except OSError:
        return b""
