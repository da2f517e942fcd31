"""Rows of a table file from any row on: CSV, JSON lines and Parquet, in bounded memory.

A reader only goes forward. A worker that is given the partitions in order keeps one reader open and so reads
the file once; a request for an earlier row opens it anew.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing

import pyarrow as pa

from ltml_dataset.errors import UserError
from ltml_dataset.sources.csv_rows import csv_batches, csv_names
from ltml_dataset.sources.json_rows import json_batches, json_names
from ltml_dataset.sources.table_file import BadRow, TableFile

_USUAL_GZIP_RATIO = 4


def column_names(file: TableFile) -> list[str]:
    """Names of the table's columns.

    Raises:
        UserError: The file is not such a table.
    """
    if file.format == "parquet":
        return list(_parquet(file).schema_arrow.names)
    return json_names(file) if file.format == "jsonl" else csv_names(file)


def iterate_batches(
    file: TableFile, columns: Sequence[str], bad_rows: list[BadRow], first_row: int = 0
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Batches of the wanted columns with the row each starts at. Left-out rows are noted and not counted.

    Text comes as string or binary; numbers keep their type in Parquet and are strings elsewhere.

    Args:
        file: The table.
        columns: Columns to read.
        bad_rows: Receives the rows that could not be read.
        first_row: Batches that end before this row may be left out.
    """
    if file.format == "parquet":
        yield from _parquet_batches(file, columns, first_row)
        return
    row = 0
    batches = csv_batches(file, columns, bad_rows) if file.format == "csv" else json_batches(file, columns, bad_rows)
    for batch in batches:
        yield row, batch
        row += batch.num_rows


def unpacked_size(file: TableFile) -> int:
    """About how many bytes the table has when unpacked."""
    if file.format == "parquet":
        with closing(_parquet(file)) as table:
            return sum(table.metadata.row_group(i).total_byte_size for i in range(table.num_row_groups))
    return file.path.stat().st_size * (_USUAL_GZIP_RATIO if file.is_gzip else 1)


class RowReader:
    """Ranges of rows of one table, cheapest when asked for in order."""

    def __init__(self, file: TableFile, columns: Sequence[str]) -> None:
        self._file = file
        self._columns = list(columns)
        self._batches: Iterator[tuple[int, pa.RecordBatch]] = iter(())
        self._row = -1
        self._left: pa.RecordBatch | None = None

    def read(self, start: int, stop: int) -> pa.RecordBatch:
        """Rows `start` up to `stop`."""
        if self._row < 0 or start < self._row:
            self._batches = iterate_batches(self._file, self._columns, [], start)
            self._row, self._left = 0, None
        parts: list[pa.RecordBatch] = []
        while self._row < stop:
            if self._left is None or self._left.num_rows == 0:
                following = next(self._batches, None)
                if following is None:
                    raise UserError(f"`{self._file.path}` changed while it was read; start again.")
                self._row, self._left = following
            ahead = max(0, start - self._row)
            taken = self._left.slice(ahead, max(0, stop - self._row - ahead))
            if taken.num_rows:
                parts.append(taken)
            used = min(self._left.num_rows, ahead + taken.num_rows)
            self._row += used
            self._left = self._left.slice(used)
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return self._empty()
        joined = pa.Table.from_batches(parts).combine_chunks().to_batches()
        if len(joined) > 1:  # more than 2 GB of text
            raise UserError(
                f"`{self._file.path}` has rows {start + 1} to {stop} of more than 2 GB; cut long texts first."
            )
        return joined[0]

    def _empty(self) -> pa.RecordBatch:
        return pa.RecordBatch.from_arrays([pa.array([], pa.string())] * len(self._columns), names=self._columns)


def _parquet(file: TableFile) -> "pa.parquet.ParquetFile":
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(file.path)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"`{file.path}` is not a readable Parquet file: {str(error).split('.')[0]}.") from error


def _parquet_batches(file: TableFile, columns: Sequence[str], first_row: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    with closing(_parquet(file)) as table:
        row, groups = 0, list(range(table.num_row_groups))
        while groups and row + table.metadata.row_group(groups[0]).num_rows <= first_row:
            row += table.metadata.row_group(groups.pop(0)).num_rows
        if not groups:
            return
        try:
            for batch in table.iter_batches(batch_size=4096, row_groups=groups, columns=list(columns)):
                ordered = batch.select(list(columns))
                yield row, ordered
                row += batch.num_rows
        except (pa.ArrowInvalid, OSError) as error:
            raise UserError(f"`{file.path}` is damaged: {str(error).split('.')[0]}.") from error
