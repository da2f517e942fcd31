"""Reports in the rows of a table."""

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ltml_dataset.errors import UserError
from ltml_dataset.records import Skip
from ltml_dataset.sources.base import LARGEST_REPORT, TARGET_BYTES, Partition, decode_column, file_stamp, make_batch
from ltml_dataset.sources.table_columns import TableColumns, choose_columns, is_mimic_sectioned
from ltml_dataset.sources.table_file import BadRow, TableFile
from ltml_dataset.sources.table_rows import RowReader, column_names, iterate_batches, unpacked_size

_INTEGER = r"^(0|[1-9][0-9]{0,9})$"
_STUDY_NAME = r"^s[1-9][0-9]{0,9}$"
_LARGEST_INT32 = 2**31 - 1
_FEW_REPEATS = 0.1
"""Share of rows that may repeat an id before the id column is taken for the wrong one."""


class TableSource:
    """A `.csv`, `.jsonl` or `.parquet` table, gzipped or not, in the order of its rows."""

    def __init__(self, file: TableFile, id_column: str | None, text_columns: Sequence[str] | None) -> None:
        names = column_names(file)
        self._is_mimic = is_mimic_sectioned(names)
        self._columns = choose_columns(file.path, names, id_column, text_columns)
        self._file = file
        self._stamp = file_stamp(file.path)
        self._id_type: pa.DataType = pa.string()
        self._has_study_names = False
        self._is_scanned = False
        self._skips: tuple[Skip, ...] = ()
        self._n_rows = 0
        self._repeats: npt.NDArray[np.int64] = np.empty(0, np.int64)

    @property
    def kind(self) -> str:
        """`mimic-sectioned` for `mimic_cxr_sectioned.csv`, else `table`."""
        return "mimic-sectioned" if self._is_mimic else "table"

    @property
    def text_columns(self) -> tuple[str, ...]:
        """See `Source`."""
        return self._columns.text_columns

    @property
    def credentialed(self) -> bool:
        """True for `mimic_cxr_sectioned.csv`."""
        return self._is_mimic

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The table."""
        return (self._file.path,)

    @property
    def columns(self) -> TableColumns:
        """Which column was taken for what."""
        return self._columns

    def partitions(self, size: int = 4096) -> list[Partition]:
        """Ranges of rows, in the table's order.

        The first call reads the id columns once: rows without an id or with one that stood before are
        named as skipped.

        Raises:
            UserError: The table is damaged, or so many ids repeat that the id column must be the wrong one.
        """
        self._scan()
        average = unpacked_size(self._file) // max(1, self._n_rows)
        size = max(1, min(size, TARGET_BYTES // max(1, average)))
        out: list[Partition] = []
        for start in range(0, self._n_rows, size):
            stop = min(start + size, self._n_rows)
            left, right = np.searchsorted(self._repeats, (start, stop))
            repeats = tuple((self._repeats[left:right] - start).tolist())
            skips = self._skips if start == 0 else ()
            out.append(Partition(len(out), stop - start, (start, stop, repeats), skips))
        return out or [Partition(0, 0, (0, 0, ()), self._skips)]

    def read(self, partition: Partition) -> tuple[pa.RecordBatch, list[Skip]]:
        """Rows of one partition that have an id nobody had before."""
        start, stop, repeats = cast("tuple[int, int, tuple[int, ...]]", partition.payload)
        if file_stamp(self._file.path) != self._stamp:
            raise UserError(f"`{self._file.path}` changed while it was read; start again.")
        rows = _reader(self._file, tuple(self._columns.names), self._stamp).read(start, stop)
        if repeats:
            keep = np.ones(rows.num_rows, bool)
            keep[list(repeats)] = False
            rows = rows.filter(pa.array(keep))
        report_ids = _as_ids(rows[self._columns.report])
        n_rows = rows.num_rows
        subject = self._columns.subject
        subjects = _as_ids(rows[subject]) if subject else pa.nulls(n_rows, pa.string())
        studies = _as_ids(rows[self._columns.study]) if self._columns.study else report_ids
        if self._has_study_names:
            studies = pc.utf8_slice_codeunits(studies, 1)
        texts = {
            name: _as_text(rows[column], self._file.path, column)
            for name, column in zip(self.text_columns, self._columns.texts, strict=True)
        }
        skips = list(partition.skips)
        too_long = _too_long(texts)
        if len(too_long):
            skips += [
                Skip(f"{self._file.path.name}, `{report_id}`", f"holds a text of more than {LARGEST_REPORT >> 20} MB")
                for report_id in report_ids.take(pa.array(too_long)).to_pylist()
            ]
            keep = pa.array(np.setdiff1d(np.arange(n_rows), too_long))
            report_ids, subjects, studies = (column.take(keep) for column in (report_ids, subjects, studies))
            texts = {name: column.take(keep) for name, column in texts.items()}
        batch = make_batch(report_ids, subjects.cast(self._id_type), studies.cast(self._id_type), texts)
        return batch, skips

    def _scan(self) -> None:
        if self._is_scanned:
            return
        bad_rows: list[BadRow] = []
        checks = _IdChecks(is_mimic=self._is_mimic)
        hashes: list[npt.NDArray[np.uint64]] = []
        missing: list[int] = []
        # which JSON lines are usable depends on the text columns too
        names = self._columns.names if self._file.format == "jsonl" else self._columns.id_names
        for first, batch in iterate_batches(self._file, names, bad_rows):
            report_ids = _as_ids(batch[self._columns.report])
            gone = pc.fill_null(pc.equal(report_ids, ""), True)
            if pc.any(gone).as_py():
                missing.extend((np.flatnonzero(gone.to_numpy(zero_copy_only=False)) + first).tolist())
            hashes.append(_hash_ids(report_ids))
            checks.see(
                report_ids,
                _as_ids(batch[self._columns.study]) if self._columns.study else None,
                _as_ids(batch[self._columns.subject]) if self._columns.subject else None,
            )
            self._n_rows += batch.num_rows
        self._id_type, self._has_study_names = checks.decide()
        repeats = self._find_repeats(np.concatenate(hashes) if hashes else np.empty(0, np.uint64), set(missing))
        name = self._file.path.name
        skips = [Skip(f"{name}, row {row.number}", row.reason) for row in bad_rows]
        skips += [Skip(f"{name}, row {row + 1}", f"has no id in `{self._columns.report}`") for row in missing]
        skips += [
            Skip(f"{name}, row {row + 1}", f"repeats the id `{report_id}` of row {earlier + 1}; the first is used")
            for row, (report_id, earlier) in repeats.items()
        ]
        self._skips = tuple(skips)
        self._repeats = np.unique(np.array([*missing, *repeats], np.int64))
        self._is_scanned = True

    def _find_repeats(self, hashes: npt.NDArray[np.uint64], missing: set[int]) -> dict[int, tuple[str, int]]:
        """Rows whose id stood before: row to (id, row of the first)."""
        order = np.argsort(hashes, kind="stable")
        is_same = np.zeros(len(hashes), bool)
        same_as_previous = hashes[order][1:] == hashes[order][:-1]
        is_same[order[1:][same_as_previous]] = True
        is_same[order[:-1][same_as_previous]] = True
        is_same[list(missing)] = False
        candidates = int(is_same.sum())
        if not candidates:
            return {}
        first_rows: dict[str, int] = {}
        repeats: dict[int, tuple[str, int]] = {}
        names = self._columns.names if self._file.format == "jsonl" else [self._columns.report]
        for first, batch in iterate_batches(self._file, names, []):
            rows = np.flatnonzero(is_same[first : first + batch.num_rows])
            values = _as_ids(batch[self._columns.report]).take(pa.array(rows)).to_pylist()
            for row, value in zip((rows + first).tolist(), values, strict=True):
                earlier = first_rows.setdefault(value, row)
                if earlier != row:
                    repeats[row] = (value, earlier)
        if len(repeats) > max(10, _FEW_REPEATS * len(hashes)):
            raise UserError(
                f"`{self._file.path}`: {len(repeats)} of {len(hashes)} rows repeat an id in `{self._columns.report}`; "
                "name the column that tells reports apart with --id-column."
            )
        return repeats


class _IdChecks:
    """Of which type subject and study ids are: integers in MIMIC-CXR's own table, text in all others.

    The type hangs on the kind of source and not on what a file happens to hold, so that the tables of one's own train
    and test sets can be joined.
    """

    def __init__(self, *, is_mimic: bool) -> None:
        self._is_mimic = is_mimic
        self._are_integers = True
        self._are_study_names = True
        self._are_plain = True

    def see(self, reports: pa.Array, studies: pa.Array | None, subjects: pa.Array | None) -> None:
        if subjects is not None:
            self._are_integers = self._are_integers and _fit_int32(subjects, _INTEGER, 0)
        ids = reports if studies is None else studies
        self._are_study_names = self._are_study_names and _fit_int32(ids, _STUDY_NAME, 1)
        self._are_plain = self._are_plain and _fit_int32(ids, _INTEGER, 0)

    def decide(self) -> tuple[pa.DataType, bool]:
        """Type of subject and study ids, and whether the study's leading `s` must go."""
        is_int = self._is_mimic and self._are_integers and (self._are_study_names or self._are_plain)
        return (pa.int32() if is_int else pa.string()), self._are_study_names


