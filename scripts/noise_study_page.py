"""Writes docs/noise-study.md from what `ltml-benchmark demo` left behind.

ltml-benchmark demo --out demo/ && python scripts/noise_study_page.py demo/
"""

import argparse
from pathlib import Path

from performance_page import machine

from ltml_benchmark.config import Recipe
from ltml_benchmark.noise import RULES_OF_BACC, calibration_verdict, find_study, study_table, verdict
from ltml_benchmark.report.runs import read_runs

PAGE = Path(__file__).resolve().parent.parent / "docs" / "noise-study.md"
HEAD = """# Who recovers the tail when labels miss findings?

Written by `python scripts/noise_study_page.py` from the output of `ltml-benchmark demo`; nothing is typed by hand.

Simulated images, so the truth is known: {train} training, {validation} validation and {test} test images of
{size} x {size} pixels with 14 findings (4 head, 4 medium, 6 tail; the rarest on 0.8 % of images). Training and
validation labels lose a share of the positives of every class; test labels are true. Every method gets the same small
network, the same {steps} steps of {batch} images drawn by class-aware sampling, the same learning rate, and its epoch
is chosen on the noisy validation labels. {seeds} seeds, each with its own draw of missed labels; in brackets the 95 %
t interval over seeds (on the scale on which shares vary alike, so it stays between 0 and 100). "Recovered" is the AUC
with which a method ranks the positives its own training labels miss above true negatives. BACC is printed under three
decision rules: a score above 0.5, above where the method's loss puts images of which as many are positive as training
showed (prior), and above the threshold that was best on the noisy validation labels. Where all seeds agree to the last
digit no interval is printed.

The prior column of `nvum` is an approximation. Its memory pulls every image towards another score, so no single
threshold is right for all; the one used takes the mean of the memory over the images that training showed. Where labels
miss many positives this is far from the best threshold, so read `nvum` at validation thresholds.

This is a check of the implementation and of what the methods do when only the labels are at fault. It is no medical
evidence, and one learning rate for all is not the best of each.
"""


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path, help="output of `ltml-benchmark demo`")
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args()
    study = find_study([options.demo])
    if study is None:
        parser.error(f"{options.demo} has no noise_study.json; run `ltml-benchmark demo --out {options.demo}`")
    runs = read_runs([options.demo / "runs"])
    settings = study["settings"]
    parts = [
        HEAD.format(
            **study["images"],
            size=settings["transforms"]["image_size"],
            steps=Recipe().epochs * settings["steps_per_epoch"],
            batch=settings["batch_size"],
            seeds=study["seeds"],
        )
    ]
    for group in ("tail", "head"):
        parts += [f"## {group.capitalize()} classes", "", study_table(study, group), ""]
        parts += ["BACC under every decision rule:", "", study_table(study, group, RULES_OF_BACC), ""]
    sentences = [
        verdict(study, metric, rate)
        for rate in study["missed"]
        for metric in (*RULES_OF_BACC, "auc", "recovered")
        if rate > 0 or metric != "recovered"
    ]
    parts += ["## How much of the gain is calibration", ""]
    parts += [f"- {calibration_verdict(study, rate)}" for rate in study["missed"]]
    parts += ["", "## In words", "", "A star: also when corrected for the number of methods (Holm).", ""]
    parts += [*(f"- {sentence}" for sentence in sentences if sentence), ""]
    seconds = sum(run.manifest["training"]["seconds"] for run in runs)
    parts.append(f"{len(runs)} runs, {seconds:.0f} s of training time on {machine()}, shared with other work.")
    options.page.write_text("\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
