"""What kind of source a path is, by content and not by name alone."""

from collections.abc import Sequence
from pathlib import Path

from ltml_dataset.errors import UserError
from ltml_dataset.sources.base import Source
from ltml_dataset.sources.mimic_tree import MimicTreeSource, find_report_root, no_reports
from ltml_dataset.sources.mimic_zip import MimicZipSource
from ltml_dataset.sources.openi import OpenISource
from ltml_dataset.sources.table import TableSource, sniff_delimiter
from ltml_dataset.sources.table_file import TableFile, first_bytes, require_file

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
        UserError: Nothing is there, or nothing that holds reports, or columns are named for something without columns.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"`{path}` does not exist; {_EXPECTED}.")
    require_file(path)
    source = _folder(path) if path.is_dir() else _file(path, id_column, text_columns)
    if (id_column or text_columns) and not isinstance(source, TableSource):
        flag = "--id-column" if id_column else "--text-column"
        raise UserError(f"`{path}` is read as {source.kind} and has no columns to choose from; leave out {flag}.")
    return source


def _file(path: Path, id_column: str | None, text_columns: Sequence[str] | None) -> Source:
    head, is_gzip = first_bytes(path)
    if not head:
        raise UserError(f"`{path}` is empty; {_EXPECTED}.")
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return MimicZipSource(path)
    if head[257:262] == b"ustar" or (is_gzip and path.name.endswith((".tgz", ".tar.gz"))):
        return OpenISource(path)
    return TableSource(_table_file(path, head, is_gzip), id_column, text_columns)


def _folder(path: Path) -> Source:
    archive = next((a for a in (path / "mimic-cxr-reports.zip", path / "NLMCXR_reports.tgz") if a.is_file()), None)
    if archive is not None:  # first: a `files` beside it may hold images only
        return open_source(archive)
    try:
        root = find_report_root(path)
        if root is not None:
            return MimicTreeSource(root)
        if next(path.rglob("*.xml"), None) is not None:
            return OpenISource(path)
    except OSError as error:
        raise UserError(f"`{path}` could not be listed: {error.strerror or error}.") from error
    raise UserError(no_reports(path))


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
    if text.lstrip()[:1] in ("{", "["):
        return TableFile(path, "jsonl", is_gzip, is_array=text.lstrip().startswith("["))
    header = text.split("\n", 1)[0]
    return TableFile(path, "csv", is_gzip, sniff_delimiter(header))
