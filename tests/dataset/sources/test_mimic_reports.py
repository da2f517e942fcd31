"""MIMIC-CXR reports from the archive and from a folder; every fault is named."""

import os
import pickle
import struct
import zipfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pyarrow as pa
import pytest
from mimic_files import REPORTS, report_name, write_tree, write_zip

from ltml_dataset.errors import UserError
from ltml_dataset.records import Skip
from ltml_dataset.schema import report_schema
from ltml_dataset.sources import Source, not_utf8, open_source
from ltml_dataset.sources.hashing import hash_input


def read_all(source: Source, size: int = 4096) -> tuple[list[tuple[int, int, str]], dict[str, str]]:
    rows: list[tuple[int, int, str]] = []
    skips: list[Skip] = []
    for partition in source.partitions(size):
        batch, skipped = source.read(partition)
        assert batch.schema.equals(report_schema())
        assert [f"s{study}" for study in batch["study_id"].to_pylist()] == batch["report_id"].to_pylist()
        rows += zip(*(batch[name].to_pylist() for name in ("subject_id", "study_id", "text")), strict=True)
        skips += skipped
    return rows, {skip.input: skip.reason for skip in skips}


EXPECTED = [(subject, study, REPORTS[subject, study]) for subject, study in sorted(REPORTS)]


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
@pytest.mark.parametrize("size", [1, 2, 4096])
def test_archive_is_read_by_subject_and_study(tmp_path: Path, compression: int, size: int) -> None:
    source = open_source(write_zip(tmp_path / "reports.dat", compression=compression))
    assert (source.kind, source.credentialed, source.text_columns) == ("mimic-zip", True, ("text",))
    assert read_all(source, size) == (EXPECTED, {})


def test_folder_gives_what_the_archive_gives(tmp_path: Path) -> None:
    root = write_tree(tmp_path)
    (root / "files" / "index.html").write_text("")
    for path in (root, root / "files"):
        source = open_source(path)
        assert (source.kind, source.credentialed) == ("mimic-tree", True)
        assert read_all(source, 2) == (EXPECTED, {})
    assert hash_input(root) == hash_input(root / "files")
    before = hash_input(root)
    (root / report_name(*EXPECTED[0][:2])).write_text("changed")
    assert hash_input(root) != before


def test_partition_travels_to_another_process(tmp_path: Path) -> None:
    source = open_source(write_zip(tmp_path / "reports.zip"))
    partitions = source.partitions(2)
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        batches = [batch for batch, _ in pool.map(source.read, partitions)]
    assert pa.Table.from_batches(batches).column("text").to_pylist() == [text for _, _, text in EXPECTED]
    assert len(pickle.dumps(source)) < 2000


def test_bytes_in_front_and_comment_are_harmless(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "reports.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"PK\x05\x06 is the mark of the end"
    path.write_bytes(path.read_bytes()[:0] + path.read_bytes())
    assert read_all(open_source(path))[0] == EXPECTED
    shifted = tmp_path / "shifted.zip"
    shifted.write_bytes(b"PK\x03\x04 something before" + path.read_bytes())
    assert read_all(open_source(shifted))[0] == EXPECTED


def test_name_that_holds_the_mark_of_an_entry(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "reports.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("files/PK\x01\x02.txt", "x")
    rows, skips = read_all(open_source(path))
    assert rows == EXPECTED
    assert skips == {"reports.zip/files/PK\x01\x02.txt": "is no files/p../p.../s....txt report"}


def test_zip64_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    path = write_zip(tmp_path / "reports.zip")
    assert b"PK\x06\x06" in path.read_bytes()
    monkeypatch.undo()
    assert read_all(open_source(path), 2)[0] == EXPECTED
    shifted = tmp_path / "shifted.zip"
    shifted.write_bytes(b"PK\x03\x04 something before" + path.read_bytes())
    assert read_all(open_source(shifted))[0] == EXPECTED


def test_every_cut_is_noticed(tmp_path: Path) -> None:
    whole = write_zip(tmp_path / "reports.zip").read_bytes()
    cut = tmp_path / "cut.zip"
    for length in range(4, len(whole), 7):
        cut.write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"complete zip archive|damaged"):
            open_source(cut).partitions()


def test_every_flipped_byte_is_an_error_a_skip_or_harmless(tmp_path: Path) -> None:
    whole = bytearray(write_zip(tmp_path / "reports.zip").read_bytes())
    bad = tmp_path / "bad.zip"
    outcomes = {"error": 0, "skip": 0, "same": 0}
    for place in range(4, len(whole), 3):
        damaged = bytearray(whole)
        damaged[place] ^= 0x55
        bad.write_bytes(damaged)
        try:
            rows, skips = read_all(open_source(bad))
        except UserError:
            outcomes["error"] += 1
            continue
        if skips:
            outcomes["skip"] += 1
        elif rows == EXPECTED:
            outcomes["same"] += 1
        else:  # a digit of a name became another digit: still three reports with the same texts
            assert sorted(text for _, _, text in rows) == sorted(text for _, _, text in EXPECTED)
    assert outcomes["error"] > 0
    assert outcomes["skip"] > 0


def test_wrong_crc_is_named(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "reports.zip", compression=zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"lungs are clear", b"lungs are cloud"))
    rows, skips = read_all(open_source(path))
    assert [study for _, study, _ in rows] == [90000003, 90000007]
    assert skips == {"reports.zip/files/p99/p99000002/s90000005.txt": "its CRC does not match"}