def _fit_int32(ids: pa.Array, pattern: str, skip: int) -> bool:
    fits = pc.match_substring_regex(ids, pattern)
    if not pc.all(fits).as_py():  # nulls are ignored
        return False
    digits = pc.utf8_slice_codeunits(ids, skip) if skip else ids
    largest = pc.max(digits.cast(pa.int64())).as_py()
    return largest is None or largest <= _LARGEST_INT32


def _as_ids(values: pa.Array) -> pa.Array:
    """Ids as strings: whole floats lose their `.0`."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_floating(values.type):
        whole = pc.floor(values)
        if pc.all(pc.equal(values, whole)).as_py() is not False:
            values = values.cast(pa.int64())
    if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        values = decode_column(values)[0]
    return whole_numbers(values.cast(pa.string()))


def whole_numbers(ids: pa.Array) -> pa.Array:
    """Ids as text without the `.0` that spreadsheets and data frames put behind whole numbers.

    Example:
        >>> whole_numbers(pa.array(["80271828.0", "s1.0", None])).to_pylist()
        ['80271828', 's1.0', None]
    """
    return pc.replace_substring_regex(ids, r"^(\d+)\.0+$", r"\1")


def _as_text(values: pa.Array, path: Path, column: str) -> pa.Array:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    kind = values.type
    if pa.types.is_null(kind):
        return values.cast(pa.string())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_string(kind):
        return values
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return values.cast(pa.string())
    raise UserError(f"Column `{column}` of `{path}` holds {kind}, not text; name another with --text-column.")


def _too_long(texts: dict[str, pa.Array]) -> npt.NDArray[np.int64]:
    """Rows with a text that is too long to be a report."""
    rows = [
        np.flatnonzero(pc.greater(pc.fill_null(pc.binary_length(column), 0), LARGEST_REPORT).to_numpy(False))
        for column in texts.values()
    ]
    return np.unique(np.concatenate(rows))


def _hash_ids(ids: pa.Array) -> npt.NDArray[np.uint64]:
    from pandas.util import hash_array

    return hash_array(np.asarray(ids.fill_null(""), object), categorize=False)


@lru_cache(maxsize=2)
def _reader(file: TableFile, columns: tuple[str, ...], stamp: tuple[int, int]) -> RowReader:
    """The process's open reader of a table, so that partitions in order read the file once."""
    return RowReader(file, columns)


def sniff_delimiter(header: str) -> str:
    """The delimiter of a CSV header line: comma, semicolon or tab, whichever stands most often."""
    outside = re.sub(r'"[^"]*"', "", header)
    return max(",;\t", key=lambda mark: (outside.count(mark), mark == ","))
