"""What once printed a wrong number, did nothing, or ended in a traceback."""

import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from tiny_recipe import TINY as SMALL

from ltml_benchmark import cli
from ltml_benchmark.cache import build_cache
from ltml_benchmark.config import LossConfig, ModelConfig, Recipe, TransformConfig, load_recipe, merge
from ltml_benchmark.data import open_folder
from ltml_benchmark.decode import decode_gray
from ltml_benchmark.errors import UserError
from ltml_benchmark.launch import describe, run_recipe
from ltml_benchmark.losses import logit_of_share, make_loss
from ltml_benchmark.metrics import bacc_posterior, bootstrap, compare, compare_seeds, evaluate, holm
from ltml_benchmark.models import AdaptiveMean, build_model, resolved
from ltml_benchmark.phantoms import LABELS
from ltml_benchmark.train import Window, window_of
from ltml_benchmark.transforms import evaluation_view, training_view


def two_normals(positives: int, images: int = 400, classes: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    labels = np.zeros((images, classes), dtype=np.int8)
    labels[:positives] = 1
    return np.random.default_rng(seed).normal(size=labels.shape) + 1.5 * labels, labels


def test_bounds_of_rare_classes_are_never_of_width_0_and_stay_in_range() -> None:
    scores, labels = two_normals(2)
    never = bootstrap(scores, labels, n=50, threshold=99.0, groups={"tail": [0, 1, 2]})
    assert (never.by_class("bacc")[:, 1] > 0.55).all()
    low, high = never.of_group("bacc", "tail")
    assert low == 0.5 < 0.55 < high <= 1
    perfect = bootstrap(labels.astype(float), labels, n=50)
    for metric in ("bacc", "auc", "ap"):
        bounds = perfect.by_class(metric)
        assert ((bounds[:, 0] < 0.95) & (bounds[:, 1] == 1)).all(), metric
        assert 0 <= perfect.of_group(metric, "total")[0] < perfect.of_group(metric, "total")[1] <= 1
    assert never.few.all()


def test_bacc_bounds_are_brodersens_where_every_image_is_a_patient() -> None:
    scores, labels = two_normals(12)
    bounds = bootstrap(scores, labels, n=1, threshold=0.75).by_class("bacc")
    exact = bacc_posterior(evaluate(scores, labels, threshold=0.75).confusion)
    np.testing.assert_allclose(bounds, np.stack([exact.low, exact.high], axis=1), atol=0.025)


@pytest.mark.slow
@pytest.mark.parametrize("positives", [2, 5, 10])
def test_nominal_95_percent_cover_95_percent_with_few_positives(positives: int) -> None:
    """Population values of two normals 1.5 apart at this prevalence; 40 samples of 6 classes."""
    rng, images = np.random.default_rng(5), 400
    drawn = rng.normal(1.5, 1, 200_000)
    above = torch.distributions.Normal(0.0, 1.0)
    tail = lambda x: 1 - above.cdf(torch.tensor(x)).numpy()  # noqa: E731
    prevalence = positives / images
    hit, alarm = prevalence * tail(drawn - 1.5), (1 - prevalence) * tail(drawn)
    cut = float(above.cdf(torch.tensor(0.75)))
    truth = {
        "bacc": cut,
        "auc": float(above.cdf(torch.tensor(1.5 / 2**0.5))),
        "ap": float(np.mean(hit / (hit + alarm))),
    }
    inside: dict[str, list[bool]] = {}
    for sample in range(40):
        found = bootstrap(*two_normals(positives, images, seed=100 + sample), n=60, threshold=0.75)
        for metric, value in truth.items():
            low, high = found.by_class(metric).T
            inside.setdefault(metric, []).extend(((low <= value) & (value <= high)).tolist())
            low, high = found.of_group(metric, "total")
            inside.setdefault(f"{metric} total", []).append(low <= value <= high)
    shares = {key: float(np.mean(values)) for key, values in inside.items()}
    assert all(share >= (0.9 if "total" not in key else 0.85) for key, share in shares.items()), shares


def test_comparisons_correct_for_classes_and_take_seeds() -> None:
    np.testing.assert_allclose(holm(np.array([0.01, np.nan, 0.04, 0.03])), [0.03, np.nan, 0.06, 0.06])
    scores, labels = two_normals(40)
    better = scores + labels
    one = compare(scores, better, labels, n=100)
    assert (one.corrected_p_values("auc") >= one.p_values("auc")).all()
    noisy = [better + np.random.default_rng(s).normal(size=scores.shape) for s in range(3)]
    several = compare_seeds([scores] * 3, noisy, labels, n=100)
    assert several.seeds == 3
    alone = compare(scores, np.mean(noisy, axis=0), labels, n=100)
    assert np.diff(several.of_group("auc", "total")) > np.diff(alone.of_group("auc", "total"))
    rare = compare(*(two_normals(3, seed=s)[0] for s in (1, 2)), two_normals(3)[1], n=50)
    assert np.isnan(rare.by_class("auc")).all()
    assert not np.isnan(rare.by_class("bacc")).any()
    labels[:, 0] = 0
    labels[0, 0] = 1  # a class of one patient widens the interval of its group, it does not take it away
    low, high = compare(scores, better, labels, n=50).of_group("auc", "total")
    assert -1 <= low < 0 < high <= 1
    assert high - low > 1.5 / labels.shape[1]


def test_another_loss_starts_from_its_own_parameters(tmp_path: Path) -> None:
    assert load_recipe("anr-lla", {"loss": {"name": "bce"}}).loss.parameters == {}
    assert load_recipe("bce", {"loss": {"name": "anr"}}).loss.parameters == {"bias_scale": 0.01}
    assert load_recipe("anr-lla", {"loss": {"name": "llr-r"}}).loss.parameters == {}
    (tmp_path / "mine.yaml").write_text("base: anr-lla\nloss: {parameters: {delta: null, beta: 5}}\n")
    assert load_recipe(str(tmp_path / "mine.yaml")).loss.parameters == {"beta": 5, "bias_scale": 0.01, "cap": 0.5}
    assert LossConfig(parameters=None).parameters == {}


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"loss": {"name": "no-such"}}, "no loss 'no-such'"),
        ({"loss": {"name": "anr", "parameters": {"beta": "much"}}}, "a number is expected"),
        ({"loss": {"name": "bce-lla", "parameters": {"delta": -0.1}}, "epochs": 2}, "between 0 and 1"),
        ({"loss": {"name": "anr-lla", "formulation": "released"}, "epochs": 12}, "epoch 11"),
        ({"model": {"name": "vit_b_16", "weights": "none"}, "transforms": {"image_size": 64}}, "vit_b_16 cannot train"),
        ({"model": {"name": "squeezenet1_0", "weights": "none"}}, "has no linear head"),
        ({"model": {"name": "tiny_cnn", "weights": "none", "frozen_stages": 1}}, "acts on torchvision's ResNets"),
    ],
)
def test_a_dry_run_refuses_what_would_stop_the_run(phantom_folder: Path, settings, named: str) -> None:
    with pytest.raises(UserError, match=named):
        describe("bce", merge(SMALL, settings), phantom_folder, None)


