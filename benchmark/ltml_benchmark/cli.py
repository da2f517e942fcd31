"""`ltml-benchmark`: parse, call one function, print one table."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Parameter
from rich.console import Console
from rich.logging import RichHandler

from ltml_benchmark import __version__
from ltml_benchmark.config import Recipe, Suite, load_recipe, shipped_recipes
from ltml_benchmark.errors import UserError
from ltml_benchmark.extras import needs_extra

app = App(
    name="ltml-benchmark",
    help="Long-tailed, noisily labelled chest X-ray classification: every method trained and scored alike.",
    version=__version__,
)

SHORT_FLAGS = {"--model": "--model.name", "--weights": "--model.weights", "--loss": "--loss.name"}
"""Flags that stand for a dotted one."""


@app.command
def run(
    recipe: str,
    *,
    data: Path,
    out: Path,
    images: Path | None = None,
    resume: str | None = None,
    seeds: int = 1,
    verified_only: bool = False,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    devices: int = 1,
    dry_run: bool = False,
    overrides: Annotated[Recipe | None, Parameter(name="*")] = None,
) -> None:
    """Train a recipe, choose the epoch on validation, score the test split.

    Every setting of a recipe has a dotted flag, such as `--optimizer.lr 0.01`; `--model`, `--weights` and `--loss`
    stand for `--model.name`, `--model.weights` and `--loss.name`.

    Parameters
    ----------
    recipe:
        Name out of `ltml-benchmark list`, or a YAML file.
    data:
        Folder that `ltml-build-labels build` or `split` made.
    out:
        Run folder; several seeds and suites make folders inside.
    images:
        Folder that holds `files/` (or `files/` itself), or a cache; without it the data set's `image` column is read.
    resume:
        `auto` goes on with what is in --out and skips runs that are the answer already, refusing any other; a path
        names a state.pt.
    seeds:
        Number of runs with consecutive seeds.
    verified_only:
        Score only those test labels that a person verified (data built with --gold or --reviewed); epochs and
        thresholds are still chosen on all validation labels.
    device:
        Where to train; `auto` takes a GPU where there is one (`mps` is Apple's).
    devices:
        Processes on this machine, one per GPU (or CPU process); torchrun's own number wins.
    dry_run:
        Show the resolved recipe, the data and the number of steps, and stop.
    """
    from ltml_benchmark.launch import describe, is_first_process, run_recipe

    settings = overrides.model_dump(exclude_unset=True) if overrides is not None else {}
    if verified_only:
        settings["verified_only"] = True
    if dry_run:
        print(describe(recipe, settings, data, images, seeds, device, devices, out, resume))
        return
    with needs_extra("benchmark"):
        import torch  # noqa: F401
    finished = run_recipe(recipe, settings, data, out, images, seeds, resume, device, devices)
    from ltml_benchmark.report.runs import read_runs
    from ltml_benchmark.report.tables import table_of_runs

    if is_first_process():
        print(table_of_runs(read_runs(finished)))


@app.command
def demo(
    *,
    out: Path,
    seeds: int = 3,
    missed: tuple[float, ...] = (0.0, 0.2, 0.4),
    recipes: tuple[str, ...] = (),
    workers: int | None = None,
) -> None:
    """Every method on simulated images with known truth, and a study of missed labels. Minutes on a CPU.

    Parameters
    ----------
    out:
        Folder for data, runs and report; a repeat call goes on.
    seeds:
        Runs per method and rate.
    missed:
        Shares of positives that the training labels miss; repeat the flag for several.
    recipes:
        Methods; all shipped ones by default; repeat the flag for several.
    workers:
        Processes; the number of cores by default.
    """
    from rich.progress import Progress

    from ltml_benchmark.demo import run_demo
    from ltml_benchmark.noise import RULES_OF_BACC, calibration_verdict, study_table, verdict
    from ltml_benchmark.report.page import write_report
    from ltml_benchmark.report.runs import read_runs
    from ltml_benchmark.report.tables import table_of_runs

    with needs_extra("benchmark"):
        import torch  # noqa: F401
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("training", total=None)
        study = run_demo(
            out, seeds, missed, recipes, workers,
            lambda done, total, name: bar.update(task, completed=done, total=total, description=name),
        )  # fmt: skip
    runs = read_runs([out / "runs" / f"missed-{round(100 * rate):02d}" for rate in missed])
    clean = [run for run in runs if run.manifest["data"]["config"]["missed"] == missed[0]]
    order = {name: place for place, name in enumerate(study["methods"])}
    print(f"Simulated images, {missed[0]:.0%} of positives missed\n")
    print(table_of_runs(sorted(clean, key=lambda run: (order[run.name], run.seed))))
    print(f"Tail by share of positives missed, mean and 95 % interval over {study['seeds']} seeds\n")
    print(study_table(study) + "\n")
    print("BACC of the tail under every decision rule\n")
    print(study_table(study, metrics=RULES_OF_BACC) + "\n")
    sentences = [verdict(study, metric, rate) for rate in missed for metric in ("bacc", "auc")]
    sentences += [calibration_verdict(study, rate) for rate in missed]
    print("\n".join(filter(None, sentences)))
    write_report(sorted(runs, key=lambda run: order[run.name]), out / "report.html", study)
    print(f"\n{study['runs_trained']} runs in {study['seconds']:.0f} s; report: {out / 'report.html'}")


@app.command
def score(
    predictions: Path,
    *,
    data: Path,
    out: Path | None = None,
    name: str | None = None,
    split: Literal["test", "validation", "train"] = "test",
    replicates: int = 1000,
    verified_only: bool = False,
    decide: Literal["raw", "prior", "validation"] = "raw",
) -> None:
    """Score anybody's predictions: `image_id` and one column of probabilities per class.

    Parameters
    ----------
    predictions:
        A .parquet or .csv file, or a run folder.
    data:
        The data set that was predicted.
    out:
        A .json file for the metrics, or a folder that `table`, `compare` and `report` take.
    name:
        Name in tables; the file's name by default.
    split:
        Images to score. Predictions of the whole validation split add thresholds chosen there.
    replicates:
        Bootstrap replicates over patients for the intervals; 0: none.
    verified_only:
        Count only labels that a person verified (data built with --gold or --reviewed).
    decide:
        What is a positive decision in BACC and F1: a score above 0.5, above the prior that training showed (the shares
        in the training split for predictions of other programs), or above the best threshold on validation.
    """
    from ltml_benchmark.report.console import metrics_table, show
    from ltml_benchmark.scored import score as score_predictions
    from ltml_benchmark.scored import write_scored

    content = score_predictions(predictions, data, split, replicates, verified_only, decide)
    if out is not None:
        write_scored(out, content, predictions, data, name or predictions.stem)
    show(metrics_table(content))


@app.command
def table(
    runs: Annotated[list[Path], Parameter(negative=())],
    *,
    like: Literal["table1", "table2"] | None = None,
    format: Literal["md", "latex", "csv"] = "md",
    decide: Literal["raw", "prior", "validation"] | None = None,
) -> None:
    """BACC and AUC of runs, Total, Head, Medium and Tail; several seeds as mean and deviation.

    Parameters
    ----------
    runs:
        Run folders, or folders that hold some.
    like:
        Print the paper's rows beside ours.
    format:
        Markdown, LaTeX or CSV.
    decide:
        Cut scores at 0.5, at the prior that training showed, or where BACC was best on validation; each run's own rule
        by default. BACC Total and Tail are printed under all three.
    """
    from ltml_benchmark.report.runs import read_runs
    from ltml_benchmark.report.tables import table_of_runs

    print(table_of_runs(read_runs(runs), like, format, decide), end="")


@app.command
def compare(
    run_a: Path,
    run_b: Path,
    *,
    data: Path | None = None,
    replicates: int = 1000,
    verified_only: bool = False,
    decide: Literal["raw", "prior", "validation"] = "raw",
) -> None:
    """Paired comparison of two methods over test patients and seeds: what B gains over A, per class and group.

    Parameters
    ----------
    run_a:
        The reference: a run, or a folder of several seeds of one recipe.
    run_b:
        What is compared with it; runs with the same seed are paired.
    data:
        Data set with the test labels; where run A was trained by default.
    replicates:
        Bootstrap replicates.
    verified_only:
        Count only labels that a person verified (data built with --gold or --reviewed).
    decide:
        Decision rule behind BACC.
    """
    from ltml_benchmark.report.console import comparison_table, show
    from ltml_benchmark.report.runs import read_runs
    from ltml_benchmark.scored import compare_runs, paired

    pairs = paired(read_runs([run_a]), read_runs([run_b]), (run_a, run_b))
    show(comparison_table(compare_runs(pairs, data, replicates, verified_only, decide)))


@app.command
def report(runs: Annotated[list[Path], Parameter(negative=())], *, out: Path) -> None:
    """One self-contained HTML page: tables, per-class increments, gradients, curves, intervals.

    Parameters
    ----------
    runs:
        Run folders, folders that hold some, or the output of `demo`.
    out:
        HTML file.
    """
    from ltml_benchmark.noise import find_study
    from ltml_benchmark.report.page import write_report
    from ltml_benchmark.report.runs import read_runs

    study = find_study(runs)
    order = {name: place for place, name in enumerate(study["methods"])} if study else {}
    found = sorted(read_runs(runs), key=lambda run: order.get(run.name, 0))
    print(write_report(found, out, study))


@app.command
def cache(*, data: Path, out: Path, images: Path | None = None, size: int = 256, workers: int | None = None) -> None:
    """Decode every image once; give the folder to `run --images` afterwards. A repeat call goes on.

    Parameters
    ----------
    data:
        Data set whose images are wanted.
    out:
        Cache folder; it takes `size` x `size` bytes an image.
    images:
        Folder that holds `files/`; without it the `image` column is read.
    size:
        Side of the decoded images in pixels.
    workers:
        Threads; the number of cores by default.
    """
    from rich.progress import Progress

    from ltml_benchmark.cache import build_cache
    from ltml_benchmark.data import open_folder
    from ltml_benchmark.pixels import sources_of

    ids, sources = sources_of(open_folder(data), images)
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("decoding", total=len(ids))
        about = build_cache(ids, sources, out, size, workers, lambda done: bar.update(task, completed=done))
    print(f"{about['images']} images of {size} x {size} in {out}, {len(about['skipped'])} left out")


@app.command(name="list")
def list_recipes() -> None:
    """The shipped recipes and suites."""
    from rich.table import Table

    shown = Table("recipe", "what it is", box=None)
    for name in shipped_recipes():
        loaded = load_recipe(name)
        parts = f" ({', '.join(loaded.recipes)})" if isinstance(loaded, Suite) else ""
        shown.add_row(name, loaded.description + parts)
    Console().print(shown)


def main(tokens: Sequence[str] | None = None) -> int:
    """Run one command line.

    Returns:
        0 done, 1 the user's error in one sentence, 2 usage.
    """
    errors = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    logging.basicConfig(
        level=logging.INFO,
        format="%(message)s",
        handlers=[RichHandler(console=errors, show_path=False, show_level=False)],
    )
    for noisy in ("lightning_fabric", "lightning", "torch", "matplotlib", "PIL"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        given = expanded(sys.argv[1:] if tokens is None else tokens)
        app(given, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        errors.print(f"Usage: {error}")
        return 2
    except UserError as error:
        errors.print(f"Error: {error}")
        return 1
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        errors.print("Stopped. `--resume auto` goes on where this one stopped.")
        return 130
    return 0


def expanded(tokens: Sequence[str]) -> list[str]:
    """The command line with short flags spelt out."""
    spelt = []
    for token in tokens:
        flag, equals, value = token.partition("=")
        spelt.append(SHORT_FLAGS.get(flag, flag) + equals + value)
    return spelt


if __name__ == "__main__":
    sys.exit(main())
