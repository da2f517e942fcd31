"""What kind of source a path is, by content and not by name alone."""

from collections.abc import Sequence
from pathlib import Path

from ltml_dataset.errors import UserError
from ltml_dataset.sources.base import Source
from ltml_dataset.sources.table import TableSource, sniff_delimiter
from ltml_dataset.sources.table_rows import TableFile, first_bytes

_EXPECTED = (
    "expected mimic-cxr-reports.zip, a files/p10/... folder, mimic_cxr_sectioned.csv, NLMCXR_reports.tgz or its "
    "XML folder, or a .csv, .jsonl or .parquet table"
)


def open_source(path: Path, *, id_column: str | None = None, text_columns: Sequence[str] | None = None) -> Source:
    """The source of reports behind a path.

    Args:
        path: A file or folder.
        id_column: Column with report ids, for tables.
        text_columns: Text columns, for tables; several are read as sections of that name.

    Raises:
        UserError: Nothing is there, or nothing that holds reports.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"`{path}` does not exist; {_EXPECTED}.")
    head, is_gzip = first_bytes(path)
    if not head:
        raise UserError(f"`{path}` is empty; {_EXPECTED}.")
    return TableSource(_table_file(path, head, is_gzip), id_column, text_columns)


def _table_file(path: Path, head: bytes, is_gzip: bool) -> TableFile:
    if head[:4] == b"PAR1":
        if is_gzip:
            raise UserError(f"`{path}` is a gzipped Parquet file; unpack it first.")
        return TableFile(path, "parquet", False)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UserError(f"`{path}` is UTF-16 text; save it as UTF-8.")
    if b"\x00" in head:
        raise UserError(f"`{path}` is no source of reports; {_EXPECTED}.")
    text = head.decode("utf-8-sig", "replace")
    if text.lstrip().startswith("{"):
        return TableFile(path, "jsonl", is_gzip)
    header = text.split("\n", 1)[0]
    return TableFile(path, "csv", is_gzip, sniff_delimiter(header))
