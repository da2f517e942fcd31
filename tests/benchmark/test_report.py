"""Tables, figures and the page."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from shared_data import REPOSITORY

from ltml_benchmark import cli
from ltml_benchmark.config import load_recipe, shipped_recipes
from ltml_benchmark.errors import UserError
from ltml_benchmark.report import fig3, figures
from ltml_benchmark.report.leaderboard import add_results, leaderboard_page, read_results, result_of
from ltml_benchmark.report.runs import RunResult, read_runs
from ltml_benchmark.report.tables import paper, rows_like, rows_of, table_of_runs
from ltml_benchmark.runfiles import without_nan, write_json

LABELS = ["Edema", "Fracture", "Hemothorax"]


def write_run(out: Path, recipe: str, seed: int, auc: list[float | None], paper_row: str = "") -> Path:
    """A finished run folder with given AUCs."""
    out.mkdir(parents=True)
    defined = [value for value in auc if value is not None]
    mean = {"bacc": 0.6, "auc": sum(defined) / len(defined), "ap": 0.2, "f1": 0.1}
    nothing = dict.fromkeys(mean)
    group = {"classes": 3, "mean": mean, "undefined": dict.fromkeys(mean, auc.count(None))}
    empty = {"classes": 0, "mean": nothing, "undefined": dict.fromkeys(mean, 0)}
    classes = {
        name: {**mean, "auc": value, "bacc": value, "positives": 30 - 10 * place}
        for place, (name, value) in enumerate(zip(LABELS, auc, strict=True))
    }
    metrics = {
        "split": "test", "images": 50, "patients": 20, "labels": LABELS, "threshold": 0.5, "classes": classes,
        "groups": {"total": group, "head": empty, "medium": empty, "tail": group},
    }  # fmt: skip
    manifest = {
        "recipe": recipe, "paper_row": paper_row, "seed": seed, "status": "finished", "code": {"version": "1"},
        "data": {"name": "d", "path": "d", "manifest_sha256": "a" * 64, "groups": {"tail": LABELS}}, "hardware": {},
    }  # fmt: skip
    write_json(out / "metrics.json", metrics)
    write_json(out / "manifest.json", manifest)
    return out


@pytest.fixture
def runs(tmp_path: Path) -> list[RunResult]:
    write_run(tmp_path / "bce" / "0", "bce", 0, [0.6, 0.7, None], "BCE")
    write_run(tmp_path / "bce" / "1", "bce", 1, [0.7, 0.8, None], "BCE")
    write_run(tmp_path / "anr-lla", "anr-lla", 0, [0.8, 0.9, None], "ANR-LLA")
    return read_runs([tmp_path])


def test_seeds_become_mean_and_deviation(runs) -> None:
    rows = {row.name: row for row in rows_of(runs)}
    assert rows["bce"].seeds == 2
    assert rows["bce"].mean["auc"][0] == pytest.approx(70.0)
    assert rows["bce"].deviation["auc"][0] == pytest.approx(np.std([65, 75], ddof=1))
    assert np.isnan(rows["bce"].mean["auc"][1])
    assert rows["anr-lla"].deviation is None


def test_ours_follow_the_papers_row_of_the_same_method(runs) -> None:
    rows = [(row.name, row.origin) for row in rows_like(runs, "table2")]
    assert rows[:2] == [("BCE", "paper"), ("bce", "ours")]
    assert rows[-3:] == [("ANR-LLA", "paper"), ("anr-lla", "ours"), ("ANR-LLM", "paper")]
    assert "Not in this table, because the paper has no such row in it: bce." in table_of_runs(runs, "table1")
    assert "Not in this table" not in table_of_runs(runs, "table2")
    with pytest.raises(UserError, match="no table `table3`"):
        rows_like(runs, "table3")


def test_every_row_of_the_paper_has_a_recipe_and_adds_up() -> None:
    content = paper()
    rows = {load_recipe(name).paper_row for name in shipped_recipes() if hasattr(load_recipe(name), "paper_row")}
    assert set(content["rows"]) <= rows
    for printed in content["rows"].values():
        for total, head, medium, tail in (printed["bacc"], printed["auc"]):
            assert total == pytest.approx((7 * head + 7 * medium + 25 * tail) / 39, abs=0.011)
    for table in content["tables"].values():
        assert set(table["rows"]) <= set(content["rows"])


def test_undefined_values_are_a_dash_and_counted(runs) -> None:
    text = table_of_runs(runs)
    assert "| -" in text
    assert "anr-lla: 1; bce: 1" in text
    assert "nan" not in text


def test_curves_in_closed_form_are_what_autograd_gives() -> None:
    grid, closed, automatic = fig3.curves()
    assert len(closed) == 5
    for name, values in closed.items():
        np.testing.assert_allclose(automatic[name], values, atol=1e-7, err_msg=name)
    at = {name: float(np.interp(1.0, grid, values)) for name, values in closed.items()}
    assert at["BCE"] == pytest.approx(0.731, abs=1e-3)
    assert at["ANR, beta 10"] == pytest.approx(0.992, abs=1e-3)
    assert at["ANR, beta 10, as released"] == pytest.approx(0.456, abs=1e-3)


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.links += [value for key, value in attrs if key in {"src", "href"} and not value.startswith("#")]
        if tag not in {"meta", "br", "hr", "img", "link", "input"}:
            self.open.append(tag)

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_nothing_else(runs, tmp_path: Path, capsys) -> None:
    out = tmp_path / "report.html"
    assert cli.main(["report", str(tmp_path), "--out", str(out)]) == 0
    text = out.read_text()
    page = Page()
    page.feed(re.sub(r"<svg.*?</svg>", "", text, flags=re.S))
    assert page.open == []
    assert page.links == []
    assert "@import" not in text
    assert not re.search(r"(?:src|href)=\"(?!#)", text)
    assert text.count("<svg") == 2 + 1 + 1  # classes of two methods, one increment, gradients; nothing was logged
    assert "64.84" in text


def test_increments_are_differences_in_points(runs) -> None:
    one, other = ("anr-lla", runs[:1]), ("bce", runs[1:])
    svg = figures.increments(one, other)
    ElementTree.fromstring(svg)
    assert "Edema" in svg
    assert "anr-lla minus bce<" in svg
    assert figures.increments(one, other) == svg
    assert "mean of 2 pairs of seeds" in figures.increments(other, other)


def test_classes_are_ordered_by_their_positives(runs) -> None:
    assert figures.by_count(runs[0]) == LABELS
    assert figures.class_groups(runs[0]) == dict.fromkeys(LABELS, "tail")


def test_json_holds_null_where_a_value_is_undefined(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": float("nan"), "b": [np.float32(1.5), np.int64(2)], "c": np.array([np.inf])})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": None, "b": [1.5, 2], "c": [None]}
    assert without_nan({"x": (1, 2)}) == {"x": [1, 2]}


def test_a_result_file_carries_what_a_row_needs(runs, tmp_path: Path) -> None:
    paths = add_results(runs, tmp_path / "results", "Three made-up classes")
    assert [path.name for path in paths] == ["anr-lla-aaaaaaaaaaaa.json", "bce-aaaaaaaaaaaa.json"]
    result = json.loads(paths[1].read_text())
    assert result["seeds"] == [0, 1]
    assert result["results"]["auc"]["mean"][0] == 70.0
    assert result["results"]["auc"]["mean"][1] is None
    page = leaderboard_page(read_results(tmp_path / "results"))
    assert page.index("| anr-lla | 1 |") < page.index("| bce | 2 |") < page.index("The paper's own numbers")
    assert "70.00 ± 7.07" in page


def test_rows_of_two_data_sets_are_two_tables(runs, tmp_path: Path) -> None:
    other = write_run(tmp_path / "other", "bce", 0, [0.9, 0.9, 0.9])
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["data"]["manifest_sha256"] = "b" * 64
    write_json(other / "manifest.json", manifest)
    add_results(runs, tmp_path / "results", "Ours")
    add_results(read_runs([other]), tmp_path / "results", "Another")
    page = leaderboard_page(read_results(tmp_path / "results"))
    assert page.index("## Another") < page.index("## Ours")
    with pytest.raises(UserError, match="one data set"):
        result_of([runs[1], *read_runs([other])], "mixed")
    (tmp_path / "results" / "x.json").write_text("{}")
    with pytest.raises(UserError, match="no result of the leaderboard"):
        read_results(tmp_path / "results")


def test_the_published_leaderboard_is_what_the_results_give() -> None:
    page = REPOSITORY / "docs" / "leaderboard.md"
    assert page.read_text() == leaderboard_page(read_results(REPOSITORY / "results"))