def test_every_row_of_a_suite_is_checked_before_the_first_step(phantom_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "last.yaml").write_text("base: anr-lla\nloss: {parameters: {delta: 7, cap: 3}}\n")
    (tmp_path / "suite.yaml").write_text(f"name: s\nrecipes: [bce, {tmp_path / 'last.yaml'}]\n")
    with pytest.raises(UserError, match="between 0 and 1"):
        run_recipe(str(tmp_path / "suite.yaml"), {**SMALL, "epochs": 2}, phantom_folder, tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"sampler": {"name": "uniform", "reduce": 2}}, "`sampler.reduce`"),
        ({"optimizer": {"eps": 0.1}}, "`optimizer.eps`"),
        ({"schedule": {"name": "cosine", "gamma": 0.5}}, "`schedule.gamma`"),
        ({"compile_mode": "max-autotune"}, "`compile_mode`"),
        ({"ema_mode": "train"}, "`ema_mode`"),
    ],
)
def test_settings_that_would_do_nothing_are_refused(more, named: str) -> None:
    with pytest.raises(UserError, match=named):
        load_recipe("bce", more)


def test_neck_and_frozen_stages_act_on_every_resnet() -> None:
    config = ModelConfig(name="resnet18", weights="none", neck="pfc", dropout=0.1, frozen_stages=2, norm_eval=True)
    model = build_model(config, LABELS).train()
    assert model.neck[2].p == 0.1
    assert not model.backbone.layer2[0].conv1.weight.requires_grad
    assert not model.backbone.layer3[0].bn1.training
    assert resolved(ModelConfig(name="resnet18")).neck == "none"
    with pytest.raises(UserError, match=r"model.dropout"):
        resolved(ModelConfig(name="resnet18", dropout=0.1))


def test_windows_of_accumulation_begin_with_the_epoch_and_weigh_by_their_size() -> None:
    recipe = load_recipe("bce", {"optimizer": {"accumulate": 3}})
    assert isinstance(recipe, Recipe)
    windows = [window_of(batch, 5, recipe) for batch in range(5)]
    assert windows == [Window(3, False), Window(3, False), Window(3, True), Window(2, False), Window(2, True)]


