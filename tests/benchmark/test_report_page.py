"""The page in a browser: nothing clipped, readable in light and dark, two columns where there is room; its words."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import chromium
from tiny_recipe import TINY

from ltml_benchmark.launch import run_recipe
from ltml_benchmark.report import figures
from ltml_benchmark.report.page import with_interval, write_report
from ltml_benchmark.report.runs import RunResult, read_runs
from ltml_benchmark.report.summary import summarised

SMALL = {**TINY, "epochs": 2, "steps_per_epoch": 2, "log_every": 1, "bootstrap": 20}


@pytest.fixture(scope="module")
def runs(phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[RunResult]:
    out = tmp_path_factory.mktemp("suite")
    for name in ("bce", "asl", "focal"):
        run_recipe(name, SMALL, phantom_folder, out / name, seeds=2, device="cpu")
    return read_runs([out])


def made_up_study(methods: int) -> dict[str, Any]:
    """Numbers for the section on missed labels: more methods than there are colours."""
    names = ["bce", *(f"method-{place}" for place in range(1, methods))]
    rng = np.random.default_rng(0)
    by_method = {
        name: {f"{rate:g}": [None if rate == 0 else value for value in rng.uniform(0.5, 1, 3)] for rate in (0, 0.2)}
        for name in names
    }
    whole = {name: {f"{rate:g}": rng.uniform(0.5, 1, 3).tolist() for rate in (0, 0.2)} for name in names}
    metrics = {key: {"tail": whole} for key in ("bacc", "bacc_prior", "bacc_validation", "auc")}
    results = {**metrics, "recovered": {"tail": by_method}}
    images = {"train": 9, "validation": 9, "test": 9}
    return {"methods": names, "missed": [0.0, 0.2], "seeds": 3, "images": images, "results": results}


MEASURED = """() => {
  const bright = colour => {
    const [r, g, b] = colour.match(/[0-9.]+/g).slice(0, 3).map(v => {
      v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const page = bright(getComputedStyle(document.body).backgroundColor);
  const contrast = colour => {
    const c = bright(colour); return (Math.max(c, page) + .05) / (Math.min(c, page) + .05); };
  document.querySelectorAll('details').forEach(d => d.open = true);
  const clipped = [], faint = [], marks = [];
  for (const svg of document.querySelectorAll('svg')) {
    const frame = svg.getBoundingClientRect();
    for (const text of svg.querySelectorAll('text')) {
      const box = text.getBoundingClientRect();
      const out = Math.max(frame.left - box.left, box.right - frame.right, frame.top - box.top,
                           box.bottom - frame.bottom);
      if (out > 1) clipped.push(text.textContent);
      if (contrast(getComputedStyle(text).fill) < 4.5) faint.push(text.textContent);
    }
    for (const path of svg.querySelectorAll('path')) {
      const style = getComputedStyle(path);
      for (const colour of [style.fill, style.stroke])
        if (colour.startsWith('rgb(') && path.closest('[id^=patch],[id^=line2d]')) marks.push(contrast(colour));
    }
  }
  for (const p of document.querySelectorAll('p, td, th, li, a, summary'))
    if (contrast(getComputedStyle(p).color) < 4.5) faint.push(p.textContent.slice(0, 40));
  const tables = [...document.querySelectorAll('table')].map(t => t.parentElement)
    .filter(d => d.className === 'wide').map(d => d.scrollWidth - d.clientWidth);
  const boxes = [...document.querySelectorAll('.pair')].map(pair => [...pair.children].slice(0, 2)
    .map(child => child.getBoundingClientRect().top));
  return {clipped, faint, tables, weakest: Math.min(...marks), columns: boxes,
          over: document.documentElement.scrollWidth - window.innerWidth};
}"""


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 1920])
def test_the_page_can_be_read(width: int, scheme: str, runs, tmp_path: Path) -> None:
    out = write_report(runs, tmp_path / "report.html", made_up_study(14))
    with chromium() as browser:
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.goto(out.as_uri())
        found = page.evaluate(MEASURED)
    assert found["over"] <= 0
    assert found["clipped"] == []
    assert found["faint"] == []
    assert found["weakest"] > 1.1  # grid lines are the faintest marks
    assert max(found["tables"]) <= 0, found["tables"]  # with three methods nothing has to be scrolled to
    beside = [math.isclose(first, second, abs_tol=40) for first, second in found["columns"]]
    assert all(beside) if width == 1920 else not any(beside)


def test_figures_of_a_run_stand_on_white(runs) -> None:
    from xml.etree import ElementTree

    for path in sorted((runs[0].path / "figures").glob("*.svg")):
        root = ElementTree.parse(path).getroot()
        assert root.get("style") == "background: #fff"
        assert "var(--" not in path.read_text()


def test_colours_of_the_page_are_those_of_the_figures_and_differ_in_the_dark() -> None:
    used = {*figures.COLOURS, *figures.GROUP_COLOURS.values(), figures.INK, figures.GRID, figures.GUIDE}
    assert used == set(figures.IN_THE_DARK)
    assert len(set(figures.IN_THE_DARK.values())) == len(figures.IN_THE_DARK)
    styles = [tuple(figures.styled(place).items()) for place in range(20)]
    assert len(set(styles)) == 20


def altered(run: RunResult, seed: int, points: float) -> RunResult:
    """The same run with another seed, and all group means moved."""
    metrics = json.loads(json.dumps(run.metrics))
    for values in metrics["groups"].values():
        for key, value in values["mean"].items():
            values["mean"][key] = None if value is None else value + points / 100
    answers = run.manifest["answers"]
    manifest = {**run.manifest, "seed": seed, "answers": {**answers, "recipe": {**answers["recipe"], "seed": seed}}}
    return RunResult(run.path, metrics, manifest)


def test_the_summary_names_what_is_beyond_noise_and_what_was_not_tested(runs) -> None:
    bce, asl, focal = (next(run for run in runs if run.name == name) for name in ("bce", "asl", "focal"))
    gap = 100 * (bce.summary("auc", "total") - asl.summary("auc", "total"))
    several = [altered(bce, seed, 0.1 * seed) for seed in range(4)]
    several += [altered(asl, seed, gap + 5 + 0.2 * (seed % 2)) for seed in range(4)]
    found = summarised([*several, focal])
    assert "Of 1 method compared against bce over 4 seeds each" in found.lead
    assert "1 above in total AUC" in found.lead
    assert "Not tested, with fewer than two seeds in common with bce: focal" in found.lead
    assert any(line.startswith("Total AUC: above: asl (+") for line in found.details)
    assert any("when all decide at validation thresholds" in line for line in found.details)


def test_one_seed_is_tested_over_patients_and_says_so(runs) -> None:
    found = summarised([run for run in runs if run.seed == 0])
    assert "over test patients alone" in found.lead
    assert "no method has two seeds in common with bce" in found.lead
    assert any(line.startswith("Total AUC:") for line in found.details)
    gone = [RunResult(r.path, r.metrics, {**r.manifest, "data": {**r.manifest["data"], "path": "no"}}) for r in runs]
    assert "could not be computed" in summarised([run for run in gone if run.seed == 0]).lead


def test_seeds_that_agree_tell_nothing_of_others(runs) -> None:
    same = [altered(run, seed, points) for run, points in ((runs[0], 0), (runs[-1], 5)) for seed in range(3)]
    assert "above" not in summarised(same).lead
    from ltml_benchmark.noise import interval, tested

    assert np.isnan(interval([0.5, 0.5, 0.5])[1:]).all()
    assert np.isnan(tested([1.0, 1.0])[1:]).all()


def test_an_interval_is_never_printed_with_equal_ends() -> None:
    assert with_interval(0.99985, 0.99971, 0.99993) == "99.98 (99.97–99.99)"
    assert with_interval(0.9, 0.85, 0.95) == "90.0 (85.0–95.0)"
    assert with_interval(0.5, float("nan"), float("nan")) == "50.0"
    assert with_interval(float("nan"), float("nan"), float("nan")) == "–"
