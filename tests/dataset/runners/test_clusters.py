"""Ray and Spark on this machine: the same data set as from this process, and the user's error in one sentence."""

import shutil
from functools import partial
from pathlib import Path

import pytest
from plain_figures import DRAWINGS, draw_plainly
from report_tables import folder_bytes, report_rows, write_csv

from ltml_dataset.building import job as job_module
from ltml_dataset.config import BuildConfig, Runner, read_recipe
from ltml_dataset.errors import UserError
from ltml_dataset.export import presentation
from ltml_dataset.pipeline import build
from ltml_dataset.runners import run

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # warnings of the engines, not ours


@pytest.mark.parametrize("runner, module", [("ray", "ray"), ("spark", "pyspark")])
def test_a_cluster_builds_the_same_and_hands_on_the_users_error(
    runner: Runner, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(module, reason=f"needs the extra [{runner}]")
    if runner == "spark" and shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    for function in DRAWINGS:
        monkeypatch.setattr(presentation, function, getattr(presentation, function))
    draw_plainly()
    monkeypatch.setattr(job_module, "REPORTS_PER_SHARD", 7)
    reports = write_csv(tmp_path / "r.csv", report_rows())
    build(BuildConfig(reports=reports, out=tmp_path / "here", workers=1))
    build(BuildConfig(reports=reports, out=tmp_path / "there", workers=2, runner=runner))
    assert folder_bytes(tmp_path / "here") == folder_bytes(tmp_path / "there")
    with pytest.raises(UserError, match=r"absent\.yaml"):
        list(run(partial(read_recipe, flags={}), [tmp_path / "absent.yaml"], runner=runner, workers=2))