def test_dropped_images_leave_the_class_counts(phantom_files, tmp_path: Path) -> None:
    from ltml_benchmark.prepare import Sources, prepare

    folder, root = phantom_files
    split = open_folder(folder).splits["train"]
    cache = tmp_path / "cache"
    paths = [root / str(path) for s in open_folder(folder).splits.values() for path in s.image_path.to_pylist()]
    ids = [str(name) for s in open_folder(folder).splits.values() for name in s.image_id.to_pylist()]
    gone = {str(name) for name in split.image_id.to_pylist()[:40]}
    build_cache(
        ids, [Path("nowhere") if name in gone else path for name, path in zip(ids, paths, strict=True)], cache, 32
    )
    run = prepare(load_recipe("bce", merge(SMALL, {"data": {"missing_images": "drop"}})), Sources(folder, cache), "cpu")
    counts, n_images = run.folder.class_counts("train")
    assert n_images == len(split) - 40
    assert counts.tolist() == split.target[40:].sum(axis=0).tolist()


def test_training_sees_the_pixels_that_evaluation_sees() -> None:
    images = torch.randint(0, 256, (2, 128, 128), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    config = TransformConfig(image_size=48, crop=1.0, flip=0.0, photometric=False)
    torch.testing.assert_close(
        training_view(images, config, torch.zeros(2, 9)), evaluation_view(images, config), atol=1e-3, rtol=1e-4
    )
    mirrored = training_view(images, config.model_copy(update={"flip": 1.0}), torch.zeros(2, 9))
    torch.testing.assert_close(mirrored, evaluation_view(images, config).flip(3), atol=1e-3, rtol=1e-4)


def encoded(values: np.ndarray, form: str, **more) -> bytes:
    file = BytesIO()
    Image.fromarray(values).save(file, form, **more)
    return file.getvalue()


def test_one_hot_pixel_does_not_take_the_contrast() -> None:
    ramp = np.tile(np.linspace(1000, 2000, 64, dtype=np.uint16), (64, 1))
    hot = ramp.copy()
    hot[0, 0] = 65535
    assert decode_gray(encoded(hot, "PNG"), 64).std() > 60
    with_it, without = (decode_gray(encoded(values, "PNG"), 64)[1:].astype(int) for values in (hot, ramp))
    assert np.abs(with_it - without).max() < 3


def test_white_is_zero_is_turned_round() -> None:
    ramp = np.tile(np.linspace(1000, 2000, 64, dtype=np.uint16), (64, 1))
    plain, inverse = (decode_gray(encoded(ramp, "TIFF", tiffinfo={262: kind}), 64) for kind in (1, 0))
    assert np.abs(plain.astype(int) - (255 - inverse.astype(int))).max() <= 1


def test_a_cache_of_nothing_is_an_error(phantom_files, tmp_path: Path, capsys) -> None:
    folder, _ = phantom_files
    for images in (tmp_path, tmp_path / "no-such"):
        command = ["cache", "--data", str(folder), "--images", str(images), "--out", str(tmp_path / "cache")]
        assert cli.main(command) == 1
    assert not (tmp_path / "cache" / "cache.json").exists()
    assert "was not found" in capsys.readouterr().err


def test_a_cache_of_other_images_with_the_same_names_is_not_taken(tmp_path: Path) -> None:
    images = [encoded(np.full((16, 16), value, np.uint8), "PNG") for value in (10, 200)]
    build_cache(["a"], images[:1], tmp_path / "cache", 16)
    with pytest.raises(UserError, match="cache of other images"):
        build_cache(["a"], images[1:], tmp_path / "cache", 16)


def test_damaged_and_odd_predictions_are_one_sentence(phantom_folder: Path, tmp_path: Path, capsys) -> None:
    split = open_folder(phantom_folder).splits["test"]
    columns = {"image_id": split.image_id.to_pylist(), **{name: [0.5] * len(split) for name in LABELS}}
    pq.write_table(pa.table({**columns, LABELS[0]: ["much"] * len(split)}), tmp_path / "text.parquet")
    pq.write_table(pa.table(columns), tmp_path / "whole.parquet")
    content = (tmp_path / "whole.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(content[: len(content) // 2] + content[-8:])
    for name, said in (("text", "probabilities are expected"), ("cut", "no readable table")):
        assert cli.main(["score", str(tmp_path / f"{name}.parquet"), "--data", str(phantom_folder)]) == 1
        assert said in capsys.readouterr().err


def test_comparing_a_suite_folder_is_one_sentence(phantom_folder: Path, tmp_path: Path, capsys) -> None:
    for name in ("bce", "focal"):
        run_recipe(name, SMALL, phantom_folder, tmp_path / "suite" / name, device="cpu")
    assert cli.main(["compare", str(tmp_path / "suite"), str(tmp_path / "suite" / "bce")]) == 1
    assert "holds runs of 2 methods" in capsys.readouterr().err
    run_recipe("bce", SMALL, phantom_folder, tmp_path / "a", seeds=2, device="cpu")
    run_recipe("focal", SMALL, phantom_folder, tmp_path / "b", seeds=2, device="cpu")
    assert cli.main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--replicates", "20"]) == 0
    assert "2 pairs of seeds" in capsys.readouterr().out


def test_the_prior_is_where_the_loss_puts_it() -> None:
    share = torch.tensor([0.5, 0.1, 0.02], dtype=torch.float64)
    counts = [500, 100, 20]
    torch.testing.assert_close(logit_of_share(make_loss("bce-lla", counts, 1000), share), torch.logit(share))
    for name in ("focal", "anr", "db", "asl"):
        loss = make_loss(name, counts, 1000)
        best = logit_of_share(loss, share)[1]
        grid = torch.linspace(float(best) - 1, float(best) + 1, 201, dtype=torch.float64)
        rows = grid[:, None].expand(-1, 3)
        empty, full = torch.zeros(201, 3), torch.eye(3)[1].expand(201, 3)
        risk = 0.1 * loss.elementwise(rows, full)[:, 1] + 0.9 * loss.elementwise(rows, empty)[:, 1]
        assert abs(int(risk.argmin()) - 100) <= 1, name


def test_the_prior_of_nvum_is_where_its_memory_puts_it() -> None:
    """Ignoring the memory, which lifts rare classes, put every image above the threshold."""
    loss = make_loss("nvum", [500, 100, 20], 1000, n_samples=4)
    share = torch.tensor([0.5, 0.1, 0.02], dtype=torch.float64)
    torch.testing.assert_close(logit_of_share(loss, share), torch.logit(share))  # an empty memory pulls nowhere
    rows = torch.tensor([0, 0, 1])
    loss.memory += torch.tensor([[0.0, 1.5, 3.0], [3.0, 1.5, 3.0], [9.0, 9.0, 9.0], [9.0, 9.0, 9.0]])
    found = logit_of_share(loss, share, rows)
    memory = loss.memory[rows].mean(dim=0)
    for place in range(3):
        grid = found[place] + torch.linspace(-1, 1, 201, dtype=torch.float64)
        entries = torch.zeros(201, 3, dtype=torch.float64)
        entries[:, place] = grid
        recalled = memory.expand(201, 3)
        full, empty = torch.eye(3)[place].expand(201, 3), torch.zeros(201, 3)
        risk = share[place] * loss.elementwise(entries, full, recalled)[:, place]
        risk = risk + (1 - share[place]) * loss.elementwise(entries, empty, recalled)[:, place]
        assert abs(int(risk.argmin()) - 100) <= 1
    assert (found[1:] > torch.logit(share)[1:] + 0.1).all()


@pytest.mark.parametrize("decide", ["prior", "validation"])
def test_every_decision_rule_is_an_option_and_stands_beside_the_others(
    phantom_folder, tmp_path, capsys, decide
) -> None:
    run = run_recipe("bce", {**SMALL, "decide": decide}, phantom_folder, tmp_path / "run", device="cpu")[0]
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["decide"] == decide
    assert set(metrics["decisions"]) == {"raw", "prior", "validation"}
    assert cli.main(["table", str(run)]) == 0
    printed = capsys.readouterr().out
    assert all(f"BACC Tail, {rule}" in printed for rule in metrics["decisions"])
    command = ["score", str(run), "--data", str(phantom_folder), "--out", str(tmp_path / "m.json")]
    assert cli.main([*command, "--replicates", "0", "--decide", decide]) == 0
    assert json.loads((tmp_path / "m.json").read_text()) == metrics


def test_averaging_by_matrices_is_adaptive_pooling() -> None:
    maps = torch.randn(2, 3, 7, 9, dtype=torch.float64)
    torch.testing.assert_close(AdaptiveMean(4)(maps), torch.nn.AdaptiveAvgPool2d(4)(maps))


def test_the_report_says_what_is_beyond_noise_and_shows_intervals_over_seeds(phantom_folder, tmp_path: Path) -> None:
    from ltml_benchmark.report.figures import GROUP_COLOURS

    for name in ("bce", "asl"):
        run_recipe(name, SMALL, phantom_folder, tmp_path / "runs" / name, seeds=2, device="cpu")
    out = tmp_path / "report.html"
    assert cli.main(["report", str(tmp_path / "runs"), "--out", str(out)]) == 0
    page = out.read_text()
    assert "prefers-color-scheme: dark" in page
    assert "against bce" in page[page.index("<h1>") : page.index("<nav")]
    assert GROUP_COLOURS == {"head": "#0072b2", "medium": "#e69f00", "tail": "#a23b72"}
    assert "interval over 2 seeds" in page
