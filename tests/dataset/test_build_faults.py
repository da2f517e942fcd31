"""What can go wrong while a data set is built: kills, full disks, folders that refuse, reports that are broken."""

import errno
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pytest
from plain_figures import DRAWINGS, draw_plainly
from report_tables import folder_bytes, report_rows, write_csv

from ltml_dataset.building import job as job_module
from ltml_dataset.cli import main
from ltml_dataset.config import BuildConfig
from ltml_dataset.errors import UserError
from ltml_dataset.export import presentation
from ltml_dataset.export.manifest import differences, read_manifest
from ltml_dataset.pipeline import build

CHILD = """
import os, pathlib, resource, signal, sys
from plain_figures import draw_plainly

from ltml_dataset.building import job
from ltml_dataset.cli import main

draw_plainly()
job.REPORTS_PER_SHARD = 7
original, renames = pathlib.Path.replace, 0


def dying(self, target):
    global renames
    renames += 1
    if renames == {kill_at}:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(self, target)


pathlib.Path.replace = dying
if {max_bytes}:
    resource.setrlimit(resource.RLIMIT_FSIZE, ({max_bytes}, {max_bytes}))
code = main({arguments!r})
if {kill_at} == 0 and code == 0:
    print("renames", renames, file=sys.stderr)
sys.exit(code)
"""

N_SHARDS = 9
N_TABLES = 9


@pytest.fixture(autouse=True)
def plain_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    for function in DRAWINGS:
        monkeypatch.setattr(presentation, function, getattr(presentation, function))
    draw_plainly()


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(job_module, "REPORTS_PER_SHARD", 7)
    return write_csv(tmp_path / "reports.csv", report_rows())


def run_child(arguments: Sequence[str], *, kill_at: int = 0, max_bytes: int = 0) -> subprocess.CompletedProcess[str]:
    """Build in a process of its own, killed before its nth rename or unable to write large files."""
    code = textwrap.dedent(CHILD).format(kill_at=kill_at, max_bytes=max_bytes, arguments=list(arguments))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)


def test_a_killed_build_leaves_nothing_half_done_and_a_repeat_call_completes_it(reports: Path, tmp_path: Path) -> None:
    """Killed before a rename in every stage: first and later shards, tables, card, moving into place, manifest."""
    whole = run_child(["build", str(reports), "--out", str(tmp_path / "whole"), "--workers", "1"])
    n_renames = int(whole.stderr.split("renames ")[1])
    assert n_renames > 3 * N_SHARDS + 2 * N_TABLES
    stages = [8, 3 * N_SHARDS + 1, 3 * N_SHARDS + N_TABLES, n_renames - N_TABLES, n_renames]
    for kill_at in stages:
        out = tmp_path / str(kill_at)
        arguments = ["build", str(reports), "--out", str(out), "--workers", "1"]
        assert run_child(arguments, kill_at=kill_at).returncode == -9
        assert not (out / "manifest.json").exists()
        labelled = {path: path.stat().st_mtime_ns for path in (out / ".cache").rglob("[0-9]*.sha256.json")}
        assert len(labelled) == min((kill_at - 1) // 3, N_SHARDS)
        assert main(arguments) == 0
        assert {path: path.stat().st_mtime_ns for path in labelled} == labelled
        assert folder_bytes(out) == folder_bytes(tmp_path / "whole")
        assert differences(out) == []
        assert not list(out.rglob("*.unfinished"))


def test_a_killed_rebuild_leaves_the_old_data_set_or_none(reports: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    build(BuildConfig(reports=reports, out=out, workers=1))
    before = folder_bytes(out)
    again = ["build", str(reports), "--out", str(out), "--workers", "1", "--split.seed", "4"]
    assert run_child(again, kill_at=5).returncode == -9
    assert folder_bytes(out) == before
    assert differences(out) == []
    assert main(again) == 0
    assert differences(out) == []


@pytest.mark.parametrize("max_bytes", [4_000, 12_000])
def test_a_full_disk_is_one_sentence_and_a_repeat_call_goes_on(reports: Path, tmp_path: Path, max_bytes: int) -> None:
    out = tmp_path / "out"
    arguments = ["build", str(reports), "--out", str(out), "--workers", "1"]
    stopped = run_child(arguments, max_bytes=max_bytes)
    assert stopped.returncode == 1
    assert stopped.stderr.startswith("Error: ")
    assert "could not be written (File too large)" in stopped.stderr
    assert stopped.stderr.count("\n") == 1
    assert folder_bytes(out) == {}
    assert not list(out.rglob("*.unfinished"))
    assert main(arguments) == 0
    assert differences(out) == []


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_folder_that_refuses_is_one_sentence(
    reports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(self: Path, *_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(UserError, match="could not be written"):
        build(BuildConfig(reports=reports, out=tmp_path / "out", workers=1))


def test_an_output_below_a_file_is_one_sentence(reports: Path) -> None:
    with pytest.raises(UserError, match="could not be written"):
        build(BuildConfig(reports=reports, out=reports / "out", workers=1))


def test_broken_reports_are_named_and_never_become_negatives(tmp_path: Path) -> None:
    rows = report_rows(20)
    rows[3]["text"] = ""
    rows[4]["report_id"] = rows[5]["report_id"]
    rows[6]["text"] = "FINDINGS: " + "The lungs are clear. Small left pleural effusion. " * 200_000
    path = write_csv(tmp_path / "r.csv", rows)
    path.write_bytes(path.read_bytes().replace(b"Study 17", b"Study \xe9\xff"))
    arguments = ["build", str(path), "--out", str(tmp_path / "out"), "--workers", "1"]
    assert main(arguments) == 0
    manifest = read_manifest(tmp_path / "out")
    assert manifest.counts["studies"] == 19
    assert manifest.counts["images"] == 18
    assert manifest.counts["studies_unlabelled"] == 1
    assert manifest.counts["reports_skipped"] == 1
    assert any(skip.input == "r0003" for skip in manifest.skipped)
    assert any("`r0005`" in skip.reason for skip in manifest.skipped)
    assert any("1 reports are not valid UTF-8" in note for note in manifest.notes)


def test_a_truncated_archive_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import zipfile

    path = tmp_path / "mimic-cxr-reports.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for index in range(50):
            archive.writestr(f"files/p10/p10000{index:03d}/s5000{index:04d}.txt", report_rows(1)[0]["text"] * 9)
    path.write_bytes(path.read_bytes()[:-400])
    assert main(["build", str(path), "--out", str(tmp_path / "out")]) == 1
    printed = capsys.readouterr().err
    assert "mimic-cxr-reports.zip" in printed
    assert printed.count("\n") == 1
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_an_upload_of_credentialed_data_is_refused_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = tmp_path / "files" / "p10" / "p10000001"
    tree.mkdir(parents=True)
    (tree / "s50000001.txt").write_text(report_rows(1)[0]["text"])
    arguments = ["build", str(tmp_path / "files"), "--out", str(tmp_path / "out"), "--push-to-hub", "me/set"]
    assert main(arguments) == 1
    assert "--i-may-share" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main([*arguments, "--i-may-share", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["source"] == "mimic-tree"
