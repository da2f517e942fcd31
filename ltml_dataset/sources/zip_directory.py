"""The members of a zip archive as arrays, read from the memory-mapped central directory.

Python's `zipfile` builds an object for each of 227,835 members before the first can be read. Here the
directory becomes NumPy arrays in a few passes, and every length and offset is checked against the file.
Format: PKWARE APPNOTE.TXT 6.3, with zip64.
"""

import mmap
import re
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ltml_dataset.errors import UserError

_END = struct.Struct("<4s4H2LH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = np.dtype(
    {
        "names": ["flags", "method", "crc", "packed", "size", "n_name", "n_extra", "n_comment", "offset"],
        "formats": ["<u2", "<u2", "<u4", "<u4", "<u4", "<u2", "<u2", "<u2", "<u4"],
        "offsets": [8, 10, 16, 20, 24, 28, 30, 32, 42],
        "itemsize": 46,
    }
)
_LOCAL = np.dtype(
    {"names": ["magic", "n_name", "n_extra"], "formats": ["<u4", "<u2", "<u2"], "offsets": [0, 26, 28], "itemsize": 30}
)
_LOCAL_MAGIC = 0x04034B50
_LONGEST_COMMENT = 65_535


@dataclass(frozen=True)
class ZipMembers:
    """Members in the order of the directory: M rows in every array."""

    names: list[bytes]
    flags: npt.NDArray[np.uint16]
    method: npt.NDArray[np.uint16]
    crc: npt.NDArray[np.uint32]
    packed: npt.NDArray[np.int64]
    size: npt.NDArray[np.int64]
    offset: npt.NDArray[np.int64]
    """Of the local header."""


def read_directory(path: Path) -> ZipMembers:
    """The members of a zip archive.

    Raises:
        UserError: The file is not a zip archive, is cut off, or its directory contradicts itself.
    """
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _read(path, data)
    except (OSError, ValueError) as error:
        raise UserError(f"`{path}` could not be read: {error}.") from error


