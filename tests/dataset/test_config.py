"""Options of `build`: recipe and flags, refusals, and what the manifest records."""

from pathlib import Path

import pytest

from ltml_dataset.cli import main
from ltml_dataset.config import BuildConfig, SplitConfig, read_recipe
from ltml_dataset.errors import UserError


def test_flags_win_over_the_recipe_and_leave_the_rest(tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text("reports: a.zip\nlabel-set: chexpert14\nsplit:\n  ratios: 8:1:1\n  seed: 3\n")
    config = read_recipe(recipe, {"reports": Path("b.zip"), "split": {"seed": 4}})
    assert config.reports == Path("b.zip")
    assert config.label_set == "chexpert14"
    assert config.split == SplitConfig(ratios="8:1:1", seed=4)
    assert config.split.shares == (0.8, 0.1, 0.1)


@pytest.mark.parametrize(
    "content, complaint",
    [
        ("repots: a.zip\n", "`repots`.*build knows .*reports"),
        ("split:\n  raitos: 1:1:1\n", r"`split\.raitos`"),
        ("split:\n  ratios: 1:1\n", "not three numbers"),
        ("workers: 0\n", "greater than or equal to 1"),
        ("- a\n", "mapping"),
        ("a: [\n", "not YAML"),
        ("seed: 1\nseed: 2\n", "not YAML"),
    ],
)
def test_a_recipe_that_cannot_be_used_is_named(tmp_path: Path, content: str, complaint: str) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text(content)
    with pytest.raises(UserError, match=complaint) as caught:
        read_recipe(recipe, {})
    assert "r.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "flags, complaint",
    [
        (["--split.ratios", "8:1"], "--split.ratios: '8:1' is not three numbers"),
        (["--split.ratios", "0:1:1"], "train share above 0"),
        (["--shard", "9/4"], "--shard: '9/4' needs i from 1 to n"),
        (["--shard", "a"], "is not i/n"),
        (["--workers", "0"], "--workers: "),
        (["--wokers", "1"], "--wokers"),
        (["--uncertain", "maybe"], "--uncertain: "),
    ],
)
def test_a_wrong_flag_is_a_usage_error_of_one_line(
    flags: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["build", "r.zip", "--out", "o", *flags]) == 2
    printed = capsys.readouterr().err
    assert complaint in printed
    assert printed.count("\n") == 1


def test_the_paper_protocol_decides_what_was_left_open_and_flags_win() -> None:
    assert BuildConfig().resolved().profile == "clinical"
    paper = BuildConfig(protocol="paper").resolved()
    assert (paper.profile, paper.common_labels, paper.split.group_by) == ("paper", "official", "image")
    kept = BuildConfig(protocol="paper", profile="clinical", split=SplitConfig(group_by="subject")).resolved()
    assert (kept.profile, kept.split.group_by) == ("clinical", "subject")


def test_the_recorded_content_knows_no_folder_and_nothing_of_how_it_ran() -> None:
    here = BuildConfig(
        reports=Path("/a/r.zip"), out=Path("/a/o"), workers=1, split=SplitConfig(ids=(Path("/a/v"), Path("t")))
    )
    there = BuildConfig(
        reports=Path("/b/r.zip"), out=Path("/b/o"), workers=8, split=SplitConfig(ids=(Path("/b/v"), Path("t")))
    )
    assert here.content() == there.content()
    assert here.content()["split"]["ids"] == ["v", "t"]
