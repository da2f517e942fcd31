"""Images of the studies under review: files below an image root, or bytes in the data set's column `image`."""

import threading
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ltml_dataset.errors import UserError
from ltml_dataset.images import find_image


@dataclass(frozen=True, slots=True)
class Picture:
    """One image of a study."""

    view: str
    """Its view, empty where that is not known."""
    name: str
    """What the data set calls it: its path, or else its id."""
    file: Path | None
    """Where it lies below the image root; None where the data set itself holds it."""
    place: tuple[int, int] = (0, 0)
    """Shard and row of its bytes, where the data set holds them."""


class Pictures:
    """Images by study. Paths are listed once; bytes are read one row group at a time, when somebody looks."""

    def __init__(self, directory: Path, splits: Sequence[str], image_root: Path | None) -> None:
        """List the images of some splits.

        Args:
            directory: What `build` wrote.
            splits: Splits under review.
            image_root: Folder that `image_path` starts from, or the `files/` in it.
        """
        self.image_root = image_root
        self._shards = [shard for split in splits for shard in sorted((directory / "data").glob(f"{split}-*.parquet"))]
        self._holds_bytes = [False] * len(self._shards)
        self._rows: dict[str, list[tuple[str, str | None, str, tuple[int, int]]]] = {}
        for place, shard in enumerate(self._shards):
            self._list(place, shard)
        self._lock = threading.Lock()
        self._held: tuple[int, int] | None = None
        self._column: pa.ChunkedArray = pa.chunked_array([], pa.binary())

    @property
    def may_exist(self) -> bool:
        """Whether there is anything to look for: an image root was given, or the data set holds bytes."""
        return self.image_root is not None or any(self._holds_bytes)

    def of(self, study: str) -> list[Picture]:
        """Images of a study: the file where one lies below the image root, else the bytes of the data set."""
        found = []
        for view, path, image_id, place in self._rows.get(study, ()):
            file = find_image(self.image_root, path) if self.image_root is not None and path is not None else None
            if file is not None or self._holds_bytes[place[0]]:
                found.append(Picture(view, path or image_id, file, place))
        return found

    def read(self, picture: Picture) -> bytes:
        """The encoded image.

        Raises:
            UserError: The file cannot be read, or the data set holds nothing for this row.
        """
        try:
            content = picture.file.read_bytes() if picture.file is not None else self._stored(*picture.place)
        except OSError as error:
            raise UserError(f"the image file cannot be read ({error.strerror}).") from None
        if not content:
            raise UserError("the data set holds no bytes for this image.")
        return content

    def _list(self, place: int, shard: Path) -> None:
        schema = pq.read_schema(shard)
        self._holds_bytes[place] = "image" in schema.names
        wanted = [name for name in ("study_id", "image_path", "view", "image_id") if name in schema.names]
        for row, values in enumerate(pq.read_table(shard, columns=wanted).to_pylist()):
            path, image_id = values.get("image_path"), str(values.get("image_id") or f"image {row}")
            if path is None and not self._holds_bytes[place]:
                continue
            listed = (values.get("view") or "", path, image_id, (place, row))
            self._rows.setdefault(str(values["study_id"]), []).append(listed)

    def _stored(self, place: int, row: int) -> bytes | None:
        with self._lock, pq.ParquetFile(self._shards[place]) as file:
            for group in range(file.num_row_groups):
                n_rows = file.metadata.row_group(group).num_rows
                if row < n_rows:
                    break
                row -= n_rows
            if self._held != (place, group):
                self._column, self._held = file.read_row_group(group, columns=["image"])["image"], (place, group)
            value = self._column[row].as_py()
        content = value.get("bytes") if isinstance(value, dict) else value
        return content if isinstance(content, bytes) else None


def file_name(study: str, place: int, suffix: str) -> str:
    """A name for a copy of a study's image: letters, digits and hyphens, whatever the id holds."""
    plain = "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in study)[:60]
    # Ids that look alike without their odd characters stay apart.
    mark = "" if plain == study else f"-{zlib.crc32(study.encode(errors='surrogatepass')):08x}"
    return f"{plain}{mark}-{place}{suffix}"