def test_members_that_are_no_readable_report_are_named(tmp_path: Path) -> None:
    path = tmp_path / "reports.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for (subject, study), text in REPORTS.items():
            archive.writestr(report_name(subject, study), text)
        archive.writestr("p99/p99000009/s90000009.txt", "outside files")
        archive.writestr("files/p99/p99000009/notes.txt", "no report")
        archive.writestr(report_name(99000008, 90000007), "the same study under another subject")
        archive.writestr(report_name(99000007, 90000011), "packed otherwise", zipfile.ZIP_BZIP2)
        archive.writestr(report_name(99000007, 90000012), "to be marked as encrypted")
    data = path.read_bytes()
    entry = data.rfind(b"PK\x01\x02")
    flags = struct.unpack_from("<H", data, entry + 8)[0]
    path.write_bytes(data[: entry + 8] + struct.pack("<H", flags | 1) + data[entry + 10 :])
    rows, skips = read_all(open_source(path))
    assert rows == EXPECTED
    assert skips == {
        "reports.zip/p99/p99000009/s90000009.txt": "is no files/p../p.../s....txt report",
        "reports.zip/files/p99/p99000009/notes.txt": "is no files/p../p.../s....txt report",
        "reports.zip/files/p99/p99000008/s90000007.txt": "is there twice (study s90000007); the first is used",
        "reports.zip/files/p99/p99000007/s90000011.txt": "is packed by method 12, which cannot be read",
        "reports.zip/files/p99/p99000007/s90000012.txt": "is encrypted",
    }


def test_long_and_undecodable_reports(tmp_path: Path) -> None:
    path = tmp_path / "reports.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(report_name(99000001, 90000001), "No effusion. " * 800_000)
        archive.writestr(report_name(99000001, 90000002), b"Caf\xe9 \x81 \x93clear\x94 lungs")
        archive.writestr(report_name(99000001, 90000003), "Fine.")
    source = open_source(path)
    batch, skips = source.read(source.partitions()[0])
    texts = batch["text"].to_pylist()
    assert skips == []
    assert len(texts[0]) == 13 * 800_000
    assert texts[1] == "Caf\u00e9 \x81 \u201cclear\u201d lungs"
    assert not_utf8(batch) == ["s90000002"]


def test_archive_without_reports_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "images.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("files/p99/p99000001/s90000001/image.jpg", b"")
    with pytest.raises(UserError, match="comes with MIMIC-CXR and not with MIMIC-CXR-JPG"):
        open_source(path).partitions()


def test_folder_of_images_names_the_other_project(tmp_path: Path) -> None:
    image = tmp_path / "files" / "p99" / "p99000001" / "s90000001" / "image.jpg"
    image.parent.mkdir(parents=True)
    image.touch()
    with pytest.raises(UserError, match=r"images but no reports .* not with MIMIC-CXR-JPG"):
        open_source(tmp_path).partitions()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_report_is_named(tmp_path: Path) -> None:
    root = write_tree(tmp_path)
    (root / report_name(*EXPECTED[0][:2])).chmod(0)
    rows, skips = read_all(open_source(root))
    assert rows == EXPECTED[1:]
    assert skips == {report_name(*EXPECTED[0][:2]): "could not be read: Permission denied"}


def test_report_that_vanishes_is_named(tmp_path: Path) -> None:
    root = write_tree(tmp_path)
    source = open_source(root)
    partitions = source.partitions()
    (root / report_name(*EXPECTED[1][:2])).unlink()
    batch, skips = source.read(partitions[0])
    assert batch["study_id"].to_pylist() == [EXPECTED[0][1], EXPECTED[2][1]]
    assert skips == [Skip(report_name(*EXPECTED[1][:2]), "could not be read: No such file or directory")]


def test_doubled_study_in_a_folder_is_named(tmp_path: Path) -> None:
    root = write_tree(tmp_path, {**REPORTS, (99000009, 90000007): "again"})
    rows, skips = read_all(open_source(root))
    assert rows == EXPECTED
    assert skips == {report_name(99000009, 90000007): "is there twice (study s90000007); the first is used"}


def test_columns_named_for_something_without_columns_are_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "reports.zip")
    with pytest.raises(UserError, match=r"is read as mimic-zip and has no columns .* leave out --text-column"):
        open_source(path, text_columns=["text"])
    with pytest.raises(UserError, match="leave out --id-column"):
        open_source(path, id_column="study_id")