def data_starts(data: mmap.mmap, offsets: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where the members' packed bytes start, and where their names end.

    Args:
        data: The archive.
        offsets: (M,) of the local headers.

    Returns:
        (M,) places, -1 where no local header stands; (M,) places behind the names in the local headers.
    """
    inside = (offsets >= 0) & (offsets + _LOCAL.itemsize <= len(data))
    view = np.frombuffer(data, np.uint8)
    headers = view[np.where(inside, offsets, 0)[:, None] + np.arange(_LOCAL.itemsize)].view(_LOCAL)[:, 0]
    names = offsets + _LOCAL.itemsize + headers["n_name"].astype(np.int64)
    starts = np.where(inside & (headers["magic"] == _LOCAL_MAGIC), names + headers["n_extra"], -1)
    return starts, names


def _cut_off(path: Path) -> UserError:
    return UserError(
        f"`{path}` is not a complete zip archive (its end is missing or damaged); download it again and compare "
        "its SHA256SUMS.txt entry."
    )


def _read(path: Path, data: mmap.mmap) -> ZipMembers:
    end_place, n_members, length, start = _find_directory(path, data)
    shift = end_place - length - start  # bytes that somebody put in front of the archive
    if shift < 0 or length > end_place:
        raise _cut_off(path)
    directory = data[end_place - length : end_place]
    places = _entry_places(path, directory, n_members)
    raw = np.frombuffer(directory, np.uint8)
    rows = np.ascontiguousarray(raw[places[:, None] + np.arange(46)]).view(_ENTRY)[:, 0]
    name_starts = places + 46
    names = [directory[a:b] for a, b in zip(name_starts.tolist(), (name_starts + rows["n_name"]).tolist(), strict=True)]
    packed, size, offset = (rows[key].astype(np.int64) for key in ("packed", "size", "offset"))
    is_large = (rows["packed"] == 0xFFFFFFFF) | (rows["size"] == 0xFFFFFFFF) | (rows["offset"] == 0xFFFFFFFF)
    for i in np.flatnonzero(is_large):
        extra_start = int(name_starts[i]) + int(rows["n_name"][i])
        extra = directory[extra_start : extra_start + int(rows["n_extra"][i])]
        size[i], packed[i], offset[i] = _zip64_numbers(extra, int(size[i]), int(packed[i]), int(offset[i]))
    return ZipMembers(names, rows["flags"], rows["method"], rows["crc"], packed, size, offset + shift)


def _find_directory(path: Path, data: mmap.mmap) -> tuple[int, int, int, int]:
    """Place behind the directory, number of members, length of the directory, its stated place."""
    place = len(data)
    lowest = max(0, len(data) - _END.size - _LONGEST_COMMENT)
    while True:
        place = data.rfind(b"PK\x05\x06", lowest, place)
        if place < 0:
            raise _cut_off(path)
        if place + _END.size <= len(data):
            _, disk, first_disk, here, n_members, length, start, n_comment = _END.unpack_from(data, place)
            if place + _END.size + n_comment == len(data):
                break
    locator = place - _END64_LOCATOR.size
    if locator >= 0 and data[locator : locator + 4] == b"PK\x06\x07":
        return _find_directory64(path, data, locator)
    if disk or first_disk or here != n_members:
        raise UserError(f"`{path}` is one piece of a split zip archive; join the pieces first.")
    return place, n_members, length, start


def _find_directory64(path: Path, data: mmap.mmap, locator: int) -> tuple[int, int, int, int]:
    _, _, stated, n_disks = _END64_LOCATOR.unpack_from(data, locator)
    if n_disks > 1:
        raise UserError(f"`{path}` is one piece of a split zip archive; join the pieces first.")
    for place in (stated, locator - _END64.size):  # the second where bytes were put in front
        if 0 <= place <= locator - _END64.size and data[place : place + 4] == b"PK\x06\x06":
            _, _, _, _, _, _, _, n_members, length, start = _END64.unpack_from(data, place)
            return place, n_members, length, start
    raise _cut_off(path)


def _entry_places(path: Path, directory: bytes, n_members: int) -> npt.NDArray[np.int64]:
    """Where each entry starts: a search for their mark, proven by the lengths, which must lead from one to the next."""
    places = np.array([m.start() for m in re.finditer(b"PK\x01\x02", directory)], np.int64)
    if len(places) and places[-1] + 46 <= len(directory) and len(places) == n_members:
        following = _following(directory, places)
        if places[0] == 0 and (following[:-1] == places[1:]).all() and following[-1] <= len(directory):
            return places
    walked: list[int] = []  # a name or comment may hold the mark: follow the lengths one by one
    place = 0
    while len(walked) < n_members:
        if directory[place : place + 4] != b"PK\x01\x02" or place + 46 > len(directory):
            raise UserError(
                f"`{path}` is damaged: its directory breaks off at member {len(walked) + 1} of {n_members}."
            )
        walked.append(place)
        place += 46 + sum(struct.unpack_from("<3H", directory, place + 28))
    if place > len(directory) or directory[place : place + 4] == b"PK\x01\x02":
        raise UserError(f"`{path}` is damaged: its directory does not hold the {n_members} members it names.")
    return np.array(walked, np.int64)


def _following(directory: bytes, places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    lengths = np.frombuffer(directory, np.uint8)[places[:, None] + np.arange(28, 34)]
    following: npt.NDArray[np.int64] = (
        places + 46 + np.ascontiguousarray(lengths).view("<u2").sum(axis=1, dtype=np.int64)
    )
    return following


def _zip64_numbers(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """The 64-bit numbers that replace those that are all ones; -1 where they are missing."""
    place = 0
    while place + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, place)
        if kind == 1:
            numbers = list(struct.unpack_from(f"<{min(length, len(extra) - place - 4) // 8}Q", extra, place + 4))
            values = [v if v < 1 << 62 else -1 for v in numbers]
            out = [(values.pop(0) if values else -1) if v == 0xFFFFFFFF else v for v in (size, packed, offset)]
            return out[0], out[1], out[2]
        place += 4 + length
    return size, packed, offset
